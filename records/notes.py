"""Notes: what a clinician wrote of a session, signed once and never changed.

Source: DOMAIN 4; HIPAA 164.526 and NHS guidance (a correction is linked, never written over).

Rules:
- A draft is outside the log. Signing puts the full text into the event; those bytes never change.
- New information is an addendum. A correction is an amendment with a reason; every version stays readable.
- A note that is signed more than `late_entry_hours` after what it is about is a late entry, by computation.
- Entered in error (wrong client, for example) hides a note from the ordinary view and keeps it for audit.
- A note is about one session of this client, or about none. Only its author amends it.
- Formats: SOAP, DAP, BIRP and free, each with its sections; an unknown section is refused.

It does not hold process notes or countersignatures, and it does not keep drafts (`records.drafts`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from records.client_record import ClientRecord, NoteState
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken
from records.event import Event

# --- value types

FORMATS: dict[str, tuple[str, ...]] = {
    "SOAP": ("subjective", "objective", "assessment", "plan"),
    "DAP": ("data", "assessment", "plan"),
    "BIRP": ("behaviour", "intervention", "response", "plan"),
    "free": ("text",),
}
"""Format → its sections in reading order."""

KINDS = ("progress",)


def text_digest(sections: Mapping[str, str]) -> str:
    """Return the hex SHA-256 of a note's text: each section as `name`, a line feed, its text, a zero byte.

    Sections count in the order of their names, so the digest does not depend on how they were sent.
    """
    digest = hashlib.sha256()
    for name in sorted(sections):
        digest.update(name.encode() + b"\n" + sections[name].encode() + b"\0")
    return digest.hexdigest()


# --- events


class NoteSigned(Event, frozen=True, kw_only=True, tag="note.signed"):
    """A clinician signed a note. `occurred_at` is when it was signed. Since 1.

    Attributes:
        about: when what it describes took place (a session's start); None for a note about no session.
        sections: section name → exact text (free text).
        late_entry: it was signed later than the clinic's limit after `about`.
    """

    subject = "note_id"
    free_text = ("sections",)

    note_id: UUID
    kind: str
    format: str
    sections: dict[str, str]
    session_id: UUID | None = None
    about: datetime | None = None
    late_entry: bool = False

    def apply(self, record: ClientRecord, version: int) -> None:
        """Add the note."""
        record.notes[self.note_id] = NoteState(
            version=version,
            author=self.entered_by,
            kind=self.kind,
            status="signed",
            session_id=self.session_id,
            signed_at=self.occurred_at,
        )


class NoteAddendumSigned(Event, frozen=True, kw_only=True, tag="note.addendum_signed"):
    """Information was added to a signed note. Since 1."""

    subject = "note_id"
    free_text = ("text",)
    lifecycle = "amend"

    note_id: UUID
    addendum_id: UUID
    text: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """Add the addendum's id to the note."""
        state = record.notes[self.note_id]
        record.notes[self.note_id] = msgspec.structs.replace(
            state, version=version, addenda=(*state.addenda, self.addendum_id)
        )


class NoteAmended(Event, frozen=True, kw_only=True, tag="note.amended"):
    """A signed note was corrected: this is its new full text; the older ones stay. Since 1."""

    subject = "note_id"
    free_text = ("sections", "reason")
    lifecycle = "amend"

    note_id: UUID
    format: str
    sections: dict[str, str]
    reason: str
    text_version: int

    def apply(self, record: ClientRecord, version: int) -> None:
        """Move the note to its next text."""
        record.notes[self.note_id] = msgspec.structs.replace(
            record.notes[self.note_id], version=version, text_version=self.text_version
        )


class NoteEnteredInError(Event, frozen=True, kw_only=True, tag="note.entered_in_error"):
    """A signed note should not be in this record. Since 1."""

    subject = "note_id"
    free_text = ("reason",)
    lifecycle = "deprecate"

    note_id: UUID
    reason: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """Take it out of the ordinary view."""
        record.notes[self.note_id] = msgspec.structs.replace(
            record.notes[self.note_id], version=version, status="entered-in-error"
        )


EVENTS = (NoteSigned, NoteAddendumSigned, NoteAmended, NoteEnteredInError)

# --- decisions


@decision("note.sign")
def sign_note(
    record: ClientRecord,
    context: Context,
    *,
    note_id: UUID,
    kind: str,
    format: str,
    sections: Mapping[str, str],
    session_id: UUID | None = None,
) -> Sequence[Event]:
    """Sign a note; its text stands from now on.

    Raises:
        InvalidContent: unknown kind or format, a section that the format has not, no text at all.
        UnknownItem: the session is not one of this client's.
        RuleBroken: `note-already-signed`.
    """
    if note_id in record.notes:
        raise RuleBroken("note-already-signed", "A signed note never changes; add an addendum or amend it.")
    if kind not in KINDS:
        raise InvalidContent("/kind", "Is not a known kind of note.")
    require_sections(format, sections)
    about = record.require_session(session_id).start if session_id else None
    late = about is not None and context.at - about > timedelta(hours=context.policy.late_entry_hours)
    return [
        NoteSigned(
            note_id=note_id,
            kind=kind,
            format=format,
            sections=dict(sections),
            session_id=session_id,
            about=about,
            late_entry=late,
            **context.stamp(),
        )
    ]


def require_sections(format: str, sections: Mapping[str, str]) -> None:
    """Hold a text to its format.

    Raises:
        InvalidContent: unknown format, unknown section, or nothing written.
    """
    known = FORMATS.get(format)
    if known is None:
        raise InvalidContent("/format", "Is not a known format of notes.")
    if any(name not in known for name in sections):
        raise InvalidContent("/sections", "Holds a section that this format does not have.")
    if not any(text.strip() for text in sections.values()):
        raise InvalidContent("/sections", "Holds no text.")


@decision("note.addend")
def add_addendum(
    record: ClientRecord, context: Context, *, note_id: UUID, addendum_id: UUID, text: str
) -> Sequence[Event]:
    """Add information to a signed note.

    Raises:
        UnknownItem: no such note in this record.
        RuleBroken: `note-entered-in-error`, `addendum-already-signed`.
        InvalidContent: no text.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = _standing(record, context, note_id)
    if addendum_id in state.addenda:
        raise RuleBroken("addendum-already-signed", "A signed addendum never changes; sign another one.")
    if not text.strip():
        raise InvalidContent("/text", "Holds no text.")
    return [NoteAddendumSigned(note_id=note_id, addendum_id=addendum_id, text=text, **context.stamp())]


@decision("note.amend")
def amend_note(
    record: ClientRecord,
    context: Context,
    *,
    note_id: UUID,
    format: str,
    sections: Mapping[str, str],
    reason: str,
) -> Sequence[Event]:
    """Correct a signed note with a reason; both texts can be read from now on.

    Raises:
        UnknownItem: no such note in this record.
        RuleBroken: `note-entered-in-error`, `not-the-author`.
        InvalidContent: no reason, or sections that do not fit the format.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = _standing(record, context, note_id)
    if state.author != context.actor.id:
        raise RuleBroken("not-the-author", "Only its author amends a note; others add an addendum.")
    if not reason.strip():
        raise InvalidContent("/reason", "An amendment needs a reason.")
    require_sections(format, sections)
    return [
        NoteAmended(
            note_id=note_id,
            format=format,
            sections=dict(sections),
            reason=reason,
            text_version=state.text_version + 1,
            **context.stamp(),
        )
    ]


@decision("note.error")
def mark_note_entered_in_error(
    record: ClientRecord, context: Context, *, note_id: UUID, reason: str
) -> Sequence[Event]:
    """Take a note out of the ordinary view; nothing to do where that was done.

    Raises:
        UnknownItem: no such note in this record.
        InvalidContent: no reason.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("note", record.notes, note_id)
    if state.status == "entered-in-error":
        return []
    context.require_version(state.version)
    if not reason.strip():
        raise InvalidContent("/reason", "Needs a reason.")
    return [NoteEnteredInError(note_id=note_id, reason=reason, **context.stamp())]


def _standing(record: ClientRecord, context: Context, note_id: UUID) -> NoteState:
    state = record.item("note", record.notes, note_id)
    context.require_version(state.version)
    if state.status == "entered-in-error":
        raise RuleBroken("note-entered-in-error", "A note that was entered in error is not added to.")
    return state
