"""`record.schema.json`: the JSON Schema of `record.json`, with a sentence for each field of it and of each event.

Source: AUDIT E1 (computable, the format described inside the file), E2 (every field described); JSON Schema 2020-12.

- The document's own fields are described here. The header of an event, which is a text in `content`, has a schema of
  its own under `$defs/headers/TOPIC`: its types are the event class's, its words those of the class's docstring.
- A field whose name means the same everywhere is described once, in `FIELDS`.
- A test fails for a field without a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from projections.export.material import REASONS
from projections.export.record_json import FORMAT, readable_json
from records.catalogue import CATALOGUE
from records.event import Event, StreamKind, topic_of

Json = dict[str, Any]

FIELDS: dict[str, str] = {
    "topic": "What kind of event it is; a topic never changes its meaning.",
    "occurred_at": "When it happened, as whoever reported it says (RFC 3339).",
    "entered_by": "Id of who entered it; `staff` has the name.",
    "request_id": "Id of the request that caused it.",
    "reported_by": "Who said so, where that is not who entered it: `client`, `guardian` or a staff id.",
    "originally_recorded_at": "When another system first recorded it, for history that was taken over.",
    "identity": "What identifies the person: names, birth date, contact.",
    "changes": "The fields of the identity that changed, with their new values.",
    "reason": "Why, in the words of who entered it.",
    "consent_id": "Id of the consent.",
    "episode_id": "Id of the course of treatment.",
    "session_id": "Id of the therapy session.",
    "assessment_id": "Id of the completed questionnaire.",
    "risk_id": "Id of the assessment of risk.",
    "goal_id": "Id of the goal.",
    "note_id": "Id of the note.",
    "addendum_id": "Id of the addendum.",
    "attachment_id": "Id of the attachment; its file in the bundle is called by it.",
    "disclosure_id": "Id of the disclosure.",
    "hold_id": "Id of the legal hold.",
    "kind": "What kind it is, as a code.",
    "form": "The form that was used: its id, version and language.",
    "authority": "By which right somebody else agreed for the person, as a code.",
    "interpreter": "Whether an interpreter took part.",
    "witnessed_by": "Who witnessed it.",
    "expires_at": "When it ends by itself (RFC 3339).",
    "channel": "By which way it was said, as a code.",
    "received_by": "Id of who received it.",
    "format": "The form that it has, as a code.",
    "phase": "The phase of the treatment, as a code.",
    "start": "When it is planned to begin (RFC 3339).",
    "minutes": "How long it is planned to last, in minutes.",
    "mode": "How people meet, as a code (NHS consultation mode).",
    "setting": "Where it takes place, as a code.",
    "room": "The room.",
    "number": "Its number within the course of treatment, from 1.",
    "text": "The words themselves.",
    "sections": "Name of the section → its words.",
    "family": "Family name.",
    "given": "Given names.",
    "preferred_name": "The name that the person wants to be called by.",
    "birth_date": "Date of birth, year-month-day.",
    "pronouns": "Pronouns, in the person's words.",
    "gender": "Gender, in the person's words.",
    "language": "Language (BCP 47).",
    "interpreter_needed": "Whether an interpreter is needed.",
    "email": "E-mail address.",
    "phone": "Telephone number.",
    "address": "Postal address.",
    "emergency_contact": "Whom to call in an emergency.",
    "gp": "General practitioner.",
    "nhs_number": "NHS number, ten digits.",
    "form_id": "Which form.",
    "form_version": "Which version of it.",
    "text_sha256": "SHA-256 of the form's text, in hex.",
    "modality": "The kind of therapy, as a code or in words.",
    "provider": "Who gives it.",
    "started": "When it began.",
    "ended": "When it ended; empty while it goes on.",
    "measure": "The questionnaire, as a code.",
    "item": "The number of the question, from 1.",
    "value": "The answer that was given, as a number.",
    "taken_at": "When it was filled in (RFC 3339).",
    "in_session": "Whether that was in a session.",
    "text_version": "Which version of the note's text this is; 1 is the one that was signed first.",
}
"""Name of a field → what it is, where the event's own docstring does not say more."""

_LINE = re.compile(r"^\s{8}([a-z_0-9]+(?:, [a-z_0-9]+)*): ?(.*)$")


@cache
def record_schema() -> bytes:
    """Return the schema as UTF-8."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A health record exported by Wellkept",
        "description": "The record of one client below one place of the clinic's log. This file is the authority of the"
        " bundle: pages, PDF and FHIR repeat it.",
        **_object(
            {
                "format": _described({"const": FORMAT}, "The format of this file."),
                "clinic": _clinic(),
                "client_id": _described(_UUID, "The client's id, which is also the id of the record's stream."),
                "at": _described(_NUMBER, "Everything in this file lies below this index of the log."),
                "as_of": _described(_TIME, "When the last entry below `at` was logged; the date of this copy."),
                "staff": _described(
                    {"type": "object", "additionalProperties": {"type": "string", "description": "The name."}},
                    "Id of each person of the clinic who is named → name.",
                ),
                "left_out": _described({"type": "array", "items": _left_out()}, "What is not in this copy, and why."),
                "readings": _described(
                    {"type": "array", "items": _reading()},
                    "Entries of the log that say who looked at or asked for this record; the access report tells them.",
                ),
                "events": _described({"type": "array", "items": _event()}, "The record, in the order of recording."),
            }
        ),
        "$defs": {"headers": {topic: header_schema(cls) for topic, cls in sorted(_client_classes())}},
    }
    return readable_json(document)


def header_schema(cls: type[Event]) -> Json:
    """Return the schema of the header of one kind of event; free texts are segments of their own and not in it."""
    template = f"#/$defs/headers/{topic_of(cls)}/$defs/{{name}}"
    (found,), parts = msgspec.json.schema_components([cls], ref_template=template)
    own: Json = parts.pop(found["$ref"].rpartition("/")[2])
    texts = set(cls.free_text)
    own["properties"] = {
        name: _described(schema, describe(cls, name)) for name, schema in own["properties"].items() if name not in texts
    }
    own["required"] = [name for name in own.get("required", ()) if name not in texts]
    own["description"] = (cls.__doc__ or "").split("\n\n")[0]
    own["x-free-texts"] = {name: describe(cls, name) for name in cls.free_text}
    for part in parts.values():
        told = dict(_told(part.get("description", "")))
        part["description"] = part.get("description", "").split("\n\n")[0]
        for name, schema in part.get("properties", {}).items():
            schema["description"] = told.get(name) or FIELDS.get(name, "")
    return own | ({"$defs": parts} if parts else {})


def describe(cls: type[Event], field: str) -> str:
    """Return the sentence for a field of an event; empty where nobody wrote one."""
    return dict(_told(cls.__doc__ or "")).get(field) or FIELDS.get(field, "")


def _told(docstring: str) -> Iterator[tuple[str, str]]:
    names: list[str] = []
    words: list[str] = []
    for line in docstring.partition("Attributes:")[2].splitlines():
        found = _LINE.match(line)
        if found:
            yield from ((name, " ".join(words)) for name in names)
            names, words = found[1].split(", "), [found[2]]
        elif line.strip():
            words.append(line.strip())
    yield from ((name, " ".join(words)) for name in names)


def _client_classes() -> Iterator[tuple[str, type[Event]]]:
    return ((topic, cls) for topic, cls in CATALOGUE.items() if cls.stream_kind is StreamKind.CLIENT)


# --- the document's own fields

_UUID: Json = {"type": "string", "format": "uuid"}
_TIME: Json = {"type": "string", "format": "date-time"}
_NUMBER: Json = {"type": "integer", "minimum": 0}
_DIGEST: Json = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _described(schema: Json, sentence: str) -> Json:
    return schema | {"description": sentence}


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _clinic() -> Json:
    text: Json = {"type": "string"}
    return _described(
        _object(
            {
                "name": _described(text, "The clinic's name."),
                "deployment_id": _described(_UUID, "Id of the clinic's log."),
                "origin": _described(text, "The log's name in its signed checkpoints."),
                "fingerprint": _described(
                    _DIGEST,
                    "Fingerprint of the log's genesis. Compare it with the clinic's papers.",
                ),
                "jurisdiction": _described(text, "Whose law the clinic follows: `uk`, `us` or `eu`."),
                "time_zone": _described(text, "IANA name of the zone in which people are told times."),
            }
        ),
        "Who gave this record.",
    )


def _left_out() -> Json:
    return _object(
        {
            "reason": _described({"enum": sorted(REASONS)}, "Why, as a code."),
            "count": _described({"type": "integer", "minimum": 1}, "How many parts."),
            "explanation": _described({"type": "string"}, "Why, in words."),
        }
    ) | {"description": "How many parts are left out for one reason."}


def _reading() -> Json:
    return _object(
        {
            "version": _described({"type": "integer", "minimum": 1}, "Its number among the readings, without a gap."),
            "index": _described(_NUMBER, "Its place in the log."),
        }
    ) | {"description": "One entry."}


def _event() -> Json:
    shown = _object(
        {
            "path": _described(
                {"type": "string"},
                "`v` and a number for the header, else the name of the free text; `/` parts a field from a key.",
            ),
            "salt": _described(_DIGEST, "32 bytes; CRYPTO: SHA-256 over mark, salt, path and content is the digest."),
            "content": _described(
                {"type": "string"},
                "The exact text; its UTF-8 are the bytes that were logged. A header is JSON: see `$defs/headers`.",
            ),
        }
    ) | {"description": "A part that is shown."}
    withheld = _object(
        {
            "digest": _described(_DIGEST, "What stands for the part, so that the rest still verifies."),
            "withheld": _described({"enum": sorted(REASONS)}, "Why, as a code."),
        }
    ) | {"description": "A part that is left out."}
    return _object(
        {
            "version": _described({"type": "integer", "minimum": 1}, "Its number in the record, without a gap."),
            "index": _described(_NUMBER, "Its place in the log."),
            "recorded_at": _described(_TIME, "When it was recorded, by the log; or first, by another system."),
            "topic": _described({"type": "string"}, "What kind of event it is; `unreadable` where it does not open."),
            "segments": _described(
                {"type": "array", "items": {"anyOf": [shown, withheld], "description": "One part of the event."}},
                "Its parts, header first; none where it does not open.",
            ),
        }
    ) | {"description": "One event of the record."}
