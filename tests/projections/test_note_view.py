"""One note: every text it had, and nobody else's."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from ops.wiring import now
from projections.note_view import NOTE_VIEW, NoteDocument
from records.errors import UnknownItem
from records.notes import add_addendum, amend_note, mark_note_entered_in_error
from tests.clinic import StaffedClinic


def seen(clinic: StaffedClinic, client: UUID, note: UUID, **asked: Any) -> NoteDocument:
    document = clinic.see(NOTE_VIEW, client, resource=note, **asked)
    assert isinstance(document, NoteDocument)
    return document


def amended(clinic: StaffedClinic, client: UUID, note: UUID, text: str, if_match: int) -> None:
    content = {"format": "DAP", "sections": {"data": text}, "reason": f"because {text}"}
    clinic.do(client, amend_note, note_id=note, if_match=if_match, **content)


def test_every_text_is_shown_newest_first(clinic: StaffedClinic) -> None:
    client = clinic.register()
    note = clinic.note(client, "first")
    amended(clinic, client, note, "second", 2)
    clinic.do(client, add_addendum, note_id=note, addendum_id=uuid4(), text="also", if_match=3)
    amended(clinic, client, note, "third", 4)
    document = seen(clinic, client, note)
    assert [(each.text_version, each.version, each.format) for each in document.texts] == [
        (3, 5, "DAP"),
        (2, 3, "DAP"),
        (1, 2, "free"),
    ]
    assert [each.reason for each in document.texts] == ["because third", "because second", None]
    assert document.texts[-1].sections == {"text": "first"}
    assert [(each.text, each.version, each.author_name) for each in document.addenda] == [("also", 4, "Jo Lind")]
    assert (document.version, document.status, document.error) == (5, "signed", None)


def test_a_note_in_error_is_shown_with_its_mark(clinic: StaffedClinic) -> None:
    client = clinic.register()
    note = clinic.note(client, "of another client")
    clinic.do(client, mark_note_entered_in_error, note_id=note, reason="other client", if_match=2)
    document = seen(clinic, client, note)
    assert document.status == "entered-in-error"
    assert document.error is not None
    assert (document.error.reason, document.error.marked_by_name) == ("other client", "Jo Lind")
    assert len(document.texts) == 1


def test_it_is_shown_as_it_was_known(clinic: StaffedClinic) -> None:
    client = clinic.register()
    before_all = now()
    note = clinic.note(client, "first")
    before = now()
    amended(clinic, client, note, "second", 2)
    then = seen(clinic, client, note, known_at=before)
    assert [each.sections for each in then.texts] == [{"text": "first"}]
    assert then.version == 2
    with pytest.raises(UnknownItem):
        seen(clinic, client, note, known_at=before_all)


def test_a_note_is_found_far_back(clinic: StaffedClinic) -> None:
    client = clinic.register()
    note = clinic.note(client, "long ago")
    for number in range(140):
        clinic.note(client, f"note {number}")
    amended(clinic, client, note, "new", 2)
    assert [each.version for each in seen(clinic, client, note).texts] == [143, 2]


def test_another_clients_note_is_unknown(clinic: StaffedClinic) -> None:
    client, other = clinic.register(), clinic.register(given="Kim")
    note = clinic.note(other)
    for wanted in (note, uuid4()):
        with pytest.raises(UnknownItem):
            seen(clinic, client, wanted)
    assert clinic.reader.access_events(client)[-1].event.reason == "unknown-item"
