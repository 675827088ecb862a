"""Attachments: a drawing, a letter, a form that belongs to the record; what is known of it, not its bytes.

Source: DOMAIN 4 (attachments); ISO 21089 lifecycle events.

Rules:
- An event holds what the file is, its size and its digest; the bytes lie sealed beside the log
  (`records.attachment_files`), and are nothing without the event.
- A file never changes. Another version is another attachment.
- A picture of somebody's artwork needs a live consent to photographing it. A picture needs words that stand for it, for
  whoever cannot see it.
- That the original was given back is recorded once.
- Entered in error (wrong client, for example) takes it out of the ordinary view and out of what leaves the clinic.

It opens no file and knows no key.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from records.care_codes import require_known
from records.client_record import AttachmentState, ClientRecord
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken
from records.event import Event
from records.media_files import PICTURES

# --- value types

KINDS: dict[str, str] = {
    "artwork": "Artwork",
    "writing": "Writing",
    "letter": "Letter",
    "form": "Form",
    "report": "Report",
    "other": "Other document",
}
"""Kind of attachment → label."""

MAKERS: dict[str, str] = {"client": "The client", "clinician": "A clinician", "third-party": "Somebody else"}
"""Who made it → label."""

MAX_BYTES = 25 * 1024 * 1024
"""The largest file that is kept."""

# --- events


class AttachmentAdded(Event, frozen=True, kw_only=True, tag="attachment.added"):
    """A file was added to the record. `occurred_at` is when it was made or received, as far as known. Since 1.

    Attributes:
        kind: one of `KINDS`.
        made_by: one of `MAKERS`.
        title: what it is called (free text).
        alternative_text: words that stand for a picture (free text).
        medium: what the original is made of, such as pencil on paper (free text).
        session_id: the session in which it was made or handed over; None for none.
        media_type, size, sha256: of the file as it is kept: its kind by its first bytes, its bytes, and their digest.
        cleaned: place, time and names that a camera had written into the picture were left out.
    """

    subject = "attachment_id"
    free_text = ("title", "alternative_text", "medium")

    attachment_id: UUID
    kind: str
    made_by: str
    title: str
    alternative_text: str | None = None
    medium: str | None = None
    session_id: UUID | None = None
    media_type: str
    size: int
    sha256: str
    cleaned: bool = False

    def apply(self, record: ClientRecord, version: int) -> None:
        """Add it."""
        record.attachments[self.attachment_id] = AttachmentState(version=version)


class AttachmentReturned(Event, frozen=True, kw_only=True, tag="attachment.returned"):
    """The original was given back to the client. Since 1."""

    subject = "attachment_id"
    lifecycle = "amend"

    attachment_id: UUID

    def apply(self, record: ClientRecord, version: int) -> None:
        """Note that it was given back."""
        record.attachments[self.attachment_id] = msgspec.structs.replace(
            record.attachments[self.attachment_id], version=version, returned=True
        )


class AttachmentEnteredInError(Event, frozen=True, kw_only=True, tag="attachment.entered_in_error"):
    """An attachment should not be in this record. Since 1."""

    subject = "attachment_id"
    free_text = ("reason",)
    lifecycle = "deprecate"

    attachment_id: UUID
    reason: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """Take it out of the ordinary view."""
        record.attachments[self.attachment_id] = msgspec.structs.replace(
            record.attachments[self.attachment_id], version=version, status="entered-in-error"
        )


EVENTS = (AttachmentAdded, AttachmentReturned, AttachmentEnteredInError)

# --- decisions


@decision("attachment.add")
def add_attachment(
    record: ClientRecord,
    context: Context,
    *,
    attachment_id: UUID,
    kind: str,
    made_by: str,
    title: str,
    media_type: str,
    size: int,
    sha256: str,
    cleaned: bool = False,
    alternative_text: str | None = None,
    medium: str | None = None,
    session_id: UUID | None = None,
    occurred_at: datetime | None = None,
) -> Sequence[Event]:
    """Add a file to the record; the door that keeps its bytes gives the last four of what must be given.

    Raises:
        RuleBroken: `attachment-already-added`.
        InvalidContent: a kind or maker that is not known, no title, a picture without words for it, a time that lies
            ahead or before the client was born.
        UnknownItem: the session is not one of this client's.
        ConsentMissing: a picture of artwork, and no consent to photographing it.
    """
    if attachment_id in record.attachments:
        raise RuleBroken("attachment-already-added", "A file never changes; add another one.")
    require_known("/kind", kind, KINDS)
    require_known("/made_by", made_by, MAKERS)
    if not title.strip():
        raise InvalidContent("/title", "Is empty.")
    at = occurred_at or context.at
    record.require_born("/occurred_at", at)
    if session_id is not None:
        record.require_session(session_id)
    if media_type in PICTURES:
        if not (alternative_text or "").strip():
            raise InvalidContent("/alternative_text", "A picture needs words for whoever cannot see it.")
        if kind == "artwork":
            record.require_consents(("photograph-artwork",), context.at)
    return [
        AttachmentAdded(
            attachment_id=attachment_id,
            kind=kind,
            made_by=made_by,
            title=title,
            alternative_text=alternative_text,
            medium=medium,
            session_id=session_id,
            media_type=media_type,
            size=size,
            sha256=sha256,
            cleaned=cleaned,
            **context.stamp(occurred_at),
        )
    ]


@decision("attachment.change")
def return_attachment(
    record: ClientRecord, context: Context, *, attachment_id: UUID, occurred_at: datetime | None = None
) -> Sequence[Event]:
    """Record that the original was given back, on its version; nothing to do where it was.

    Raises:
        InvalidContent: a time that lies ahead.
        UnknownItem: no such attachment in this record.
        RuleBroken: `attachment-entered-in-error`.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("attachment", record.attachments, attachment_id)
    if state.returned:
        return []
    context.require_version(state.version)
    if state.status == "entered-in-error":
        raise RuleBroken("attachment-entered-in-error", "What was entered in error was given back to nobody.")
    return [AttachmentReturned(attachment_id=attachment_id, **context.stamp(occurred_at))]


@decision("attachment.error")
def mark_attachment_entered_in_error(
    record: ClientRecord, context: Context, *, attachment_id: UUID, reason: str
) -> Sequence[Event]:
    """Take an attachment out of the ordinary view, on its version; nothing to do where that was done.

    Raises:
        UnknownItem: no such attachment in this record.
        InvalidContent: no reason.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("attachment", record.attachments, attachment_id)
    if state.status == "entered-in-error":
        return []
    context.require_version(state.version)
    if not reason.strip():
        raise InvalidContent("/reason", "Needs a reason.")
    return [AttachmentEnteredInError(attachment_id=attachment_id, reason=reason, **context.stamp())]
