"""Who acts, in which role, for which purpose, and in which relation to the client.

Source: HL7 v3 PurposeOfUse codes; ISO 27789 (unique user, role, purpose); the clinic's roles.

- A person has one account and one role; the relation to a client comes from the client's care team.
- An `operator` is whoever runs a command on the machine without a token; it is marked as such in the log.
- A role does not open a record by itself: the policy table joins role, relation and purpose.

It does not decide anything: see `records.policy`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Role(StrEnum):
    """What a person is employed to do."""

    FRONT_DESK = "front_desk"
    THERAPIST = "therapist"
    SUPERVISOR = "supervisor"
    PRIVACY_OFFICER = "privacy_officer"
    RECORDS_CLERK = "records_clerk"
    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"


class Purpose(StrEnum):
    """HL7 v3 PurposeOfUse codes that a reading may state."""

    TREAT = "TREAT"
    HQUALIMP = "HQUALIMP"
    HCOMPL = "HCOMPL"
    PATRQT = "PATRQT"
    ETREAT = "ETREAT"


class Relation(StrEnum):
    """How the actor stands to the client: from the client's care team, or by an emergency access that is open."""

    NONE = "none"
    TEAM = "team"
    SUPERVISES = "supervises"
    EMERGENCY = "emergency"


class Actor(msgspec.Struct, frozen=True):
    """An authenticated person or operator.

    Attributes:
        id: the staff id (a UUID as text), or `operator:<system user>`.
        role: the role of the account at this request.
        address: the network address the request came from, `local` for a command.
    """

    id: str
    role: Role
    address: str = "local"
