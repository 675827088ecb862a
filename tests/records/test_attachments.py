"""Attachments: what is told of a file, when a picture may be kept, and that a file never changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from records.attachments import (
    KINDS,
    MAKERS,
    AttachmentAdded,
    AttachmentEnteredInError,
    AttachmentReturned,
    add_attachment,
    mark_attachment_entered_in_error,
    return_attachment,
)
from records.consent import Form, record_consent
from records.errors import ConsentMissing, InvalidContent, RuleBroken, StaleRecord, UnknownItem, VersionRequired
from tests.given import NOW, THERAPIST, Case, given
from tests.retention_cases import registered

FILE, OTHER, SESSION = UUID(int=101), UUID(int=102), UUID(int=103)
LETTER = {"kind": "letter", "made_by": "third-party", "title": "Referral letter", "media_type": "application/pdf"}
PICTURE = {"kind": "writing", "title": "A poem", "media_type": "image/jpeg", "alternative_text": "A poem by hand."}


def add(case: Case, attachment_id: UUID = FILE, **told: Any) -> Case:
    facts = {**LETTER, "size": 7, "sha256": "ab" * 32, "attachment_id": attachment_id, **told}
    return case.when(add_attachment, **facts)


def added(**told: Any) -> Case:
    case = add(given(registered()), **told)
    case.then(AttachmentAdded)
    return case


def test_an_attachment_says_what_it_is_who_made_it_and_which_bytes_it_has() -> None:
    told = {"medium": "paper", "cleaned": False, "occurred_at": NOW - timedelta(days=3)}
    (event,) = add(given(registered()), **told).then(AttachmentAdded)
    assert isinstance(event, AttachmentAdded)
    assert (event.kind, event.made_by, event.title, event.medium) == (
        "letter",
        "third-party",
        "Referral letter",
        "paper",
    )
    assert (event.media_type, event.size, event.sha256) == ("application/pdf", 7, "ab" * 32)
    assert (event.entered_by, event.occurred_at, event.subject_id) == (THERAPIST.id, NOW - timedelta(days=3), FILE)
    assert event.free_text == ("title", "alternative_text", "medium")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("maker", MAKERS)
def test_every_kind_by_every_maker_is_taken(kind: str, maker: str) -> None:
    added(kind=kind, made_by=maker)


@pytest.mark.parametrize(("field", "value"), [("kind", "tape"), ("made_by", "nobody"), ("title", " \n")])
def test_what_is_not_known_or_empty_is_refused(field: str, value: str) -> None:
    error = add(given(registered()), **{field: value}).refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == f"/{field}"


@pytest.mark.parametrize("when", [timedelta(minutes=1), timedelta(days=-365 * 200)])
def test_it_was_made_neither_ahead_nor_before_the_client_was_born(when: timedelta) -> None:
    error = add(given(registered()), occurred_at=NOW + when).refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == "/occurred_at"


def test_a_session_is_one_of_this_client() -> None:
    add(given(registered()), session_id=SESSION).refused(UnknownItem)


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png"])
@pytest.mark.parametrize("words", [None, "", "  "])
def test_a_picture_needs_words_for_whoever_cannot_see_it(media_type: str, words: str | None) -> None:
    told = {**PICTURE, "media_type": media_type, "alternative_text": words}
    error = add(given(registered()), **told).refused(InvalidContent)
    assert isinstance(error, InvalidContent)
    assert error.pointer == "/alternative_text"
    added(**told | {"alternative_text": "A poem by hand."})


def test_a_picture_of_artwork_needs_a_consent_that_is_live() -> None:
    artwork = {**PICTURE, "kind": "artwork"}
    add(given(registered()), **artwork).refused(ConsentMissing)
    case = given(registered())
    form = Form(form_id="photographs", form_version="1")
    case.when(record_consent, consent_id=OTHER, kind="photograph-artwork", outcome="given", form=form)
    case.then(*map(type, case.outcome))
    add(case, **artwork).then(AttachmentAdded)
    # What is written down of a drawing is no photograph of it.
    added(kind="artwork", media_type="text/plain")


def test_a_file_never_changes() -> None:
    add(added()).refused(RuleBroken, "attachment-already-added")
    add(added(), OTHER).then(AttachmentAdded)


def test_the_original_is_given_back_once_on_its_version() -> None:
    case = added()
    case.when(return_attachment, attachment_id=FILE).refused(VersionRequired)
    case = added()
    case.when(return_attachment, attachment_id=FILE, if_match=1).refused(StaleRecord)
    case = added()
    (event,) = case.when(return_attachment, attachment_id=FILE, if_match=2).then(AttachmentReturned)
    assert (event.lifecycle, case.record.attachments[FILE].returned) == ("amend", True)
    case.when(return_attachment, attachment_id=FILE).then()
    added().when(return_attachment, attachment_id=OTHER, if_match=2).refused(UnknownItem)


def test_what_was_entered_in_error_is_marked_with_a_reason_on_its_version() -> None:
    told = {"attachment_id": FILE, "reason": "Another client's."}
    added().when(mark_attachment_entered_in_error, **told).refused(VersionRequired)
    added().when(mark_attachment_entered_in_error, **told, if_match=1).refused(StaleRecord)
    added().when(mark_attachment_entered_in_error, **told | {"reason": " "}, if_match=2).refused(InvalidContent)
    added().when(mark_attachment_entered_in_error, **told | {"attachment_id": OTHER}, if_match=2).refused(UnknownItem)
    case = added()
    (event,) = case.when(mark_attachment_entered_in_error, **told, if_match=2).then(AttachmentEnteredInError)
    assert (event.lifecycle, case.record.attachments[FILE].status) == ("deprecate", "entered-in-error")
    case.when(mark_attachment_entered_in_error, **told).then()
    case.when(return_attachment, attachment_id=FILE, if_match=3).refused(RuleBroken, "attachment-entered-in-error")
