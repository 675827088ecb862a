"""Exported records made by hand from histories, and what tests ask of a document."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import msgspec

from projections.client_state import fold
from projections.export.gathering import without_texts
from projections.export.material import ExportedEvent, ExportedRecord, Shown, Withheld
from projections.fhir.document import to_fhir_json
from projections.fhir.texts import SEGMENT
from records.event import Recorded
from records.payload import to_segments
from records.sealing import segment_digest
from records.store.mapper import Unreadable
from tests.projections.histories import BEGIN, CLIENT, SUPERVISOR, THERAPIST

DEPLOYMENT = UUID("00000000-0000-4000-8000-0000000000cc")
Json = dict[str, Any]


def exported(recorded: Recorded, *, in_error: bool = False) -> ExportedEvent:
    """Return an event as an export holds it; its texts withheld where it is of something entered in error."""
    entry = recorded.version.to_bytes(157, "big")
    if isinstance(recorded.event, Unreadable):
        return ExportedEvent(recorded=recorded, entry=entry, segments=())
    salts = [hashlib.sha256(f"{recorded.version}/{place}".encode()).digest() for place in range(99)]
    header, *texts = zip(salts, to_segments(recorded.event), strict=False)
    first = Shown(path=header[1].path, salt=header[0], content=header[1].content)
    if not in_error:
        shown = (Shown(path=each.path, salt=salt, content=each.content) for salt, each in texts)
        return ExportedEvent(recorded=recorded, entry=entry, segments=(first, *shown))
    hidden = (Withheld(digest=segment_digest(salt, each), reason="entered-in-error") for salt, each in texts)
    bare = msgspec.structs.replace(recorded, event=without_texts(recorded.event))
    return ExportedEvent(recorded=bare, entry=entry, segments=(first, *hidden))


def to_fhir(record: ExportedRecord) -> Json:
    """Return the document as whoever reads the file has it."""
    document: Json = msgspec.json.decode(to_fhir_json(record))
    return document


def record_of(events: Iterable[Recorded], **changes: Any) -> ExportedRecord:
    """Return the exported record of a history."""
    events = tuple(events)
    corrections = fold(events).corrections.items
    wrong = {key for key, each in corrections.items() if each.in_error}
    known: Json = {
        "clinic": "Harbour Clinic",
        "deployment_id": DEPLOYMENT,
        "origin": "wellkept.example/log",
        "jurisdiction": "uk",
        "time_zone": "Europe/London",
        "client_id": CLIENT,
        "at": 100 + len(events) + 1,
        "as_of": BEGIN + timedelta(days=400),
        "events": tuple(exported(each, in_error=each.event.subject_id in wrong) for each in events),
        "readings": (),
        "staff": {THERAPIST.id: "Jo Lind", SUPERVISOR.id: "Sam Ray"},
        "fingerprint": "00" * 32,
    }
    return ExportedRecord(**known | changes)


def nodes(node: Any) -> Iterator[Json]:
    """Yield every object of a document."""
    if isinstance(node, dict):
        yield node
        for inner in node.values():
            yield from nodes(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from nodes(inner)


def exact_texts(document: Json) -> list[tuple[str, bytes]]:
    """Return each marked text by the rules 1 to 3 of `projections.fhir`: the segment's name, and its bytes."""
    found = []
    for node in nodes(document):
        for name in _names(node.get("extension", [])):
            if "url" in node:
                (text,) = [each["valueString"] for each in node["extension"] if _is_text(each)]
                found.append((name, text.encode()))
            elif "contentType" in node:
                found.append((name, base64.b64decode(node["data"]) if node["size"] else b""))
        for key, beside in node.items():
            if key.startswith("_"):
                found += [(name, node[key[1:]].encode()) for name in _names(beside.get("extension", []))]
    return found


def _is_text(extension: Json) -> bool:
    return "valueString" in extension and extension["url"] != SEGMENT


def _names(extensions: list[Json]) -> list[str]:
    return [each["valueString"] for each in extensions if each["url"] == SEGMENT]


def told_texts(document: Json) -> list[tuple[str, str]]:
    """Return each text of the narrative by rule 4: the segment's name, and what people read."""
    found = []
    for section in document["entry"][0]["resource"]["section"]:
        root = ElementTree.fromstring(section["text"]["div"])  # noqa: S314 - our own XHTML; a test reads it
        for element in root.iter():
            assert element.tag.rpartition("}")[2] in ("div", "h3", "p", "b"), "txt-1"
            assert set(element.keys()) <= {"class", "style", "title"}, "txt-1"
        for element in root.iter("{http://www.w3.org/1999/xhtml}p"):
            if element.get("class") == "segment":
                assert len(element) == 0, "a text is no markup"
                found.append((element.get("title", ""), element.text or ""))
    return found


def resources(document: Json, kind: str) -> list[Json]:
    """Return the resources of a kind."""
    return [each["resource"] for each in document["entry"] if each["resource"]["resourceType"] == kind]
