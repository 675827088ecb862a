"""A document in the making: its resources by id, and which event touched which.

- Ids come from the client's id, the kind and the item's own id, so that the same record gives the same ids, and one id
  that the clinic used for two things does not clash. The item's own id is its identifier.
- A resource shows the state at the end; each event that touched it has a Provenance (`projections.fhir.provenance`).
- An event of something that is not there, since its beginning did not open, touches nothing.

Beside the resources it keeps what a concept needs later and no resource has room for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import sha1
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from projections.export.material import ExportedEvent, ExportedRecord, Shown
from projections.fhir.elements import MARKS, Json, absent, identifier, instant, known
from projections.fhir.texts import parts, string, words
from records.registration import Identity

_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""Hex digit → the same with the variant of RFC 9562 in its upper bits."""


class Told:
    """One event, with its texts as they are shown: a text that is withheld is not there, whatever the event holds.

    Attributes:
        exported: the event.
        version: its number in the record.
        at: when it happened.
        withheld: whether a part of it is left out.
        texts: the free texts that are shown, by path, in their stored order.
    """

    __slots__ = ("at", "exported", "texts", "version", "withheld")

    def __init__(self, exported: ExportedEvent) -> None:
        self.exported = exported
        self.version = exported.recorded.version
        self.at = exported.recorded.event.occurred_at
        self.withheld = exported.withheld is not None
        self.texts = {each.path: each.content.decode() for each in exported.segments[1:] if isinstance(each, Shown)}

    def segment(self, path: str) -> str:
        """Return the name of a segment."""
        return f"{self.version}:{path}"

    def of(self, field: str) -> dict[str, str]:
        """Return the shown texts of a mapping, by key."""
        return {path.partition("/")[2]: text for path, text in self.texts.items() if path.startswith(f"{field}/")}

    def string(self, name: str, path: str) -> Json:
        """Return a text as the string element `name`; nothing where it is not shown."""
        text = self.texts.get(path)
        return {} if text is None else string(name, text, self.segment(path))

    def extension(self, url: str, path: str, *others: Json, name: str = "text") -> list[Json]:
        """Return a text as an extension, below other parts of it; none at all where there are none and it is not shown.

        Args:
            url: of the extension.
            path: of the text.
            *others: what else is in it, as extensions.
            name: of the part that is the text.
        """
        text = self.texts.get(path)
        inner = [*others, *([] if text is None else parts(name, text, self.segment(path)))]
        return [{"url": url, "extension": inner}] if inner else []

    def required(self, name: str, path: str) -> Json:
        """Return a text as an element that must be there; where it is not shown, why."""
        reason = "masked" if self.withheld else "unknown"
        return self.string(name, path) or {f"_{name}": {"extension": [absent(reason)]}}


class Draft:
    """The document of one record in the making."""

    def __init__(self, record: ExportedRecord) -> None:
        self.record = record
        self.zone = ZoneInfo(record.time_zone)
        self.identity = Identity()
        self.consent_periods: dict[str, Json] = {}
        self.addenda: dict[UUID, list[Json]] = {}
        self.resources: dict[str, Json] = {}
        self._addresses: dict[tuple[str, object], str] = {}
        self._of_client = sha1(record.client_id.bytes, usedforsecurity=False)
        self.sections: dict[str, dict[str, None]] = {}
        self.touched: list[tuple[Told, list[Json]]] = []
        self.patient = self.add("Patient", record.client_id, None, identifier=identifier(record.client_id))
        self.clinic = self.add("Organization", record.deployment_id, None, identifier=identifier(record.deployment_id))
        self.clinic["name"] = words(record.clinic) or "The clinic"
        del self.clinic["meta"]

    def address(self, kind: str, key: object) -> str:
        """Return the address of a resource: a URN that holds its id."""
        found = self._addresses.get((kind, key))
        if found is None:
            # As uuid5 of the standard library, which makes an object first and takes five times as long.
            hashed = self._of_client.copy()
            hashed.update(f"{kind}/{key}".encode())
            told = hashed.hexdigest()
            variant = _VARIANTS[told[16]]
            found = f"urn:uuid:{told[:8]}-{told[8:12]}-5{told[13:16]}-{variant}{told[17:20]}-{told[20:32]}"
            self._addresses[kind, key] = found
        return found

    def add(self, kind: str, key: object, part: str | None, /, **elements: Any) -> Json:
        """Add a resource, or put one in the place of the same; elements that are None are left out."""
        address = self.address(kind, key)
        resource: Json = {
            "resourceType": kind,
            "id": address.removeprefix("urn:uuid:"),
            "meta": {"security": MARKS},
            **known(**elements),
        }
        self.resources[address] = resource
        if part is not None:
            self.sections.setdefault(part, {})[address] = None
        return resource

    def find(self, kind: str, key: object) -> Json | None:
        """Return a resource, or None where it is not there."""
        return self.resources.get(self.address(kind, key))

    def of_kind(self, kind: str) -> list[Json]:
        """Return the resources of a kind, in the order in which they came."""
        return [each for each in self.resources.values() if each["resourceType"] == kind]

    def ref(self, kind: str, key: object) -> Json | None:
        """Return a reference, or None where nothing is there."""
        found = self.find(kind, key)
        return None if key is None or found is None else reference(found)

    def staff(self, staff_id: str) -> Json:
        """Return a reference to a member of staff, or to another actor of the clinic by its name."""
        found = self.find("Practitioner", staff_id)
        if found is None:
            name = words(self.record.name_of(staff_id)) or staff_id
            found = self.add("Practitioner", staff_id, None, name=[{"text": name}])
            del found["meta"]
            try:
                found["identifier"] = identifier(UUID(staff_id))
            except ValueError:
                # An operator is known by the name that the machine has for them.
                found["identifier"] = [{"value": staff_id}]
        return reference(found)

    def day(self, at: datetime) -> str:
        """Return the clinic's day of a moment."""
        return at.astimezone(self.zone).date().isoformat()

    def touch(self, told: Told, resources: list[Json]) -> None:
        """Note which resources an event touched; the patient where it is none of them."""
        targets = resources or [self.patient]
        self.touched.append((told, targets))
        for resource in targets:
            meta = resource["meta"]
            resource["meta"] = {
                "versionId": str(told.version),
                "lastUpdated": instant(told.exported.recorded.recorded_at),
                "security": meta["security"],
            }


Handler = Callable[[Draft, Any, Told], list[Json]]
"""(document, event, the event as exported) → the resources that it touched, made or changed by it."""


def reference(resource: Json) -> Json:
    """Return a reference to a resource of the document."""
    return {"reference": f"urn:uuid:{resource['id']}", "type": resource["resourceType"]}


def without(resource: Json, *names: str) -> None:
    """Take elements out of a resource, with what stands beside them."""
    for name in names:
        resource.pop(name, None)
        resource.pop(f"_{name}", None)


def marked_in_error(draft: Draft, kind: str, *keys: object) -> list[Json]:
    """Mark resources of a kind as entered in error; return those that are there."""
    found = [each for each in (draft.find(kind, key) for key in keys) if each is not None]
    for resource in found:
        resource["status"] = "entered-in-error"
    return found
