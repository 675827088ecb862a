"""Exports as readings: what would be released now, and the bundle of a release that was recorded.

Source: the decision on exports; AUDIT A4, E1, E2.

- Preparing opens the whole record, so it is a reading; so is each fetching of a bundle. That holds for one event, too.
- A bundle is made anew from the release and handed out only where its manifest is the one that was released.
- What was prepared last is held in memory for the one fetching that follows, and forgotten when its client is erased.
  One event is not held, nor its key: whether it was entered in error is asked again.

It records no release (`projections.export.releasing`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple
from uuid import UUID

import msgspec

from projections.export.attached import file_name
from projections.export.bundle import Files, to_files
from projections.export.event_bundle import to_event_files
from projections.export.gathering import gather
from projections.export.material import ExportedRecord
from projections.export.one_event import DisclosedEvent, gather_event
from projections.export.proof import Release, prove, prove_entries
from projections.export.record_schema import record_schema
from projections.export.zipped import zip_pieces
from projections.log_proofs import LogProofs
from projections.pages import last_version
from records.attachment_files import check_file, open_parts
from records.disclosures import DisclosureMade
from records.errors import RuleBroken, UnknownClient, UnknownItem
from records.event import Recorded
from records.payload import Segment
from records.reader import Asked, Built, Reader

Pages = Callable[[ExportedRecord, bool], dict[str, bytes]]

_LOOK_BACK = 64


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What a release would name: the place in the log, the manifest's digest, and how much it holds."""

    at: int
    manifest_sha256: str
    events: int
    readings: int
    left_out: int


class _Made(NamedTuple):
    """An export that was made: of what, and its files."""

    record: ExportedRecord
    files: Files


class Exports:
    """Makes exports of one clinic's records. Any thread may use it.

    Args:
        verifier: returns the text of `verify.py`.
        pages: writes the pages of a record (with the one on paper, where asked for), name → content.
    """

    def __init__(self, verifier: Callable[[], bytes], pages: Pages) -> None:
        self._verifier = verifier
        self._pages = pages
        self._lock = threading.Lock()
        self._held: _Made | None = None
        self.preparing = PreparingView(self)
        self.bundles = BundleView(self)

    def make_ready(self) -> None:
        """Make what is the same in every bundle, which is kept, so that no export waits for it."""
        self._verifier()
        record_schema()

    def make(self, reader: Reader, client_id: UUID, at: int | None, *, pdf: bool) -> _Made:
        """Make the files of a bundle but for its proof.

        Raises:
            UnknownClient, InvalidContent, RuleBroken, Erased: see `gather`.
        """
        record = gather(reader, client_id, at)
        return _Made(record, to_files(record, self._pages(record, pdf), self._verifier()))

    def make_one(self, reader: Reader, client_id: UUID, index: int) -> tuple[DisclosedEvent, Files]:
        """Make the files of the bundle of one event but for its proof.

        Raises:
            UnknownItem, RuleBroken, Erased: see `gather_event`.
        """
        event = gather_event(reader, client_id, index)
        return event, to_event_files(event, self._verifier())

    def hold(self, made: _Made) -> None:
        """Hold what was prepared, instead of what was held before."""
        with self._lock:
            self._held = made

    def take(self, client_id: UUID, manifest_sha256: str | None) -> _Made | None:
        """Return what is held where it is the export of this manifest, and hold it no more."""
        with self._lock:
            held = self._held
            if held is None or (held.record.client_id, held.files.manifest_sha256) != (client_id, manifest_sha256):
                return None
            self._held = None
            return held

    def forget(self, client_id: UUID) -> None:
        """Drop what is held of a client."""
        with self._lock:
            if self._held is not None and self._held.record.client_id == client_id:
                self._held = None


class PreparingView:
    """What an export would hold now.

    Parameters of the view: `at` (an index of the log; None is the newest checkpoint's size), `pdf`; or `event`, the
    index of one event.
    """

    action = "export.prepare"

    def __init__(self, exports: Exports) -> None:
        self._exports = exports

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Make it and keep its digest.

        Raises:
            UnknownClient, InvalidContent, RuleBroken: see `gather`.
            UnknownItem, RuleBroken: see `gather_event`.
            SealBroken: the file of an attachment is missing, or is another one.
        """
        index = asked.parameters.get("event")
        if index is not None:
            _, files = self._exports.make_one(reader, _client_of(asked), index)
            sha256 = files.manifest_sha256
            return Built(Prepared(at=index + 1, manifest_sha256=sha256, events=1, readings=0, left_out=0))
        at, pdf = asked.parameters.get("at"), bool(asked.parameters.get("pdf"))
        made = self._exports.make(reader, _client_of(asked), at, pdf=pdf)
        record, files = made
        # What cannot be given is found before anything is released.
        for each in files.attached:
            check_file(reader, record.client_id, each)
        self._exports.hold(made)
        prepared = Prepared(
            at=record.at,
            manifest_sha256=files.manifest_sha256,
            events=len(record.events),
            readings=len(record.readings),
            left_out=sum(each.count for each in record.left_out),
        )
        return Built(prepared)


class BundleView:
    """The zip of a release; `resource` is the disclosure's id."""

    action = "export.fetch"

    def __init__(self, exports: Exports) -> None:
        self._exports = exports

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Make the bundle anew; return its zip in pieces, which open what was attached as they are asked for.

        Raises:
            UnknownItem: the record has no release of this id.
            RuleBroken: `export-changed`: what can be made now is not what was released; `export-not-signed`; of one
                event, see `gather_event`.
        """
        client_id = _client_of(asked)
        recorded, salted, released = _released(reader, client_id, asked.resource)
        export = released.export
        if export is None:
            raise UnknownItem("export")
        release = Release(index=recorded.index, salted=salted)
        if export.event is not None:
            event, files = self._exports.make_one(reader, client_id, export.event)
            _require_same(files, released)
            (entry,) = reader.log_entries(export.event, export.event + 1)
            proof = prove_entries(reader, LogProofs(reader), {export.event: entry}, release)
            return Built(zip_pieces((files.files | proof).items(), (), event.recorded.logged_at))
        made = self._exports.take(client_id, released.manifest_sha256)
        if made is None:
            made = self._exports.make(reader, client_id, export.at, pdf=export.pdf)
        _require_same(made.files, released)
        proof = prove(reader, LogProofs(reader), made.record, release)
        opened = _opened(reader, client_id, made.files)
        return Built(zip_pieces((made.files.files | proof).items(), opened, made.record.as_of))


def _opened(reader: Reader, client_id: UUID, files: Files) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield name and parts of what was attached, one by one."""
    for each in files.attached:
        yield file_name(each), open_parts(reader, client_id, each)


def _require_same(files: Files, released: DisclosureMade) -> None:
    if files.manifest_sha256 != released.manifest_sha256:
        raise RuleBroken("export-changed", "This export cannot be made anew as it was released; release it again.")


def _released(
    reader: Reader, client_id: UUID, disclosure_id: UUID | None
) -> tuple[Recorded, tuple[tuple[bytes, Segment], ...], DisclosureMade]:
    """Return the disclosure of this id, looking from the newest event back.

    Raises:
        UnknownItem: the record has none.
        Erased: the record is closed.
    """
    newest = last_version(lambda after, upto: reader.rows(client_id, after, upto))
    while newest > 0:
        after = max(newest - _LOOK_BACK, 0)
        rows = reader.rows(client_id, after, newest)
        for recorded, salted in reader.open_salted(client_id, rows):
            event = recorded.event
            if isinstance(event, DisclosureMade) and event.disclosure_id == disclosure_id:
                return recorded, salted, event
        newest = after
    raise UnknownItem("export")


def _client_of(asked: Asked) -> UUID:
    if asked.client_id is None:
        raise UnknownClient("an export is of one client")
    return asked.client_id
