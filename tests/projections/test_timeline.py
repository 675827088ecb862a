"""The history: every event once, in order, with its originals and what was corrected later."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from ops.wiring import now
from projections.timeline import TIMELINE, TimelineItem, TimelinePage
from records.actors import Role
from records.assessments import mark_assessment_entered_in_error, record_assessment
from records.consent import Form, record_consent
from records.errors import InvalidContent, UnknownClient
from records.notes import add_addendum, amend_note, mark_note_entered_in_error
from tests.clinic import StaffedClinic
from tests.projections.test_sealed_rows import outside


def pages(clinic: StaffedClinic, client: UUID, **asked: Any) -> list[TimelinePage]:
    """Return every page, followed by `next`."""
    found: list[TimelinePage] = [clinic.see(TIMELINE, client, **asked)]
    while found[-1].next is not None:
        assert len(found) < 100, "the pages do not end"
        found.append(clinic.see(TIMELINE, client, **asked, after=found[-1].next))
    return found


def items(clinic: StaffedClinic, client: UUID, **asked: Any) -> list[TimelineItem]:
    return [item for page in pages(clinic, client, **asked) for item in page.items]


def amended(clinic: StaffedClinic, client: UUID, note: UUID, text: str, if_match: int) -> None:
    clinic.do(
        client,
        amend_note,
        note_id=note,
        format="free",
        sections={"text": text},
        reason=f"because {text}",
        if_match=if_match,
    )


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("past", [False, True])
def test_the_pages_together_hold_every_event_once(
    clinic: StaffedClinic, limit: int, oldest_first: bool, past: bool
) -> None:
    client = clinic.register()
    for number in range(6):
        clinic.note(client, f"note {number}")
    extra = {"known_at": now() + timedelta(seconds=1)} if past else {}
    found = pages(clinic, client, limit=limit, oldest_first=oldest_first, **extra)
    versions = [item.version for page in found for item in page.items]
    assert versions == (list(range(1, 8)) if oldest_first else list(range(7, 0, -1)))
    assert all(len(page.items) == limit for page in found[:-1])
    assert {page.version for page in found} == {7}


def test_an_item_says_what_when_and_who(clinic: StaffedClinic) -> None:
    client = clinic.register()
    given_at = now() - timedelta(days=3)
    consent = uuid4()
    clinic.do(
        client,
        record_consent,
        consent_id=consent,
        kind="treatment",
        outcome="given",
        form=Form(form_id="treatment", form_version="3"),
        occurred_at=given_at,
        restrictions="Not to the employer.",
    )
    item = clinic.see(TIMELINE, client).items[0]
    assert (item.topic, item.subject, item.occurred_at) == ("consent.given", consent, given_at)
    assert item.recorded_at > given_at + timedelta(days=2)
    assert (item.entered_by, item.entered_by_name) == (clinic.staff[Role.THERAPIST].id, "Jo Lind")
    assert item.content["restrictions"] == "Not to the employer."
    assert item.content["consent_id"] == consent
    assert "request_id" not in item.content
    assert item.index == clinic.reader.rows(client)[-1].position
    assert msgspec.json.decode(msgspec.json.encode(item))["content"]["form"]["form_version"] == "3"


def test_an_amended_note_carries_its_earlier_texts_and_is_marked_itself(clinic: StaffedClinic) -> None:
    client = clinic.register()
    note = clinic.note(client, "first")
    amended(clinic, client, note, "second", 2)
    amended(clinic, client, note, "third", 3)
    third, second, first, _ = items(clinic, client)
    assert [text.sections["text"] for text in third.originals] == ["first", "second"]
    assert [text.text_version for text in third.originals] == [1, 2]
    assert [text.sections["text"] for text in second.originals] == ["first"]
    assert (first.corrected_by, second.corrected_by, third.corrected_by) == ((3, 4), (4,), ())
    assert not first.entered_in_error


def test_the_original_is_found_far_back_and_from_any_page(clinic: StaffedClinic) -> None:
    client = clinic.register()
    note = clinic.note(client, "long ago")
    for number in range(150):
        clinic.note(client, f"note {number}")
    amended(clinic, client, note, "new", 2)
    newest = clinic.see(TIMELINE, client, limit=1).items[0]
    assert [text.sections["text"] for text in newest.originals] == ["long ago"]
    oldest = items(clinic, client, limit=50)[-2]
    assert (oldest.version, oldest.corrected_by) == (2, (153,))


def test_what_was_entered_in_error_is_marked_and_its_mark_is_not(clinic: StaffedClinic) -> None:
    client = clinic.register()
    note, assessment = clinic.note(client), uuid4()
    clinic.do(client, record_assessment, assessment_id=assessment, measure="GAD-7", score=4)
    clinic.do(client, add_addendum, note_id=note, addendum_id=uuid4(), text="also", if_match=2)
    clinic.do(client, mark_note_entered_in_error, note_id=note, reason="other client", if_match=4)
    clinic.do(client, mark_assessment_entered_in_error, assessment_id=assessment, reason="other client", if_match=3)
    marked = {item.version: (item.entered_in_error, item.corrected_by) for item in items(clinic, client)}
    assert marked == {
        1: (False, ()),
        2: (True, (5,)),
        3: (True, (6,)),
        4: (True, (5,)),
        5: (False, ()),
        6: (False, ()),
    }


def test_as_it_was_known_a_note_had_no_amendment_yet(clinic: StaffedClinic) -> None:
    client = clinic.register()
    note = clinic.note(client, "as signed")
    before = now()
    amended(clinic, client, note, "new", 2)
    page = clinic.see(TIMELINE, client, known_at=before)
    assert [item.topic for item in page.items] == ["note.signed", "client.registered"]
    assert page.items[0].corrected_by == ()
    assert (page.version, page.known_at) == (2, before)
    assert b'"new"' not in msgspec.json.encode(page)


def test_as_valid_then_it_holds_what_had_happened(clinic: StaffedClinic) -> None:
    client = clinic.register()
    for days in (9, 4, 1):
        clinic.do(
            client,
            record_assessment,
            assessment_id=uuid4(),
            measure="GAD-7",
            score=days,
            occurred_at=now() - timedelta(days=days),
        )
    page = clinic.see(TIMELINE, client, valid_at=now() - timedelta(days=3))
    assert [item.content["score"] for item in page.items] == [4, 9]


def test_an_event_that_cannot_be_opened_keeps_its_place(clinic: StaffedClinic) -> None:
    client = clinic.register()
    clinic.note(client, "lost")
    clinic.note(client, "kept")
    outside(clinic, "DROP TRIGGER events_stand")
    outside(
        clinic,
        "UPDATE stored_events SET state = zeroblob(600) WHERE originator_id = ? AND originator_version = 2",
        client.hex,
    )
    found = items(clinic, client)
    assert [(item.version, item.topic) for item in found] == [
        (3, "note.signed"),
        (2, "unreadable"),
        (1, "client.registered"),
    ]
    assert found[1].content == {}


def test_what_cannot_be_asked_for(clinic: StaffedClinic) -> None:
    client = clinic.register()
    for limit in (0, 51):
        with pytest.raises(InvalidContent):
            clinic.see(TIMELINE, client, limit=limit)
    with pytest.raises(UnknownClient):
        clinic.see(TIMELINE, client, known_at=now() - timedelta(days=1))
    assert clinic.see(TIMELINE, client, after=1).items == ()
    assert clinic.see(TIMELINE, client, after=0).items == ()
    assert clinic.see(TIMELINE, client, after=99, oldest_first=True).items == ()
