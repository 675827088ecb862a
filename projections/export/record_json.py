"""`record.json`: the authority of a bundle; every shown segment with its salt and exact bytes, every other as a hash.

Source: AUDIT E2; CRYPTO 2 and 4; the decision on exports for the layout.

- `content` is text whose UTF-8 bytes are the stored bytes of the segment; nothing is written anew.
- Only what the log itself proves stands beside an event: version, index, time and topic, for those who read the file.
- `record_schema` describes every field.

It signs and proves nothing (`projections.export.proof`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from projections.export.material import REASONS, ExportedEvent, ExportedRecord, Shown
from records.event import topic_of

FORMAT = "wellkept-record/1"


def to_record_json(record: ExportedRecord) -> bytes:
    """Return the document as UTF-8, one event to a line, so that people can compare two of them."""
    head = {
        "format": FORMAT,
        "clinic": {
            "name": record.clinic,
            "deployment_id": record.deployment_id,
            "origin": record.origin,
            "fingerprint": record.fingerprint,
            "jurisdiction": record.jurisdiction,
            "time_zone": record.time_zone,
        },
        "client_id": record.client_id,
        "at": record.at,
        "as_of": record.as_of,
        "staff": dict(record.staff),
        "left_out": left_out_of(record),
    }
    encode = msgspec.json.encode
    readings = [{"version": each.recorded.version, "index": each.recorded.index} for each in record.readings]
    parts = [encode(head)[:-1]]
    parts.append(b',"readings":' + encode(readings))
    parts.append(b',"events":[\n' + b",\n".join(encode(_event(each)) for each in record.events) + b"\n]}\n")
    return b"".join(parts)


def left_out_of(record: ExportedRecord) -> list[dict[str, Any]]:
    """Return what is left out as record and manifest say it: counted and explained."""
    return [
        {"reason": each.reason, "count": each.count, "explanation": REASONS[each.reason]} for each in record.left_out
    ]


def readable_json(document: object) -> bytes:
    """Return a document as indented UTF-8, for files whose digest the manifest holds."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def _event(event: ExportedEvent) -> dict[str, Any]:
    recorded = event.recorded
    return {
        "version": recorded.version,
        "index": recorded.index,
        "recorded_at": recorded.recorded_at,
        "topic": topic_of(recorded.event),
        "segments": [
            {"path": each.path, "salt": each.salt.hex(), "content": each.content.decode()}
            if isinstance(each, Shown)
            else {"digest": each.digest.hex(), "withheld": each.reason}
            for each in event.segments
        ],
    }
