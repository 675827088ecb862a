"""An event's bytes: a header and its free texts, each a segment that the ledger can show or withhold apart.

    payload = count u16 ‖ for each segment: lp(path) ‖ length u32 ‖ exact bytes

- The first segment is the header: path `v<payload version>`, the event as JSON with its topic, without free texts.
- Every free text is a segment of its own: path `field`, or `field/key` where the field is a mapping; UTF-8.
- Segments follow each other in the order of the class's `free_text`; the decoder refuses anything left over.
- The exact bytes are what the content root binds; nothing is ever re-serialised to check it.

Source: CRYPTO 2 (content_root). It does not seal (`records.sealing`) and knows no classes (`records.catalogue`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from records.errors import UnknownTopic
from records.event import Event

_ENCODER = msgspec.json.Encoder()
_HEADER_DECODER = msgspec.json.Decoder(dict[str, Any])


class Segment(NamedTuple):
    """A part of a payload that may be shown or withheld by itself."""

    path: str
    content: bytes


def length_prefixed(data: bytes) -> bytes:
    """Return lp(data): its length as u16, then the data."""
    return len(data).to_bytes(2, "big") + data


def to_segments(event: Event) -> tuple[Segment, ...]:
    """Split an event into its header and its free texts, in their fixed order."""
    path = f"v{event.payload_version}"
    if not event.free_text:
        return (Segment(path, _ENCODER.encode(event)),)
    texts: list[Segment] = []
    bare: dict[str, Any] = {}
    for name in event.free_text:
        value = getattr(event, name)
        # No text makes no segment: an empty mapping stays in the header, so that it is there when it is read.
        if value is None or value == {}:
            continue
        bare[name] = None
        if isinstance(value, str):
            texts.append(Segment(name, value.encode()))
        else:
            texts.extend(Segment(f"{name}/{key}", text.encode()) for key, text in value.items())
    header = msgspec.to_builtins(event, builtin_types=())
    for name in bare:
        header.pop(name, None)  # an empty text that is the default is not in it
    return (Segment(path, _ENCODER.encode(header)), *texts)


def from_segments(segments: Sequence[Segment], upcast: Any) -> tuple[str, dict[str, Any]]:
    """Join segments into the event's topic and its document.

    Args:
        segments: header first, as `to_segments` made them.
        upcast: `(topic, payload_version, document) -> document` of the current version.

    Returns:
        The topic and a document that `msgspec.convert` takes for its class.

    Raises:
        UnknownTopic: the header is not one, or a text stands twice.
    """
    path, header = segments[0]
    if path[:1] != "v" or not path[1:].isdecimal():
        raise UnknownTopic("a payload without a header")
    try:
        document = _HEADER_DECODER.decode(header)
        for name, content in segments[1:]:
            field, slash, key = name.partition("/")
            texts, place = (document.setdefault(field, {}), key) if slash else (document, field)
            if not isinstance(texts, dict) or place in texts:
                raise UnknownTopic("a free text that stands twice")
            texts[place] = content.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnknownTopic("a payload that cannot be read") from error
    topic = document.get("topic")
    if not isinstance(topic, str):
        raise UnknownTopic("a header without a topic")
    return topic, upcast(topic, int(path[1:]), document)


def encode_payload(segments: Sequence[Segment]) -> bytes:
    """Return the payload's bytes."""
    parts = [len(segments).to_bytes(2, "big")]
    for path, content in segments:
        parts.append(length_prefixed(path.encode()))
        parts.append(len(content).to_bytes(4, "big"))
        parts.append(content)
    return b"".join(parts)


def decode_payload(payload: bytes) -> tuple[Segment, ...]:
    """Return the segments of a payload.

    Raises:
        UnknownTopic: the bytes are not a payload: cut short, trailing bytes, no segment.
    """
    try:
        (count,) = struct.unpack_from(">H", payload)
        at = 2
        segments = []
        for _ in range(count):
            (size,) = struct.unpack_from(">H", payload, at)
            path = payload[at + 2 : at + 2 + size].decode()
            (length,) = struct.unpack_from(">I", payload, at + 2 + size)
            at += 6 + size + length
            segments.append(Segment(path, payload[at - length : at]))
    except (struct.error, UnicodeDecodeError) as error:
        raise UnknownTopic("a payload that cannot be read") from error
    if at != len(payload) or not segments:
        raise UnknownTopic("a payload with bytes left over")
    return tuple(segments)
