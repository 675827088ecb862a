"""Fields: the strict types that requests are made of.

Source: RFC 3339 for times; RFC 9562 for ids; RFC 6901 for pointers.

- A field takes its own JSON type and no other: no number in quotes, no 1 for true, no time without a zone.
- Text is valid Unicode without NUL and has a bound. Times and days lie between 1890 and 2199, in UTC when they leave.
- An unknown field is refused. What is told of a fault names our fields only, never the caller's own words.
- Each field describes itself in OpenAPI as it parses.

It does not know what content can be true: that is decided in `records`.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from api.problems import Fault

CODE_LENGTH = 64
LINE_LENGTH = 200
TEXT_LENGTH = 20_000
NOTE_LENGTH = 400_000
FIRST_YEAR, LAST_YEAR = 1890, 2199

UUID_PATTERN = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
INSTANT_PATTERN = (
    r"^(189[0-9]|19[0-9]{2}|20[0-9]{2}|21[0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
DAY_PATTERN = r"^(189[0-9]|19[0-9]{2}|20[0-9]{2}|21[0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
CODE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$"
LINE_PATTERN = r"^[^\u0000-\u001f\u007f-\u009f]*$"
TEXT_PATTERN = r"^[^\u0000]*$"
_UUID, _INSTANT, _DAY, _LINE = map(re.compile, (UUID_PATTERN, INSTANT_PATTERN, DAY_PATTERN, LINE_PATTERN))


class Body(Schema):
    """The base of what is sent: unknown fields are refused, and fields keep their order."""

    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE


class Text(fields.String):
    """Text for people: Unicode without NUL, at most `most` characters; line breaks are kept."""

    def __init__(self, most: int = TEXT_LENGTH, pattern: str = TEXT_PATTERN, **settings: Any) -> None:
        super().__init__(
            validate=validate.Length(max=most),
            metadata={"pattern": pattern, **settings.pop("metadata", {})},
            **settings,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("Is not text.")
        if "\0" in value or not _is_unicode(value):
            raise ValidationError("Holds a character that cannot be kept.")
        return value


class Line(Text):
    """One line of text: no control characters."""

    def __init__(self, most: int = LINE_LENGTH, **settings: Any) -> None:
        super().__init__(most, LINE_PATTERN, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if _LINE.match(text) is None:
            raise ValidationError("Is not one line of text.")
        return text


class Code(fields.String):
    """A code: one of those that are known, or any that is written like one."""

    def __init__(self, known: Collection[str] | None = None, pattern: str = CODE_PATTERN, **settings: Any) -> None:
        self._pattern = re.compile(pattern)
        if known is None:
            metadata = {"pattern": pattern, **settings.pop("metadata", {})}
            super().__init__(metadata=metadata, **settings)
        else:
            super().__init__(validate=validate.OneOf(list(known), error="Is not a known code."), **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or (not self.validators and self._pattern.match(value) is None):
            raise ValidationError("Is not a code.")
        return value


class Id(fields.UUID):
    """A UUID in its usual form."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(metadata={"pattern": UUID_PATTERN}, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> UUID:
        if not isinstance(value, str) or _UUID.match(value) is None:
            raise ValidationError("Is not a UUID.")
        return UUID(value)


class Instant(fields.AwareDateTime):
    """A time with a zone (RFC 3339); loaded as UTC."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(metadata={"pattern": INSTANT_PATTERN}, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str) or _INSTANT.match(value) is None:
            raise ValidationError(f"Is not a time with a zone, {FIRST_YEAR} to {LAST_YEAR}.")
        try:
            return _read_instant(value.upper()).astimezone(UTC)
        except ValueError:
            raise ValidationError("Is not a time of the calendar.") from None


class Day(fields.Date):
    """A day, `YYYY-MM-DD`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(metadata={"pattern": DAY_PATTERN}, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> date:
        if not isinstance(value, str) or _DAY.match(value) is None:
            raise ValidationError(f"Is not a day, {FIRST_YEAR} to {LAST_YEAR}.")
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValidationError("Is not a day of the calendar.") from None


class Whole(fields.Integer):
    """A whole number within its bounds."""

    def __init__(self, least: int, most: int, **settings: Any) -> None:
        super().__init__(validate=validate.Range(least, most, error=f"Is not {least} to {most}."), **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError("Is not a whole number.")
        return value


class Number(fields.Float):
    """A finite number, whole ones kept whole."""

    def __init__(self, least: float, most: float, **settings: Any) -> None:
        super().__init__(validate=validate.Range(least, most, error=f"Is not {least} to {most}."), **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise ValidationError("Is not a number.")
        return value


class Flag(fields.Boolean):
    """True or false."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Is neither true nor false.")
        return value


class Base64(fields.Field[bytes]):
    """Bytes as standard, padded base64 (RFC 4648), at most `most` of them; loaded as bytes."""

    def __init__(self, most: int, **settings: Any) -> None:
        self._most = most
        length = 4 * ((most + 2) // 3)
        super().__init__(metadata={"type": "string", "format": "byte", "maxLength": length}, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bytes:
        if not isinstance(value, str):
            raise ValidationError("Is not text.")
        try:
            content = binascii.a2b_base64(value.encode("ascii"), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError):
            raise ValidationError("Is not base64.") from None
        if not content:
            raise ValidationError("Is empty.")
        if len(content) > self._most:
            raise ValidationError(f"Is larger than {self._most} bytes.")
        return content


class Many(fields.List[Any]):
    """A list of at most `most`."""

    def __init__(self, inner: fields.Field[Any], most: int, **settings: Any) -> None:
        super().__init__(inner, validate=validate.Length(max=most, error=f"Holds more than {most}."), **settings)


class QueryWhole(fields.Integer):
    """A whole number in the address."""

    def __init__(self, least: int, most: int, **settings: Any) -> None:
        super().__init__(validate=validate.Range(least, most, error=f"Is not {least} to {most}."), **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) is None:
            raise ValidationError("Is not a whole number.")
        return int(value)


class QueryFlag(fields.Boolean):
    """`true` or `false` in the address."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if value not in ("true", "false"):
            raise ValidationError("Is neither true nor false.")
        return bool(value == "true")


class Words(fields.Dict):
    """Texts under known keys, such as the sections of a note."""

    def __init__(self, keys: Collection[str], most: int = TEXT_LENGTH, **settings: Any) -> None:
        self._texts = Text(most)
        self._keys = frozenset(keys)
        described = {"type": "string", "maxLength": most, "pattern": TEXT_PATTERN}
        metadata = {"properties": dict.fromkeys(keys, described), "additionalProperties": False}
        super().__init__(metadata=metadata, **settings)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise ValidationError("Is not an object.")
        if not self._keys.issuperset(value):
            raise ValidationError("Holds a field that is not known.")
        wrong: dict[str, Any] = {}
        for key, text in value.items():
            try:
                self._texts.deserialize(text, key, value)
            except ValidationError as error:
                wrong[key] = error.messages
        if wrong:
            raise ValidationError(wrong)
        return value


def faults(messages: Any, schema: Schema, place: str) -> list[Fault]:
    """Return what marshmallow found, as pointers that end where the caller's own words would begin."""
    found: list[Fault] = []
    for key, inner in messages.items() if isinstance(messages, Mapping) else ():
        field = schema.fields.get(key)
        found += (
            [Fault(place, "Holds a field that is not known.")] if field is None else _of(inner, field, f"{place}/{key}")
        )
    if not isinstance(messages, Mapping):
        found.append(Fault(place, "Is not an object."))
    return list(dict.fromkeys(found))


def _of(messages: Any, field: fields.Field[Any], place: str) -> list[Fault]:
    if isinstance(messages, list):
        return [Fault(place, str(message)) for message in messages]
    if isinstance(field, fields.Nested):
        return (
            faults(messages, field.schema, place) if "_schema" not in messages else [Fault(place, "Is not an object.")]
        )
    inner = field.inner if isinstance(field, fields.List) else field
    return [fault for index, each in messages.items() for fault in _of(each, inner, f"{place}/{index}")]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_instant(text: str) -> datetime:
    # Digits past the microsecond are more than the log keeps.
    head, dot, tail = text.partition(".")
    if not dot:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    digits = re.match(r"[0-9]+", tail)
    count = digits.end() if digits else 0
    return datetime.fromisoformat(f"{head}.{tail[:count][:6].ljust(6, '0')}{tail[count:].replace('Z', '+00:00')}")
