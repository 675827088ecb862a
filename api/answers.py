"""Answers: how documents leave, and how they are described.

- A document is a msgspec Struct, encoded by msgspec; its marshmallow schema is made from the same Struct, so what is
  documented and what is sent have one source.
- Clinical answers are never kept by anyone on the way: `Cache-Control: no-store`.
- An answer to a change holds ids, versions and times only.

It does not build documents: views do.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from flask import Response
from marshmallow import RAISE, Schema, fields, validate

JSON = "application/json"
_ENCODER = msgspec.json.Encoder()
_PLAIN: dict[Any, type[fields.Field[Any]]] = {
    str: fields.String,
    int: fields.Integer,
    float: fields.Float,
    bool: fields.Boolean,
    datetime: fields.AwareDateTime,
    date: fields.Date,
    UUID: fields.UUID,
}


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What a change wrote.

    Attributes:
        id: the resource that it is about.
        version: the version of the last event that touched it, its ETag.
        recorded_at: when the log took it; None where there was nothing to do.
    """

    id: UUID
    version: int
    recorded_at: datetime | None = None


def answer(document: Any, status: int = 200, version: int | None = None, location: str | None = None) -> Response:
    """Return a document as JSON, with its ETag where it has a version."""
    headers = {"Cache-Control": "no-store"}
    if version is not None:
        headers["ETag"] = f'"{version}"'
    if location is not None:
        headers["Location"] = location
    return Response(_ENCODER.encode(document), status, headers, content_type=JSON)


def raw(content: bytes | Iterable[bytes], media_type: str) -> Response:
    """Return bytes as they are; those that come in pieces leave as they come."""
    return Response(content, headers={"Cache-Control": "no-store"}, content_type=media_type)


@functools.cache
def schema_of(struct: type[msgspec.Struct], *cursors: str) -> type[Schema]:
    """Return the marshmallow schema that describes a Struct as it is sent; `cursors` name fields sent as cursors."""
    config = struct.__struct_config__
    hints = get_type_hints(struct)
    described: dict[str, fields.Field[Any]] = {}
    if config.tag_field is not None:
        described[config.tag_field] = fields.String(required=True, validate=validate.Equal(config.tag))
    for field in msgspec.structs.fields(struct):
        hint = str | None if field.name in cursors else hints[field.name]
        may_miss = config.omit_defaults and not field.required
        described[field.encode_name] = _field(hint, required=not may_miss)
    meta = type("Meta", (), {"unknown": RAISE})
    return type(struct.__name__, (Schema,), {"Meta": meta, "__doc__": struct.__doc__, **described})


def _field(hint: Any, **settings: Any) -> fields.Field[Any]:
    if hint in _PLAIN:
        return _PLAIN[hint](**settings)
    if hint is Any:
        return fields.Raw(allow_none=True, **settings)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return fields.Nested(schema_of(hint), **settings)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType) and len(inner) == 2 and type(None) in inner:
        return _field(next(each for each in inner if each is not type(None)), **settings, allow_none=True)
    if origin is Literal:
        return fields.String(validate=validate.OneOf(inner), **settings)
    if origin in (tuple, list):
        return fields.List(_field(inner[0]), **settings)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return fields.Dict(keys=fields.String(), values=_field(inner[1]), **settings)
    raise TypeError(f"no field describes {hint}")
