"""What lies in a bundle beside the record itself: its pages, and the verifier.

- The record is laid out once, for the page and for the paper.
- What cannot be printed is a refusal that says why; nothing is released then.
- A new page is one line here, and one in the README of the bundle.
"""

from __future__ import annotations

from projections.export.material import ExportedRecord
from projections.export.page import to_html
from projections.export.presenting import present
from projections.export.printed import FontsLack, PrintingNotInstalled, to_pdf
from records.errors import RuleBroken


def write_pages(record: ExportedRecord, pdf: bool) -> dict[str, bytes]:
    """Return the pages by their names in the bundle; `record.pdf` where asked for.

    Raises:
        RuleBroken: `fonts-lack` or `pdf-not-installed`.
    """
    presented = present(record)
    pages = {"record.html": to_html(presented, record)}
    if pdf:
        try:
            pages["record.pdf"] = to_pdf(presented)
        except FontsLack as error:
            raise RuleBroken("fonts-lack", f"T{str(error)[1:]}.") from error
        except PrintingNotInstalled as error:
            raise RuleBroken("pdf-not-installed", f"A{str(error)[1:]}.") from error
    return pages
