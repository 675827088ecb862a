"""Free texts in FHIR: exact for programs, readable for people, and each named by event and segment.

Source: FHIR R4 (4.0.1) `string` (no control characters but tab, line feed and carriage return; not blank; at most
1,048,576 characters), `Attachment`, `data-absent-reason`; XML 1.0 for the characters of a narrative.

- A text that a FHIR string can hold stands in it as it is; any other stands there as people are shown it, with the
  exact bytes in an attachment beside it.
- The rule by which a program finds and compares them is in `projections.fhir`.

It reads no event.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

Json = dict[str, Any]

LOCAL = "https://wellkept.example/fhir/"
SEGMENT = f"{LOCAL}StructureDefinition/segment"
"""Names the segment that stands here: `VERSION:PATH`."""
EXACT = f"{LOCAL}StructureDefinition/exact-text"
"""Holds the exact bytes of a text that the string beside it cannot hold."""
MOST_CHARACTERS = 1024 * 1024

_NOT_ALLOWED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_OTHER_SPACE = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]")
"""Spaces that the pattern of a FHIR string takes for neither a plain space nor a character."""


def shown(text: str) -> str:
    """Return a text as people are shown it: what is not allowed as U+FFFD, other spaces as plain ones."""
    if text.isprintable():
        # Then it holds neither; most texts are so, and this takes a tenth of the time of looking for them.
        return text
    return _OTHER_SPACE.sub(" ", _NOT_ALLOWED.sub("\N{REPLACEMENT CHARACTER}", text))


def words(text: str | None) -> str | None:
    """Return words that are no free text, such as a name, as a FHIR string; None where they say nothing."""
    if text is None or not text.strip():
        return None
    return shown(text)[:MOST_CHARACTERS].strip() or None


def attachment(text: str, segment: str) -> Json:
    """Return a text as an Attachment that holds exactly its bytes."""
    data = text.encode()
    found: Json = {"extension": [_named(segment)], "contentType": "text/plain; charset=utf-8"}
    if data:
        found["data"] = base64.b64encode(data).decode()
    # FHIR R4 wants SHA-1 here; what proves the text is its segment's hash.
    digest = hashlib.sha1(data, usedforsecurity=False).digest()
    return found | {"size": len(data), "hash": base64.b64encode(digest).decode()}


def string(name: str, text: str, segment: str) -> Json:
    """Return a text as a string element with its name beside it; where it is empty, only what is beside it."""
    if shown(text) == text and text.strip() and len(text) <= MOST_CHARACTERS:
        return {name: text, f"_{name}": {"extension": [_named(segment)]}}
    exact: Json = {"url": EXACT, "valueAttachment": attachment(text, segment)}
    readable = words(text)
    return ({} if readable is None else {name: readable}) | {f"_{name}": {"extension": [exact]}}


def parts(name: str, text: str, segment: str) -> list[Json]:
    """Return a text as parts of an extension, one of them named `name`."""
    # A string with something beside it would do, but readers that many use refuse it in an extension.
    told = string("valueString", text, segment)
    beside: list[Json] = told.pop("_valueString")["extension"]
    return [*([{"url": name, **told}] if told else []), *beside]


def _named(segment: str) -> Json:
    return {"url": SEGMENT, "valueString": segment}
