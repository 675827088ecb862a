"""What lies in a bundle beside the record itself: its pages.

- The record is laid out once, for the page and for the paper.
- What cannot be printed is a refusal that says why; nothing is released then.
- A new page is one line here, and one in the README of the bundle.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ops.exports.paper import set_on_paper
from projections.export.material import ExportedRecord
from projections.export.page import to_html
from projections.export.presenting import for_paper, present
from projections.fhir.document import to_fhir_json


def write_pages(record: ExportedRecord, pdf: bool) -> dict[str, bytes]:
    """Return the pages by their names in the bundle; `record.pdf` where asked for.

    Raises:
        RuleBroken: `fonts-lack` or `pdf-not-installed`.
    """
    presented = present(record)
    with ThreadPoolExecutor(max_workers=1) as beside:
        # The paper is set by another process, while this one writes the rest.
        paper = beside.submit(set_on_paper, for_paper(presented)) if pdf else None
        pages = {"record.html": to_html(presented, record), "fhir.json": to_fhir_json(record)}
        return pages if paper is None else pages | {"record.pdf": paper.result()}
