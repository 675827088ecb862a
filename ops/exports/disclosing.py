"""One event disclosed as a command does it: released with its key, signed, and fetched at once.

Source: the decision on disclosing one entry; CRYPTO 1 and 4.

- Whose event it is, the log says; whoever may not release learns nothing of that.
- The zip comes in pieces, and nothing of it stays here.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import msgspec

from ops.exports.exporting import release_and_fetch
from ops.wiring import Clinic
from projections.export.releasing import ONE_ENTRY
from records.disclosures import release_export
from records.errors import UnknownItem
from records.ledger import KeyClass, Kind, read_entry
from records.reader import Reader
from records.request import Request


class DiscloseAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which event is given, to whom and why; see `records.disclosures.record_disclosure`.

    Attributes:
        event: its ledger index.
        authorised_by: staff id of who answers for it; None is whoever asks.
    """

    event: int
    recipient_kind: str
    recipient: str
    recipient_address: str | None = None
    description: str = ONE_ENTRY
    purpose: str
    basis: str
    consent_id: UUID | None = None
    authorised_by: str | None = None
    reason: str | None = None
    second_person: str | None = None


class Disclosed(msgspec.Struct, frozen=True, kw_only=True):
    """What was given: its disclosure, and whose event it is."""

    id: UUID
    client: UUID
    event: int
    manifest_sha256: str


def disclose_event(
    clinic: Clinic, request: Request, disclosure_id: UUID, asked: DiscloseAsked
) -> tuple[Disclosed, Iterator[bytes]]:
    """Release one event and fetch its bundle; return what was given, and the zip in pieces.

    A crash before the release is durable leaves nothing; after it, a release whose bundle can be fetched.

    Raises:
        UnknownItem: no event of a client is at this index.
        Refused: nothing was released.
        RuleBroken: `export-not-signed`: released, but nothing signs the log; fetch it over HTTP later.
    """
    # Before the log is asked: an index of the log tells whose it is only to those who may release.
    clinic.service.admit(release_export.permission, None, request)
    client_id = client_of(clinic.service.reader, asked.event)
    told = msgspec.structs.asdict(asked)
    prepared, bundle = release_and_fetch(clinic, request, client_id, disclosure_id, at=None, pdf=False, **told)
    given = Disclosed(id=disclosure_id, client=client_id, event=asked.event, manifest_sha256=prepared.manifest_sha256)
    return given, bundle


def client_of(reader: Reader, index: int) -> UUID:
    """Return whose record the entry at an index of the log belongs to.

    Raises:
        UnknownItem: it is no event of a client's record, or there is no such entry.
    """
    if 0 <= index <= reader.position():
        entry = read_entry(*reader.log_entries(index, index + 1))
        if (entry.kind, entry.key_class) == (Kind.EVENT, KeyClass.RECORD):
            return UUID(bytes=entry.stream)
    raise UnknownItem("event")
