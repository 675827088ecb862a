"""Whether the FHIR document of a bundle repeats the free texts of the record as they are.

Source: FHIR R4 (extensions, `Attachment`); the rules by which texts stand in the document, in `projections.fhir`.

- A text is named by an extension `SEGMENT`, whose value is `VERSION:PATH`: beside a string (`_NAME` beside `NAME`),
  among the parts of an extension, or in an attachment.
- Every free text that is shown stands so exactly once, and nothing else does.

Codes, times and the narrative are not compared; that they are the clinic's is shown by the release.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from ops.verifier.bundle import HEADER_PATH, Event, FilesDisagree, MalformedRecord

SEGMENT = "https://wellkept.example/fhir/StructureDefinition/segment"


def segment_of(value: Any, name: str) -> str | None:
    """Return the segment that an element says it holds, or None.

    Raises:
        MalformedRecord: it says so twice, or not in a text.
    """
    parts = value.get("extension") if isinstance(value, dict) else None
    if not isinstance(parts, list):
        return None
    named = [each.get("valueString") for each in parts if isinstance(each, dict) and each.get("url") == SEGMENT]
    if not named:
        return None
    if len(named) > 1 or not isinstance(named[0], str):
        raise MalformedRecord(f"{name} has an element that names more or less than one segment.")
    return named[0]


def held_texts(value: Any, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield each segment that stands in a document beside its exact bytes.

    Raises:
        MalformedRecord: an element names a segment and holds none.
    """
    if isinstance(value, list):
        for each in value:
            yield from held_texts(each, name)
    if not isinstance(value, dict):
        return
    own = segment_of(value, name)
    if own is not None:
        yield own, _held(value, name)
    for key, each in value.items():
        beside = segment_of(each, name) if key[:1] == "_" else None
        if beside is None:
            yield from held_texts(each, name)
        else:
            yield beside, _encoded(value.get(key[1:]), name)


def _held(element: dict[str, Any], name: str) -> bytes:
    """Return what an extension or an attachment holds."""
    if "url" in element:
        parts = [each for each in element["extension"] if isinstance(each, dict) and each.get("url") != SEGMENT]
        (text, *more) = [each["valueString"] for each in parts if "valueString" in each] or [None]
        return _encoded(None if more else text, name)
    try:
        return base64.b64decode(element.get("data", ""), validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise MalformedRecord(f"{name} has an attachment that cannot be read.") from error


def _encoded(text: Any, name: str) -> bytes:
    if not isinstance(text, str):
        raise MalformedRecord(f"{name} has an element that names a segment and holds none.")
    return text.encode(errors="replace")


def verify_fhir(document: dict[str, Any], name: str, events: Mapping[int, Event]) -> None:
    """Check the free texts of a FHIR document against the events of the record, by their versions.

    Raises:
        MalformedRecord: an element names a segment and holds none.
        FilesDisagree: a text is not what the record holds, or does not stand in it exactly once.
    """
    missing = {
        f"{version}:{path}": (event.index, path, text.encode())
        for version, event in events.items()
        for path, text in event.texts.items()
        if not HEADER_PATH.fullmatch(path)
    }
    for segment, held in held_texts(document, name):
        # [11] what it repeats is the record's, and stands once
        if segment not in missing:
            raise FilesDisagree(f"{name}: it repeats {segment}, which the record does not show, or does so twice.")
        index, path, text = missing.pop(segment)
        if held != text:
            raise FilesDisagree(f"{name}: the text of entry {index} ({path}) is not what the record holds.", index)
    # [11] and every free text stands in it
    for index, path, _ in sorted(missing.values())[:1]:
        raise FilesDisagree(f"{name}: the text of entry {index} ({path}) does not stand in it.", index)
