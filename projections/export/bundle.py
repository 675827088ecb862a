"""The files of a bundle, and their manifest: a pure function of the record below one place of the log.

Source: AUDIT E2; the decision on exports (which file is what).

- The same record gives the same bytes, so a bundle that was released is made anew whenever somebody fetches it.
- The manifest names every file outside `proof/`, and stands in the release by its digest.

It proves nothing (`projections.export.proof`) and writes no file.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec

from projections.export.access_files import to_access_files
from projections.export.material import REASONS, ExportedRecord
from projections.export.readme import to_readme
from projections.export.record_json import FORMAT, to_record_json
from projections.export.record_schema import record_schema

MANIFEST = "manifest.json"


class Files(NamedTuple):
    """Everything of a bundle but its proof.

    Attributes:
        files: name → bytes, in the order in which they stand in the zip, the manifest last.
        manifest_sha256: hex digest of the manifest.
    """

    files: dict[str, bytes]
    manifest_sha256: str


def to_files(record: ExportedRecord, pages: dict[str, bytes], verifier: bytes) -> Files:
    """Return the files.

    Args:
        record: what is exported.
        pages: name → content of each further file (page, PDF, FHIR).
        verifier: the text of `verify.py`.
    """
    files = {"README.txt": to_readme(record, has_pdf="record.pdf" in pages)}
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
        "left_out": [
            {"reason": each.reason, "count": each.count, "explanation": REASONS[each.reason]}
            for each in record.left_out
        ],
        "files": [
            {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in sorted(files.items())
        ],
    }
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    return Files(files | {MANIFEST: data}, hashlib.sha256(data).hexdigest())
