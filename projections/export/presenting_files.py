"""The files of an export: what was attached, the words that stand for it, and where it lies in the bundle.

Source: DOMAIN 4 (attachments); WCAG 1.1.1 (words that stand for a picture).

- The newest stands first. Each leads to its file, which lies beside the page.
- What was entered in error is not here; the history tells of it.
"""

from __future__ import annotations

import msgspec

from projections.export.attached import attached_to, file_name
from projections.export.material import ExportedEvent, ExportedRecord
from projections.export.presented import Entry, Line, Section
from projections.export.presenting_history import EventLines
from records.attachments import KINDS, AttachmentAdded, AttachmentReturned

_LABELS = {"/occurred_at": "Made or received on", "/entered_by": "Added by"}
"""What the first lines of an entry mean where it is a file, which whoever added it need not have written."""


def files(record: ExportedRecord, lines: EventLines) -> Section:
    """Return all files that leave with the record."""
    leaving = {each.attachment_id: each for each in attached_to(record.events)}
    returned = {
        each.recorded.event.attachment_id
        for each in record.events
        if isinstance(each.recorded.event, AttachmentReturned)
    }
    entries = [
        _entry(lines, each, each.recorded.event, returned=each.recorded.event.attachment_id in returned)
        for each in reversed(record.events)
        if isinstance(each.recorded.event, AttachmentAdded) and each.recorded.event.attachment_id in leaving
    ]
    intro = () if entries else ("No files.",)
    return Section(title="Files", intro=intro, entries=tuple(entries))


def _entry(lines: EventLines, exported: ExportedEvent, event: AttachmentAdded, *, returned: bool) -> Entry:
    version = exported.recorded.version
    told = (
        msgspec.structs.replace(line, label=_LABELS.get(line.place or "", line.label))
        for line in lines.without_numbers_of(exported)
    )
    name = file_name(event)
    return Entry(
        title=f"{KINDS.get(event.kind, event.kind)} (entry {version})",
        version=version,
        marks=("given back to you",) if returned else (),
        lines=(*told, Line(label="File", text=name, file=name)),
    )
