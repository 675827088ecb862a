"""What lies in a bundle beside the record itself: its pages, and the verifier.

- The record is laid out once, for the page and for the paper.
- A new page is one line here, and one in the README of the bundle.
"""

from __future__ import annotations

from pathlib import Path

from projections.export.material import ExportedRecord
from projections.export.page import to_html
from projections.export.presenting import present


def write_pages(record: ExportedRecord, pdf: bool) -> dict[str, bytes]:
    """Return the pages by their names in the bundle; `record.pdf` where asked for."""
    presented = present(record)
    return {"record.html": to_html(presented, record)}


def verifier_text() -> bytes:
    """Return `verify.py`."""
    return Path(__file__).with_name("verify.py").read_bytes()
