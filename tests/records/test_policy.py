"""The policy table, cell by cell: what is not granted is refused, and nobody's role opens a record by itself."""

from __future__ import annotations

import itertools

import pytest

from records import catalogue, drafts
from records.actors import Purpose, Relation, Role
from records.decision import Decision
from records.policy import TABLE, denial, needs_relation

NONE, TEAM, SUPERVISES, EMERGENCY = Relation
CELLS = list(itertools.product(TABLE, Role, Relation, (None, *Purpose)))
CLINICAL_TEXT = ("client.timeline", "note.view", "note.draft.view", "attachment.view")
READINGS = {action for action, row in TABLE.items() if any(grant.purposes for grant in row.values())}

PERMITTED = """
account.change            administrator:any operator:any
account.create            administrator:any operator:any
account.list              administrator:any operator:any
account.ties              operator:any privacy_officer:any
assessment.error          therapist:team
assessment.record         therapist:team
audit.patterns            operator:any:HCOMPL privacy_officer:any:HCOMPL
audit.spot_checks         operator:any:HCOMPL privacy_officer:any:HCOMPL
audit.view                operator:any:HCOMPL privacy_officer:any:HCOMPL
care_team.change          administrator:any front_desk:any operator:any therapist:team
care_team.join            supervisor:emergency therapist:emergency
breach.review             supervisor:supervises therapist:team
caseload.view             supervisor:any:HQUALIMP therapist:any:TREAT
client.access_report      privacy_officer:any:HCOMPL records_clerk:any:PATRQT
client.access_report      supervisor:supervises:HQUALIMP therapist:team:TREAT
export.prepare            records_clerk:any:PATRQT
export.fetch              records_clerk:any:PATRQT
export.release            records_clerk:any
record.import             records_clerk:any
client.accounting         records_clerk:any:PATRQT
client.death              front_desk:any therapist:team
client.retention          privacy_officer:any:HCOMPL records_clerk:any:PATRQT
client.retention          supervisor:supervises:HQUALIMP therapist:team:TREAT
legal_hold.place          privacy_officer:any
legal_hold.lift           privacy_officer:any
retention.due             operator:any:HCOMPL privacy_officer:any:HCOMPL
client.disclosures        privacy_officer:any:HCOMPL records_clerk:any:PATRQT
client.disclosures        supervisor:supervises:HQUALIMP therapist:team:TREAT
client.identity           front_desk:any therapist:team
client.list               front_desk:any:TREAT records_clerk:any:PATRQT supervisor:any:HQUALIMP therapist:any:TREAT
client.register           front_desk:any therapist:any
client.timeline           supervisor:supervises:HQUALIMP therapist:team:TREAT
client.timeline           supervisor:emergency:ETREAT therapist:emergency:ETREAT
client.view               front_desk:any:TREAT supervisor:supervises:HQUALIMP therapist:team:TREAT
client.view               supervisor:emergency:ETREAT therapist:emergency:ETREAT
clinic.backup              administrator:any operator:any
clinic.export             administrator:any:HCOMPL operator:any:HCOMPL
clinic.found              operator:any
clinic.load                administrator:any operator:any
clinic.policy             administrator:any operator:any
clock.declare             administrator:any operator:any
keys.turn                 administrator:any operator:any
attachment.add            therapist:team
attachment.change         therapist:team
attachment.error          therapist:team
attachment.view           supervisor:supervises:HQUALIMP therapist:team:TREAT
attachment.view           supervisor:emergency:ETREAT therapist:emergency:ETREAT
consent.error             therapist:team
consent.record            therapist:team
consent.withdraw          therapist:team
disclosure.error          records_clerk:any therapist:team
disclosure.record         records_clerk:any therapist:team
emergency.approve         privacy_officer:any supervisor:any therapist:any
emergency.grant           supervisor:any therapist:any
emergency.open            supervisor:any therapist:any
episode.close             front_desk:any therapist:team
episode.open              front_desk:any therapist:team
episode.protocol          therapist:team
episode.phase             therapist:team
goal.error                therapist:team
erasure.approve           privacy_officer:any supervisor:any
erasure.certificate       operator:any:HCOMPL privacy_officer:any:HCOMPL records_clerk:any:PATRQT supervisor:any:HCOMPL
erasure.complete          operator:any
erasure.list              operator:any:HCOMPL privacy_officer:any:HCOMPL
erasure.purge             operator:any privacy_officer:any
erasure.request           operator:any privacy_officer:any records_clerk:any
erasure.view              privacy_officer:any:HCOMPL records_clerk:any:PATRQT supervisor:any:HCOMPL
erasure.withdraw          privacy_officer:any supervisor:any
goal.change               therapist:team
goal.rate                 therapist:team
goal.set                  therapist:team
log.entries               operator:any:HCOMPL privacy_officer:any:HCOMPL
log.read                  administrator:any front_desk:any operator:any privacy_officer:any records_clerk:any
log.read                  supervisor:any therapist:any
log.witness               administrator:any operator:any privacy_officer:any
note.addend               therapist:team
note.amend                therapist:team
note.draft                supervisor:emergency therapist:team therapist:emergency
note.draft.view           therapist:team:TREAT supervisor:emergency:ETREAT therapist:emergency:ETREAT
note.error                therapist:team
note.sign                 supervisor:emergency therapist:team therapist:emergency
note.view                 supervisor:supervises:HQUALIMP therapist:team:TREAT
note.view                 supervisor:emergency:ETREAT therapist:emergency:ETREAT
review.close              privacy_officer:any supervisor:any
review.list               privacy_officer:any:HCOMPL supervisor:any:HCOMPL
review.view               privacy_officer:any:HCOMPL supervisor:any:HCOMPL
risk.assess               supervisor:supervises supervisor:emergency therapist:team therapist:emergency
risk.error                supervisor:supervises therapist:team
risk.clear                supervisor:supervises therapist:team
second_factor.enrol       administrator:any operator:any
second_factor.use         privacy_officer:any supervisor:any therapist:any
session.attend            front_desk:any therapist:team
session.error             therapist:team
session.book              front_desk:any therapist:team
session.cancel            front_desk:any therapist:team
session.hold              therapist:team
spot_check.decide         privacy_officer:any
spot_check.draw           operator:any privacy_officer:any
token.issue               administrator:any operator:any
token.revoke              administrator:any operator:any
views.rebuild              administrator:any operator:any
"""
"""Every grant there is, written once more by hand: action, then role:relation or role:relation:purpose."""

GRANTS = [line.split() for line in PERMITTED.strip().splitlines()]


def test_the_table_grants_what_is_written_here_and_nothing_else() -> None:
    allowed: dict[str, set[tuple[Role, Relation, Purpose | None]]] = {}
    for action, role, relation, purpose in CELLS:
        if denial(action, role, relation, purpose) is None:
            allowed.setdefault(action, set()).add((role, relation, purpose))
    expected: dict[str, set[tuple[Role, Relation, Purpose | None]]] = {}
    for action, *grants in GRANTS:
        for grant in grants:
            who, how, *why = grant.split(":")
            relations = list(Relation) if how == "any" else [Relation(how)]
            purposes: list[Purpose | None] = [Purpose(why[0])] if why else [None, *Purpose]
            for cell in itertools.product([Role(who)], relations, purposes):
                expected.setdefault(action, set()).add(cell)
    assert allowed == expected


@pytest.mark.parametrize("role", Role)
def test_an_act_that_is_not_in_the_table_is_forbidden(role: Role) -> None:
    assert denial("record.destroy", role, TEAM, Purpose.TREAT) == "role"


@pytest.mark.parametrize("role", [Role.PRIVACY_OFFICER, Role.ADMINISTRATOR, Role.OPERATOR, Role.RECORDS_CLERK])
@pytest.mark.parametrize("action", CLINICAL_TEXT)
def test_the_offices_never_see_clinical_text(action: str, role: Role) -> None:
    assert {denial(action, role, relation, purpose) for relation in Relation for purpose in Purpose} == {"role"}


@pytest.mark.parametrize("action", CLINICAL_TEXT)
@pytest.mark.parametrize("role", Role)
def test_nobody_without_a_relation_reads_clinical_text(action: str, role: Role) -> None:
    assert all(denial(action, role, NONE, purpose) is not None for purpose in (None, *Purpose))


@pytest.mark.parametrize("action", sorted(READINGS))
def test_every_reading_needs_a_purpose(action: str) -> None:
    assert all(denial(action, role, relation, None) is not None for role in Role for relation in Relation)


def test_a_refusal_names_the_first_thing_that_is_wrong() -> None:
    assert denial("note.view", Role.FRONT_DESK, TEAM, Purpose.TREAT) == "role"
    assert denial("note.view", Role.THERAPIST, SUPERVISES, Purpose.HCOMPL) == "relation"
    assert denial("note.view", Role.THERAPIST, TEAM, Purpose.HCOMPL) == "purpose"
    assert denial("note.view", Role.THERAPIST, TEAM, Purpose.TREAT) is None


def test_whoever_has_no_emergency_access_reads_nothing_in_an_emergency() -> None:
    for relation in (NONE, TEAM, SUPERVISES):
        assert all(denial(action, role, relation, Purpose.ETREAT) is not None for action in READINGS for role in Role)


def test_an_emergency_access_opens_what_a_clinician_needs_and_to_nobody_else() -> None:
    opened = {
        (action, role)
        for action, role, relation, purpose in CELLS
        if relation is EMERGENCY
        and denial(action, role, EMERGENCY, purpose) is None
        and denial(action, role, NONE, purpose) is not None
    }
    reads = {"client.view", "client.timeline", "note.view", "note.draft.view", "attachment.view"}
    actions = reads | {"note.draft", "note.sign", "risk.assess", "care_team.join"}
    assert opened == set(itertools.product(actions, (Role.THERAPIST, Role.SUPERVISOR)))


def test_whether_a_grant_hangs_on_the_team_is_told() -> None:
    assert needs_relation("note.sign", Role.THERAPIST)
    assert not needs_relation("client.register", Role.THERAPIST)
    assert not needs_relation("note.sign", Role.ADMINISTRATOR)
    assert not needs_relation("record.destroy", Role.THERAPIST)


def test_every_decision_and_the_draft_door_have_a_row() -> None:
    decisions = [
        value for concept in catalogue.CONCEPTS for value in vars(concept).values() if isinstance(value, Decision)
    ]

    assert len(decisions) > 30
    assert {decision.permission for decision in decisions} | {"note.draft", drafts.DRAFT_VIEW.action} <= set(TABLE)
