"""Imports by their rules: the history stands as it was recorded elsewhere, makes a record, and is taken only once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from records.actors import Actor, Role
from records.client_record import ClientRecord
from records.clinic_policy import ClinicPolicy
from records.clinic_record import ClinicRecord
from records.decision import Context
from records.errors import RuleBroken
from records.event import Event, Recorded, StreamKind
from records.imports import FormerStaffNamed, Provenance, RecordImported, import_record
from records.notes import NoteAmended, NoteSigned
from records.registration import ClientRegistered, Identity
from tests.given import NOW

CLIENT = UUID("7b0f3a52-6a5e-4f1e-9a55-0c3f5f0a9f10")
THEN = datetime(2024, 5, 6, 9, tzinfo=UTC)
PROVENANCE = Provenance(
    clinic="Old Mill Clinic",
    deployment_id=uuid4(),
    origin="wellkept/log/x",
    fingerprint="0" * 64,
    pinned=True,
    at=90,
    as_of=THEN + timedelta(days=9),
    manifest_sha256="1" * 64,
    bundle_sha256="2" * 64,
    events=2,
    readings=0,
    withheld=0,
)
NOTE = uuid4()
CLERK = Actor(id="00000000-0000-4000-8000-0000000000cc", role=Role.RECORDS_CLERK)
CONTEXT = Context(actor=CLERK, at=NOW, request_id="import", policy=ClinicPolicy())


def history(**more: datetime | None) -> list[Event]:
    stamp = {"occurred_at": THEN, "entered_by": "jo", "request_id": "r", "originally_recorded_at": THEN, **more}
    return [
        ClientRegistered(identity=Identity(family="Marsh", given="Robin"), **stamp),
        NoteSigned(note_id=NOTE, kind="progress", format="free", sections={"text": "words"}, **stamp),
    ]


def imported(
    events: list[Event], record: ClientRecord | None = None, staff: dict[str, str] | None = None
) -> list[Event]:
    return list(
        import_record(
            record or ClientRecord(client_id=CLIENT),
            CONTEXT,
            import_id=uuid4(),
            history=events,
            provenance=PROVENANCE,
            staff={"jo": "Jo Lind"} if staff is None else staff,
        )
    )


def test_the_history_stands_first_and_as_it_was() -> None:
    *events, last, named = imported(history())
    assert events == history()
    assert isinstance(last, RecordImported)
    assert (last.provenance, last.entered_by, last.lifecycle) == (PROVENANCE, CLERK.id, "receive")
    assert isinstance(named, FormerStaffNamed)
    assert (named.clinic, named.names, named.stream_kind) == ("Old Mill Clinic", {"jo": "Jo Lind"}, StreamKind.CLINIC)


def test_nobody_is_named_where_nobody_is_known() -> None:
    assert [type(each) for each in imported(history(), staff={})][2:] == [RecordImported]


def test_a_record_that_is_here_is_not_imported_again() -> None:
    record = ClientRecord(client_id=CLIENT)
    record.apply(Recorded(history()[0], CLIENT, 1, 0, THEN))
    with pytest.raises(RuleBroken) as refused:
        imported(history(), record)
    assert refused.value.rule == "record-exists"


AMENDED = NoteAmended(
    note_id=uuid4(),
    format="free",
    sections={"text": "x"},
    reason="y",
    text_version=2,
    occurred_at=THEN,
    entered_by="jo",
    request_id="r",
    originally_recorded_at=THEN,
)
NAMED = FormerStaffNamed(
    clinic="x", names={}, occurred_at=THEN, entered_by="jo", request_id="r", originally_recorded_at=THEN
)


@pytest.mark.parametrize(
    "events",
    [[], history()[1:], [*history(), AMENDED], [*history(), NAMED], history(originally_recorded_at=None)],
    ids=["nothing", "nobody registered", "a note that never was", "of another stream", "recorded at no time"],
)
def test_events_that_make_no_record_are_refused(events: list[Event]) -> None:
    with pytest.raises(RuleBroken) as refused:
        imported(events)
    assert refused.value.rule == "history-broken"


def test_the_clinic_knows_the_names_of_all_who_were_named() -> None:
    clinic = ClinicRecord()
    for version, names in enumerate(({"jo": "Jo Lind"}, {"bo": "Bo Reed"}), 1):
        before = msgspec.structs.replace(clinic)
        msgspec.structs.replace(NAMED, names=names).apply(clinic, version)
        assert before.former_staff != clinic.former_staff
    assert (clinic.version, dict(clinic.former_staff)) == (2, {"jo": "Jo Lind", "bo": "Bo Reed"})


def test_it_is_decided_now_whenever_the_history_was() -> None:
    assert imported(history())[2].occurred_at == NOW
