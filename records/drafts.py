"""Drafts of notes: sealed rows of their author's only, outside the log, gone when the note is signed.

Source: DOMAIN 4 (life of a note); CRYPTO 1 (mutable sealed rows).

Rules:
- A draft belongs to one note id and one author; both are bound into its seal, so nobody else can open it.
- Saving builds on the revision that was read (If-Match); the first save needs none.
- Signing names the hash of the text that was seen; another text is refused. The draft is deleted in the same commit.
- A signed note has no draft again.

A draft is in no view and no export, and its text is never in the log until it is signed.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

import msgspec

from records.access_log import reason_of
from records.errors import Refused, RuleBroken, SealBroken, StaleRecord, UnknownItem, VersionRequired
from records.ledger import NO_LEAF
from records.notes import require_sections, sign_note, text_digest
from records.reader import Asked, Built, Reader
from records.request import Outcome, Request
from records.sealing import Place, key_id_of, open_row, seal_row
from records.service import Service
from records.store import Store
from records.store.unit import RowDelete, RowPut, Unit

PLACE = "draft"
SCHEMA = 1


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What an author has written so far."""

    kind: str
    format: str
    sections: dict[str, str]
    session_id: UUID | None = None


# Made when this is imported, by one thread; see `records.catalogue`.
_DECODER = msgspec.json.Decoder(Draft)


class SavedDraft(NamedTuple):
    """A draft as it is stored: its revision (the ETag) and the digest to sign it by."""

    revision: int
    text_sha256: str


class Drafts:
    """Saves drafts and signs them."""

    def __init__(self, service: Service, store: Store) -> None:
        self._service = service
        self._store = store

    def save(self, client_id: UUID, note_id: UUID, draft: Draft, request: Request) -> SavedDraft:
        """Save a draft, durable when it returns.

        Raises:
            NotPermitted, UnknownClient: and the refusal is recorded.
            RuleBroken: `note-already-signed`.
            UnknownItem: the draft under this id is somebody else's.
            InvalidContent: the sections do not fit the format.
            VersionRequired, StaleRecord: the revision that was read is missing or old.
        """
        self._service.admit("note.draft", client_id, request)
        try:
            revision = self._next_revision(client_id, note_id, draft, request)
        except Refused as refusal:
            self._service.refuse("note.draft", client_id, request, reason_of(refusal), resource=note_id)
            raise
        reader = self._service.reader
        place = Place(reader.deployment_id, PLACE, client_id, revision)
        bound = (note_id.bytes, request.actor.id.encode())
        state = seal_row(reader.record_key(client_id), place, SCHEMA, NO_LEAF, bound, msgspec.json.encode(draft))
        self._store.commit(Unit(puts=(RowPut(PLACE, note_id, client_id, revision, state),)))
        stored = self._store.row(PLACE, note_id)
        # The row moves only forward: where another save of this revision came first, ours changed nothing.
        if stored is None or stored.state != state:
            raise StaleRecord("the draft moved since it was read")
        return SavedDraft(revision, text_digest(draft.sections))

    def sign(self, client_id: UUID, note_id: UUID, text_sha256: str, request: Request) -> Outcome:
        """Sign the draft whose text was seen.

        Raises:
            UnknownItem: the actor has no draft under this id.
            StaleRecord: the draft's text is not the one that was seen.
            Refused: as `records.notes.sign_note`.
        """
        self._service.admit(sign_note.permission, client_id, request)
        try:
            found = open_draft(self._service.reader, client_id, note_id, request.actor.id)
            if found is not None and text_digest(found[1].sections) != text_sha256:
                raise StaleRecord("the draft moved since it was read")
            if found is None:
                replay = self._service.replay(client_id, sign_note, request)
                if replay is not None:
                    return replay
                raise UnknownItem("draft")
        except Refused as refusal:
            self._service.refuse(sign_note.permission, client_id, request, reason_of(refusal), resource=note_id)
            raise
        return self._service.transact(
            client_id,
            sign_note,
            request,
            beside=Unit(deletes=(RowDelete(PLACE, note_id),)),
            note_id=note_id,
            **msgspec.structs.asdict(found[1]),
        )

    def _next_revision(self, client_id: UUID, note_id: UUID, draft: Draft, request: Request) -> int:
        record = self._service.client(client_id)
        if note_id in record.notes:
            raise RuleBroken("note-already-signed", "A signed note never changes; add an addendum or amend it.")
        require_sections(draft.format, draft.sections)
        if draft.session_id is not None:
            record.require_session(draft.session_id)
        found = open_draft(self._service.reader, client_id, note_id, request.actor.id)
        if found is None:
            return 1
        if request.if_match is None:
            raise VersionRequired("If-Match is required")
        if request.if_match != found[0]:
            raise StaleRecord("the draft moved since it was read")
        return found[0] + 1


def open_draft(reader: Reader, client_id: UUID, note_id: UUID, author: str) -> tuple[int, Draft] | None:
    """Return an author's own draft with its revision, or None where there is none under this id.

    Raises:
        UnknownItem: it is somebody else's, or another client's.
        SealBroken: it opens for nobody.
    """
    row = reader.sealed_row(PLACE, note_id)
    if row is None:
        return None
    if row.stream != client_id:
        raise UnknownItem("draft")
    key = reader.record_key(client_id, key_id_of(row.state))
    place = Place(reader.deployment_id, PLACE, client_id, row.version)

    def opened_for(person: str) -> bytes | None:
        try:
            return open_row(key, place, SCHEMA, NO_LEAF, (note_id.bytes, person.encode()), row.state)
        except SealBroken:
            return None

    content = opened_for(author)
    if content is not None:
        return row.version, _DECODER.decode(content)
    if any(opened_for(str(staff_id)) is not None for staff_id in reader.directory.staff):
        raise UnknownItem("draft")
    raise SealBroken("a draft that opens for nobody")


class DraftView:
    """An author's reading of their own draft."""

    action = "note.draft.view"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Return the draft as plain data.

        Raises:
            UnknownItem: the reader has no draft under this id.
        """
        if asked.client_id is None or asked.resource is None:
            raise UnknownItem("draft")
        found = open_draft(reader, asked.client_id, asked.resource, asked.actor.id)
        if found is None:
            raise UnknownItem("draft")
        revision, draft = found
        document = msgspec.to_builtins(draft)
        return Built(
            {**document, "id": asked.resource, "revision": revision, "text_sha256": text_digest(draft.sections)}
        )


DRAFT_VIEW = DraftView()
