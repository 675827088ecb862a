"""The policy table: which role may do what, in which relation to the client, for which purpose.

Source: CONTRACT (roles); AUDIT A2, A3; HL7 PurposeOfUse. One table, rendered as a page and tested cell by cell.

Rules:
- An act that is not in the table is forbidden to everybody.
- A reading states a purpose, and the grant names the purposes it takes. A write needs none.
- An emergency access that is open stands for the relation where a grant says so; its readings state ETREAT and nothing
  else. The care team reads without one, so it never states ETREAT.
- The privacy officer sees the audit, never clinical text; the administrator sees neither.
- Changes of a record stand in its history; a few (`TOLD_WHEN_DONE`) leave an access entry too.
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
        emergency: whether it also holds under an open emergency access, for ETREAT where it is a reading.
    """

    relations: frozenset[Relation] = frozenset()
    purposes: frozenset[Purpose] = frozenset()
    emergency: bool = False


_TEAM = frozenset({Relation.TEAM})
_SUPERVISES = frozenset({Relation.SUPERVISES})
_TREAT = frozenset({Purpose.TREAT})
_HQUALIMP = frozenset({Purpose.HQUALIMP})
_HCOMPL = frozenset({Purpose.HCOMPL})
_PATRQT = frozenset({Purpose.PATRQT})
_EMERGENCY = frozenset({Relation.EMERGENCY})
_ANYONE = Grant()

_CLINICAL_WRITE = {Role.THERAPIST: Grant(_TEAM)}
_DESK_WRITE = {Role.FRONT_DESK: _ANYONE, Role.THERAPIST: Grant(_TEAM)}
_SUPERVISED_WRITE = {Role.THERAPIST: Grant(_TEAM), Role.SUPERVISOR: Grant(_SUPERVISES)}
# What was done in an emergency can always be written down, by whoever did it.
_NOTE_WRITE = {Role.THERAPIST: Grant(_TEAM, emergency=True), Role.SUPERVISOR: Grant(_EMERGENCY)}
_CLINICIANS = {Role.THERAPIST: _ANYONE, Role.SUPERVISOR: _ANYONE}
_ACCOUNTS = {Role.ADMINISTRATOR: _ANYONE, Role.OPERATOR: _ANYONE}
_CLINICAL_READ = {Role.THERAPIST: Grant(_TEAM, _TREAT), Role.SUPERVISOR: Grant(_SUPERVISES, _HQUALIMP)}
_EMERGENCY_READ = {role: grant._replace(emergency=True) for role, grant in _CLINICAL_READ.items()}
# Two people answer for an erasure; whoever can read the disk is not one who approves.
_APPROVES_ERASURE = {Role.PRIVACY_OFFICER: _ANYONE, Role.SUPERVISOR: _ANYONE}
_ERASURE_READ = {
    Role.PRIVACY_OFFICER: Grant(frozenset(), _HCOMPL),
    Role.SUPERVISOR: Grant(frozenset(), _HCOMPL),
    Role.RECORDS_CLERK: Grant(frozenset(), _PATRQT),
}
_REVIEW_READ = {Role.PRIVACY_OFFICER: Grant(frozenset(), _HCOMPL), Role.SUPERVISOR: Grant(frozenset(), _HCOMPL)}

TABLE: dict[str, dict[Role, Grant]] = {
    # identity and access to the record
    "client.register": {Role.FRONT_DESK: _ANYONE, Role.THERAPIST: _ANYONE},
    "client.identity": _DESK_WRITE,
    "client.death": _DESK_WRITE,
    "care_team.change": {
        Role.FRONT_DESK: _ANYONE,
        Role.ADMINISTRATOR: _ANYONE,
        Role.OPERATOR: _ANYONE,
        Role.THERAPIST: Grant(_TEAM),
    },
    "care_team.join": {Role.THERAPIST: Grant(_EMERGENCY), Role.SUPERVISOR: Grant(_EMERGENCY)},
    # emergency access and its reviews
    "emergency.grant": _CLINICIANS,
    "emergency.approve": {**_CLINICIANS, Role.PRIVACY_OFFICER: _ANYONE},
    "emergency.open": _CLINICIANS,
    "second_factor.use": {**_CLINICIANS, Role.PRIVACY_OFFICER: _ANYONE},
    "second_factor.enrol": _ACCOUNTS,
    "review.list": _REVIEW_READ,
    "review.view": _REVIEW_READ,
    "review.close": {Role.PRIVACY_OFFICER: _ANYONE, Role.SUPERVISOR: _ANYONE},
    # the course of treatment
    "consent.record": _CLINICAL_WRITE,
    "consent.withdraw": _CLINICAL_WRITE,
    "consent.error": _CLINICAL_WRITE,
    "episode.open": _DESK_WRITE,
    "episode.phase": _CLINICAL_WRITE,
    "episode.protocol": _CLINICAL_WRITE,
    "episode.close": _DESK_WRITE,
    "session.book": _DESK_WRITE,
    "session.attend": _DESK_WRITE,
    "session.cancel": _DESK_WRITE,
    "session.hold": _CLINICAL_WRITE,
    "session.error": _CLINICAL_WRITE,
    "breach.review": _SUPERVISED_WRITE,
    "assessment.record": _CLINICAL_WRITE,
    "assessment.error": _CLINICAL_WRITE,
    "risk.assess": {role: grant._replace(emergency=True) for role, grant in _SUPERVISED_WRITE.items()},
    "risk.clear": _SUPERVISED_WRITE,
    "risk.error": _SUPERVISED_WRITE,
    "goal.set": _CLINICAL_WRITE,
    "goal.change": _CLINICAL_WRITE,
    "goal.rate": _CLINICAL_WRITE,
    "goal.error": _CLINICAL_WRITE,
    "note.draft": _NOTE_WRITE,
    "note.sign": _NOTE_WRITE,
    "note.addend": _CLINICAL_WRITE,
    "note.amend": _CLINICAL_WRITE,
    "note.error": _CLINICAL_WRITE,
    "attachment.add": _CLINICAL_WRITE,
    "attachment.change": _CLINICAL_WRITE,
    "attachment.error": _CLINICAL_WRITE,
    "disclosure.record": {Role.THERAPIST: Grant(_TEAM), Role.RECORDS_CLERK: _ANYONE},
    "disclosure.error": {Role.THERAPIST: Grant(_TEAM), Role.RECORDS_CLERK: _ANYONE},
    "record.import": {Role.RECORDS_CLERK: _ANYONE},
    "export.release": {Role.RECORDS_CLERK: _ANYONE},
    "legal_hold.place": {Role.PRIVACY_OFFICER: _ANYONE},
    "legal_hold.lift": {Role.PRIVACY_OFFICER: _ANYONE},
    # readings
    "client.view": {**_EMERGENCY_READ, Role.FRONT_DESK: Grant(frozenset(), _TREAT)},
    "client.timeline": _EMERGENCY_READ,
    "note.view": _EMERGENCY_READ,
    "attachment.view": _EMERGENCY_READ,
    "note.draft.view": {
        Role.THERAPIST: Grant(_TEAM, _TREAT, emergency=True),
        Role.SUPERVISOR: Grant(_EMERGENCY, frozenset({Purpose.ETREAT})),
    },
    "client.access_report": {
        **_CLINICAL_READ,
        Role.PRIVACY_OFFICER: Grant(frozenset(), _HCOMPL),
        Role.RECORDS_CLERK: Grant(frozenset(), _PATRQT),
    },
    "client.disclosures": {
        **_CLINICAL_READ,
        Role.PRIVACY_OFFICER: Grant(frozenset(), _HCOMPL),
        Role.RECORDS_CLERK: Grant(frozenset(), _PATRQT),
    },
    "client.retention": {
        **_CLINICAL_READ,
        Role.PRIVACY_OFFICER: Grant(frozenset(), _HCOMPL),
        Role.RECORDS_CLERK: Grant(frozenset(), _PATRQT),
    },
    "retention.due": {Role.PRIVACY_OFFICER: Grant(frozenset(), _HCOMPL), Role.OPERATOR: Grant(frozenset(), _HCOMPL)},
    "export.prepare": {Role.RECORDS_CLERK: Grant(frozenset(), _PATRQT)},
    "export.fetch": {Role.RECORDS_CLERK: Grant(frozenset(), _PATRQT)},
    "client.accounting": {Role.RECORDS_CLERK: Grant(frozenset(), _PATRQT)},
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
    "audit.patterns": {Role.PRIVACY_OFFICER: Grant(frozenset(), _HCOMPL), Role.OPERATOR: Grant(frozenset(), _HCOMPL)},
    "audit.spot_checks": {
        Role.PRIVACY_OFFICER: Grant(frozenset(), _HCOMPL),
        Role.OPERATOR: Grant(frozenset(), _HCOMPL),
    },
    # the log's own proofs: hashes are for everyone who is signed in, entries for those who audit
    "log.read": dict.fromkeys(Role, _ANYONE),
    "log.entries": {Role.PRIVACY_OFFICER: Grant(frozenset(), _HCOMPL), Role.OPERATOR: Grant(frozenset(), _HCOMPL)},
    "log.witness": {**_ACCOUNTS, Role.PRIVACY_OFFICER: _ANYONE},
    # the clinic itself
    "spot_check.draw": {Role.PRIVACY_OFFICER: _ANYONE, Role.OPERATOR: _ANYONE},
    "spot_check.decide": {Role.PRIVACY_OFFICER: _ANYONE},
    "account.create": _ACCOUNTS,
    "account.change": _ACCOUNTS,
    "account.list": _ACCOUNTS,
    "account.ties": {Role.PRIVACY_OFFICER: _ANYONE, Role.OPERATOR: _ANYONE},
    "token.issue": _ACCOUNTS,
    "token.revoke": _ACCOUNTS,
    "erasure.request": {
        Role.PRIVACY_OFFICER: _ANYONE,
        Role.RECORDS_CLERK: _ANYONE,
        Role.OPERATOR: _ANYONE,
    },
    "erasure.approve": _APPROVES_ERASURE,
    "erasure.withdraw": _APPROVES_ERASURE,
    "erasure.complete": {Role.OPERATOR: _ANYONE},
    "erasure.purge": {Role.PRIVACY_OFFICER: _ANYONE, Role.OPERATOR: _ANYONE},
    "erasure.view": _ERASURE_READ,
    "erasure.certificate": {**_ERASURE_READ, Role.OPERATOR: Grant(frozenset(), _HCOMPL)},
    "erasure.list": {Role.PRIVACY_OFFICER: Grant(frozenset(), _HCOMPL), Role.OPERATOR: Grant(frozenset(), _HCOMPL)},
    "clinic.found": {Role.OPERATOR: _ANYONE},
    "clinic.policy": _ACCOUNTS,
    "clinic.load": _ACCOUNTS,
    "clinic.backup": _ACCOUNTS,
    "clinic.export": {
        Role.ADMINISTRATOR: Grant(frozenset(), _HCOMPL),
        Role.OPERATOR: Grant(frozenset(), _HCOMPL),
    },
    "views.rebuild": _ACCOUNTS,
    "clock.declare": _ACCOUNTS,
    "keys.turn": _ACCOUNTS,
}
"""Action → role → grant."""

OPEN_AFTER_ERASURE = frozenset({"erasure.view", "erasure.certificate", "erasure.approve", "erasure.purge"})
"""What may still be done about a client whose record was erased: see that it was, approve it once more, purge it."""


TOLD_WHEN_DONE = frozenset({"legal_hold.place", "legal_hold.lift", "record.import"})
"""Changes of a client's record that stand in the audit when they are done, beside the record's own history.

Whoever places and lifts what keeps a record from being erased sees the audit and not the history; and a record that
came from elsewhere begins with who brought it.
"""


def denial(action: str, role: Role, relation: Relation, purpose: Purpose | None) -> str | None:
    """Return None where the act is permitted, else why not: `role`, `relation` or `purpose`."""
    grant = TABLE.get(action, {}).get(role)
    if grant is None:
        return "role"
    if grant.relations and relation not in grant.relations:
        if not grant.emergency or relation is not Relation.EMERGENCY:
            return "relation"
        return None if not grant.purposes or purpose is Purpose.ETREAT else "purpose"
    if grant.purposes and purpose not in grant.purposes:
        return "purpose"
    return None


def needs_relation(action: str, role: Role) -> bool:
    """Tell whether the role's grant of the action depends on the client's care team."""
    grant = TABLE.get(action, {}).get(role)
    return grant is not None and bool(grant.relations)


def in_words(grant: Grant | None) -> str:
    """Return a grant for people, such as `team (TREAT) or emergency (ETREAT)`; empty where there is none."""
    if grant is None:
        return ""
    relations = " or ".join(sorted(relation.value for relation in grant.relations)) or "any relation"
    purposes = ", ".join(sorted(purpose.value for purpose in grant.purposes))
    usual = f"{relations} ({purposes})" if purposes else relations
    if not grant.emergency:
        return usual
    return f"{usual} or emergency ({Purpose.ETREAT.value})" if purposes else f"{usual} or emergency"
