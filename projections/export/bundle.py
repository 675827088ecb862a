"""The files of a bundle, and their manifest: a pure function of the record below one place of the log.

Source: AUDIT E2; the decision on exports (which file is what).

- The same record gives the same bytes, so a bundle that was released is made anew whenever somebody fetches it.
- The manifest names every file outside `proof/`, and stands in the release by its digest.

It proves nothing (`projections.export.proof`) and writes no file.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from projections.export.access_files import to_access_files
from projections.export.attached import attached_to, file_name
from projections.export.material import ExportedRecord
from projections.export.readme import to_readme
from projections.export.record_json import FORMAT, left_out_of, readable_json, to_record_json
from projections.export.record_schema import record_schema
from records.attachments import AttachmentAdded

MANIFEST = "manifest.json"


class Files(NamedTuple):
    """Everything of a bundle but its proof.

    Attributes:
        files: name → bytes, in the order in which they stand in the zip, the manifest last.
        attached: whose files stand in it too, before the manifest; they are opened as they are written.
        manifest_sha256: hex digest of the manifest.
    """

    files: dict[str, bytes]
    manifest_sha256: str
    attached: tuple[AttachmentAdded, ...] = ()


def to_files(record: ExportedRecord, pages: dict[str, bytes], verifier: bytes) -> Files:
    """Return the files.

    Args:
        record: what is exported.
        pages: name → content of each further file (page, PDF, FHIR).
        verifier: the text of `verify.py`.
    """
    attached = tuple(attached_to(record.events))
    files = {"README.txt": to_readme(record, has_pdf="record.pdf" in pages, has_files=bool(attached))}
    files |= pages
    files |= {
        "record.json": to_record_json(record),
        "record.schema.json": record_schema(),
        **to_access_files(record),
        "verify.py": verifier,
    }
    manifest = {
        "format": FORMAT,
        "clinic": record.clinic,
        "deployment_id": record.deployment_id,
        "client_id": record.client_id,
        "at": record.at,
        "as_of": record.as_of,
        "events": len(record.events),
        "readings": len(record.readings),
        "left_out": left_out_of(record),
    }
    return with_manifest(files, manifest, attached)


def with_manifest(files: dict[str, bytes], told: dict[str, Any], attached: tuple[AttachmentAdded, ...] = ()) -> Files:
    """Return files with their manifest: what is told of them, then each file with its size and digest."""
    own = [(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()]
    own += [(file_name(each), each.size, each.sha256) for each in attached]
    listed = [{"name": name, "bytes": size, "sha256": sha256} for name, size, sha256 in sorted(own)]
    data = readable_json(told | {"files": listed})
    return Files(files | {MANIFEST: data}, hashlib.sha256(data).hexdigest(), attached)
