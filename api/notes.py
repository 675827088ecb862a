"""Notes over HTTP: drafted, signed, added to, amended, marked as entered in error, read with all their versions.

A note is signed as it is sent, or as the draft whose text was seen (its SHA-256 names it).
"""

from __future__ import annotations

from uuid import UUID

import msgspec
from flask import Response

from api.answers import answer
from api.calls import Change, Reading
from api.concept import Concept
from api.consents import SHA256_PATTERN, ReasonBody
from api.door import PastQuery, changes, reads
from api.fields import NOTE_LENGTH, Body, Code, Id, Text, Words
from api.json_body import LARGE_BYTES
from projections.note_view import NOTE_VIEW, NoteDocument
from records.drafts import DRAFT_VIEW, Draft
from records.notes import FORMATS, KINDS, add_addendum, amend_note, mark_note_entered_in_error, sign_note

SECTIONS = tuple(dict.fromkeys(section for sections in FORMATS.values() for section in sections))


class TextBody(Body):
    """The text of a note, section by section, as its format has them."""

    format = Code(FORMATS, required=True)
    sections = Words(SECTIONS, most=NOTE_LENGTH, required=True)


class DraftBody(TextBody):
    """What an author has written so far."""

    kind = Code(KINDS, required=True)
    session_id = Id(allow_none=True)


class NoteBody(DraftBody):
    """A note to sign."""

    id = Id()


class SignatureBody(Body):
    """The SHA-256 of the text that was seen, as the draft gives it."""

    text_sha256 = Code(required=True, pattern=SHA256_PATTERN)


class AddendumBody(Body):
    """New information."""

    id = Id()
    text = Text(NOTE_LENGTH, required=True)


class AmendmentBody(TextBody):
    """The corrected text, and why."""

    reason = Text(required=True)


class DraftSaved(msgspec.Struct, frozen=True, kw_only=True):
    """A draft was saved: its revision is its ETag, and its text is signed by its digest."""

    id: UUID
    version: int
    text_sha256: str


class DraftDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An author's own draft."""

    id: UUID
    revision: int
    kind: str
    format: str
    sections: dict[str, str]
    session_id: UUID | None = None
    text_sha256: str


class DraftQuery(Body):
    """A draft has one state, so nothing is asked about it."""


NOTE = {"kind": "progress", "format": "free", "sections": {"text": "Came on time. Spoke of her sister."}}
AMENDMENT = {"format": "free", "sections": {"text": "Came on time. Spoke of her aunt."}, "reason": "It was her aunt."}

blueprint = Concept("notes", "Notes and their drafts")


@blueprint.route("/clients/<uuid:client_id>/notes", methods=["POST"])
@changes(sign_note, body=NoteBody, example=NOTE, located=True, most_bytes=LARGE_BYTES)
def sign_a_note(change: Change, client_id: UUID) -> Response:
    """Sign a note; its text never changes."""
    note_id = change.new_id()
    return change.write(client_id, note_id, location=_address(client_id, note_id), note_id=note_id)


@blueprint.route("/clients/<uuid:client_id>/notes/<uuid:note_id>", methods=["GET"])
@reads(NOTE_VIEW, query=PastQuery, document=NoteDocument, tagged=True)
def show_note(reading: Reading, client_id: UUID, note_id: UUID) -> Response:
    """Show a note with all its versions."""
    document = reading.show(NOTE_VIEW, client_id, note_id)
    return answer(document, version=document.version)


@blueprint.route("/clients/<uuid:client_id>/notes/<uuid:note_id>/draft", methods=["PUT"])
@changes(
    "note.draft",
    body=DraftBody,
    example=NOTE,
    document=DraftSaved,
    versioned=True,
    statuses=(200,),
    most_bytes=LARGE_BYTES,
)
def save_draft(change: Change, client_id: UUID, note_id: UUID) -> Response:
    """Save one's own draft of a note."""
    saved = change.drafts.save(client_id, note_id, Draft(**change.body), change.request)
    document = DraftSaved(id=note_id, version=saved.revision, text_sha256=saved.text_sha256)
    return answer(document, version=saved.revision)


@blueprint.route("/clients/<uuid:client_id>/notes/<uuid:note_id>/draft", methods=["GET"])
@reads(DRAFT_VIEW, query=DraftQuery, document=DraftDocument, tagged=True)
def show_draft(reading: Reading, client_id: UUID, note_id: UUID) -> Response:
    """Show one's own draft of a note."""
    document = reading.show(DRAFT_VIEW, client_id, note_id)
    return answer(document, version=document["revision"])


@blueprint.route("/clients/<uuid:client_id>/notes/<uuid:note_id>/signature", methods=["POST"])
@changes(sign_note, body=SignatureBody, example={"text_sha256": "9f86d0" + "0" * 58}, located=True, further=(412,))
def sign_draft(change: Change, client_id: UUID, note_id: UUID) -> Response:
    """Sign one's own draft, by the digest of the text that was seen."""
    outcome = change.drafts.sign(client_id, note_id, change.body["text_sha256"], change.request)
    return change.written(outcome, client_id, note_id, _address(client_id, note_id))


@blueprint.route("/clients/<uuid:client_id>/notes/<uuid:note_id>/addenda", methods=["POST"])
@changes(add_addendum, body=AddendumBody, example={"text": "She rang later."}, versioned=True, most_bytes=LARGE_BYTES)
def add_an_addendum(change: Change, client_id: UUID, note_id: UUID) -> Response:
    """Add information to a signed note; the answer's id is the note's."""
    addendum_id = change.new_id()
    return change.write(client_id, note_id, note_id=note_id, addendum_id=addendum_id)


@blueprint.route("/clients/<uuid:client_id>/notes/<uuid:note_id>/amendments", methods=["POST"])
@changes(amend_note, body=AmendmentBody, example=AMENDMENT, versioned=True, most_bytes=LARGE_BYTES)
def amend_a_note(change: Change, client_id: UUID, note_id: UUID) -> Response:
    """Correct a signed note with a reason; both texts can be read."""
    return change.write(client_id, note_id, note_id=note_id)


@blueprint.route("/clients/<uuid:client_id>/notes/<uuid:note_id>/error", methods=["POST"])
@changes(mark_note_entered_in_error, body=ReasonBody, example={"reason": "Another client's note."}, versioned=True)
def mark_note_error(change: Change, client_id: UUID, note_id: UUID) -> Response:
    """Take a note out of the ordinary view; it stays for audit."""
    return change.write(client_id, note_id, note_id=note_id)


def _address(client_id: UUID, note_id: UUID) -> str:
    return f"/v1/clients/{client_id}/notes/{note_id}"
