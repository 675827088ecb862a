"""Exports as readings: what would be released now, and the bundle of a release that was recorded.

Source: the decision on exports; AUDIT A4, E1, E2.

- Preparing opens the whole record, so it is a reading; so is each fetching of a bundle.
- A bundle is made anew from the release and handed out only where its manifest is the one that was released.

It records no release (`projections.export.releasing`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

import msgspec

from projections.export.bundle import Files, Writer, to_files
from projections.export.gathering import gather
from projections.export.material import ExportedRecord
from projections.export.proof import Release, prove
from projections.export.zipped import to_zip
from projections.log_proofs import LogProofs
from records.disclosures import DisclosureMade
from records.errors import RuleBroken, UnknownClient, UnknownItem
from records.event import Recorded
from records.reader import Asked, Built, Reader
from records.store.unit import StoredRow


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What a release would name: the place in the log, the manifest's digest, and how much it holds."""

    at: int
    manifest_sha256: str
    events: int
    readings: int
    left_out: int


class Exports:
    """Makes exports of one clinic's records. Any thread may use it.

    Args:
        verifier: returns the text of `verify.py`.
        pages: name of each page of every bundle → its writer.
        paper: the writer of `record.pdf`, used where a release asks for it.
    """

    def __init__(self, verifier: Callable[[], bytes], pages: dict[str, Writer], paper: Writer) -> None:
        self._verifier = verifier
        self._pages = pages
        self._paper = paper
        self.preparing = PreparingView(self)
        self.bundles = BundleView(self)

    def files(self, record: ExportedRecord, *, pdf: bool) -> Files:
        """Return the files of a bundle but for its proof."""
        pages = {**self._pages, "record.pdf": self._paper} if pdf else self._pages
        return to_files(record, pages, self._verifier())


class PreparingView:
    """What an export would hold now.

    Parameters of the view: `at` (an index of the log; None is the newest checkpoint's size), `pdf`.
    """

    action = "export.prepare"

    def __init__(self, exports: Exports) -> None:
        self._exports = exports

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Make it and keep its digest.

        Raises:
            UnknownClient, InvalidContent, RuleBroken: see `gather`.
        """
        record = gather(reader, _client_of(asked), asked.parameters.get("at"))
        files = self._exports.files(record, pdf=bool(asked.parameters.get("pdf")))
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
        """Make the bundle anew; return its zip.

        Raises:
            UnknownItem: the record has no release of this id.
            RuleBroken: `export-changed`: what can be made now is not what was released; `export-not-signed`.
        """
        client_id = _client_of(asked)
        found = next(
            (
                (row, recorded, recorded.event)
                for row, recorded in _with_rows(reader, client_id)
                if isinstance(recorded.event, DisclosureMade) and recorded.event.disclosure_id == asked.resource
            ),
            None,
        )
        if found is None or found[2].export is None:
            raise UnknownItem("export")
        row, recorded, released = found
        assert released.export is not None, "asked above"
        record = gather(reader, client_id, released.export.at)
        files = self._exports.files(record, pdf=released.export.pdf)
        if files.manifest_sha256 != released.manifest_sha256:
            raise RuleBroken("export-changed", "This export cannot be made anew as it was released; release it again.")
        release = Release(index=recorded.index, salted=reader.salted(client_id, row))
        proof = prove(reader, LogProofs(reader), record, release)
        return Built(to_zip(files.files | proof, record.as_of))


def _with_rows(reader: Reader, client_id: UUID) -> Iterable[tuple[StoredRow, Recorded]]:
    rows = reader.rows(client_id)
    return zip(rows, reader.open(client_id, rows), strict=True)


def _client_of(asked: Asked) -> UUID:
    if asked.client_id is None:
        raise UnknownClient("an export is of one client")
    return asked.client_id
