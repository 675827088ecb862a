"""The policy table: which role may do what, in which relation to the client, for which purpose.

Source: CONTRACT (roles); AUDIT A2, A3; HL7 PurposeOfUse. One table, rendered as a page and tested cell by cell.

Rules:
- An act that is not in the table is forbidden to everybody.
- A reading states a purpose, and the grant names the purposes it takes. A write needs none.
- The privacy officer sees the audit, never clinical text; the administrator sees neither.
- A refusal names `role`, `relation` or `purpose`, for the access entry only: callers see one answer for all.

It does not know who is in which care team (`records.directory`).
"""

from __future__ import annotations

from typing import NamedTuple

from records.actors import Purpose, Relation, Role


class Grant(NamedTuple):
    """One cell of the table.

    Attributes:
        relations: the relations to the client in which it holds; empty means that none is needed.
        purposes: the purposes of use that it takes; empty for writes.
    """

    relations: frozenset[Relation] = frozenset()
    purposes: frozenset[Purpose] = frozenset()


_TEAM = frozenset({Relation.TEAM})
_SUPERVISES = frozenset({Relation.SUPERVISES})
_TREAT = frozenset({Purpose.TREAT})
_HQUALIMP = frozenset({Purpose.HQUALIMP})
_HCOMPL = frozenset({Purpose.HCOMPL})
_PATRQT = frozenset({Purpose.PATRQT})
_ANYONE = Grant()

_CLINICAL_WRITE = {Role.THERAPIST: Grant(_TEAM)}
_DESK_WRITE = {Role.FRONT_DESK: _ANYONE, Role.THERAPIST: Grant(_TEAM)}
_RISK_WRITE = {Role.THERAPIST: Grant(_TEAM), Role.SUPERVISOR: Grant(_SUPERVISES)}
_ACCOUNTS = {Role.ADMINISTRATOR: _ANYONE, Role.OPERATOR: _ANYONE}
_CLINICAL_READ = {Role.THERAPIST: Grant(_TEAM, _TREAT), Role.SUPERVISOR: Grant(_SUPERVISES, _HQUALIMP)}

TABLE: dict[str, dict[Role, Grant]] = {
    # identity and access to the record
    "client.register": {Role.FRONT_DESK: _ANYONE, Role.THERAPIST: _ANYONE},
    "client.identity": _DESK_WRITE,
    "care_team.change": {
        Role.FRONT_DESK: _ANYONE,
        Role.ADMINISTRATOR: _ANYONE,
        Role.OPERATOR: _ANYONE,
        Role.THERAPIST: Grant(_TEAM),
    },
    # the course of treatment
    "consent.record": _CLINICAL_WRITE,
    "consent.withdraw": _CLINICAL_WRITE,
    "consent.error": _CLINICAL_WRITE,
    "episode.open": _DESK_WRITE,
    "episode.phase": _CLINICAL_WRITE,
    "episode.close": _DESK_WRITE,
    "session.book": _DESK_WRITE,
    "session.attend": _DESK_WRITE,
    "session.cancel": _DESK_WRITE,
    "session.hold": _CLINICAL_WRITE,
    "assessment.record": _CLINICAL_WRITE,
    "assessment.error": _CLINICAL_WRITE,
    "risk.assess": _RISK_WRITE,
    "risk.clear": _RISK_WRITE,
    "goal.set": _CLINICAL_WRITE,
    "goal.change": _CLINICAL_WRITE,
    "goal.rate": _CLINICAL_WRITE,
    "note.draft": _CLINICAL_WRITE,
    "note.sign": _CLINICAL_WRITE,
    "note.addend": _CLINICAL_WRITE,
    "note.amend": _CLINICAL_WRITE,
    "note.error": _CLINICAL_WRITE,
    # readings
    "client.view": {**_CLINICAL_READ, Role.FRONT_DESK: Grant(frozenset(), _TREAT)},
    "client.timeline": _CLINICAL_READ,
    "note.view": _CLINICAL_READ,
    "note.draft.view": {Role.THERAPIST: Grant(_TEAM, _TREAT)},
    "client.access_report": {
        **_CLINICAL_READ,
        Role.PRIVACY_OFFICER: Grant(frozenset(), _HCOMPL),
        Role.RECORDS_CLERK: Grant(frozenset(), _PATRQT),
    },
    "client.list": {
        Role.FRONT_DESK: Grant(frozenset(), _TREAT),
        Role.THERAPIST: Grant(frozenset(), _TREAT),
        Role.SUPERVISOR: Grant(frozenset(), _HQUALIMP),
        Role.RECORDS_CLERK: Grant(frozenset(), _PATRQT),
    },
    "caseload.view": {
        Role.THERAPIST: Grant(frozenset(), _TREAT),
        Role.SUPERVISOR: Grant(frozenset(), _HQUALIMP),
    },
    "audit.view": {Role.PRIVACY_OFFICER: Grant(frozenset(), _HCOMPL), Role.OPERATOR: Grant(frozenset(), _HCOMPL)},
    # the log's own proofs: hashes are for everyone who is signed in, entries for those who audit
    "log.read": dict.fromkeys(Role, _ANYONE),
    "log.entries": {Role.PRIVACY_OFFICER: Grant(frozenset(), _HCOMPL), Role.OPERATOR: Grant(frozenset(), _HCOMPL)},
    "log.witness": {**_ACCOUNTS, Role.PRIVACY_OFFICER: _ANYONE},
    # the clinic itself
    "account.create": _ACCOUNTS,
    "account.change": _ACCOUNTS,
    "account.list": _ACCOUNTS,
    "token.issue": _ACCOUNTS,
    "token.revoke": _ACCOUNTS,
    "clinic.found": {Role.OPERATOR: _ANYONE},
    "clinic.policy": _ACCOUNTS,
    "clinic.load": _ACCOUNTS,
    "views.rebuild": _ACCOUNTS,
    "clock.declare": _ACCOUNTS,
}
"""Action → role → grant."""


def denial(action: str, role: Role, relation: Relation, purpose: Purpose | None) -> str | None:
    """Return None where the act is permitted, else why not: `role`, `relation` or `purpose`."""
    grant = TABLE.get(action, {}).get(role)
    if grant is None:
        return "role"
    if grant.relations and relation not in grant.relations:
        return "relation"
    if grant.purposes and purpose not in grant.purposes:
        return "purpose"
    return None


def needs_relation(action: str, role: Role) -> bool:
    """Tell whether the role's grant of the action depends on the client's care team."""
    grant = TABLE.get(action, {}).get(role)
    return grant is not None and bool(grant.relations)
