"""What an export is made of: the record of one client as it stood below one place of the log, opened.

Source: AUDIT E1 to E5; CRYPTO 2 (segments), CRYPTO 4.

- Everything that is written into a bundle is made from this and nothing else, so that two exports at the same place of
  the log are the same to the byte, and nothing later slips in.
- An event keeps the exact bytes of its segments beside what they mean. A part that is withheld is a hash here already:
  no writer of pages, of JSON or of FHIR ever holds its text.
- Names of staff are those of the same place of the log.

It reads nothing (`projections.export.gathering`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from records.attachments import AttachmentAdded
from records.event import Recorded

REASONS: dict[str, str] = {
    "entered-in-error": "Marked by the clinic as written into this record by mistake; it may be about somebody else.",
    "file-entered-in-error": "The file of something that the clinic marked so; it may be about somebody else.",
    "unreadable": "Could not be opened when this copy was made; the clinic has been alarmed.",
}
"""Why something is left out → as it is said to the client."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    r"""A segment that is shown: CRYPTO 2, `SHA-256("wkseg\x01" ‖ salt ‖ lp(path) ‖ u32 length ‖ exact bytes)`.

    Attributes:
        path: `v<payload version>` for the header, else the name of the free text (`field` or `field/key`).
        salt: 32 bytes.
        content: the exact bytes; UTF-8.
    """

    path: str
    salt: bytes
    content: bytes


class Withheld(msgspec.Struct, frozen=True, kw_only=True):
    """A segment that is left out: its hash (32 bytes) stands in its place, so that the rest still verifies.

    Attributes:
        digest: the segment's hash.
        reason: a code of `REASONS`.
    """

    digest: bytes
    reason: str


class ExportedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the record.

    Attributes:
        recorded: the event, opened; free texts that are withheld are not in it. `Unreadable` where nothing opens.
        entry: its entry of the ledger, 157 bytes.
        segments: header first, then free texts in their stored order; none where it cannot be opened.
    """

    recorded: Recorded
    entry: bytes
    segments: tuple[Shown | Withheld, ...]

    @property
    def withheld(self) -> str | None:
        """Why a part of it is left out, or None where all is shown."""
        return next((each.reason for each in self.segments if isinstance(each, Withheld)), None)


class ExportedReading(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the client's access stream; `recorded` is opened, `entry` as in the ledger."""

    recorded: Recorded
    entry: bytes


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """How many parts (segments, or whole events that do not open) were left out for one reason."""

    reason: str
    count: int


class ExportedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one client below a place of the log.

    Attributes:
        clinic: its name.
        deployment_id, origin: whose log it is, and that log's name in its checkpoints.
        jurisdiction: `uk`, `us` or `eu`.
        time_zone: IANA name of the zone in which people are told times.
        client_id: whose record.
        at: the ledger index below which everything lies.
        as_of: when the last entry below `at` was logged; the one date of the export.
        events: the record, in order of version, dense from 1.
        readings: who looked, in order of version, dense from 1.
        staff: id → name, of everybody who is named in it.
        fingerprint: of the log's genesis, as the clinic says; a reader compares it with its papers.
        names_readers: whether those who looked are told by name (`ClinicPolicy.names_staff_to_clients`).
    """

    clinic: str
    deployment_id: UUID
    origin: str
    jurisdiction: str
    time_zone: str
    client_id: UUID
    at: int
    as_of: datetime
    events: tuple[ExportedEvent, ...]
    readings: tuple[ExportedReading, ...]
    staff: Mapping[str, str]
    fingerprint: str
    names_readers: bool = True

    def name_of(self, staff_id: str) -> str:
        """Return a person's name, or the id where no account has it."""
        return self.staff.get(staff_id, staff_id)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What is left out, counted by reason."""
        counts: dict[str, int] = {}
        for event in self.events:
            if not event.segments:
                counts["unreadable"] = counts.get("unreadable", 0) + 1
            for segment in event.segments:
                if isinstance(segment, Withheld):
                    counts[segment.reason] = counts.get(segment.reason, 0) + 1
            if event.withheld is not None and isinstance(event.recorded.event, AttachmentAdded):
                counts["file-entered-in-error"] = counts.get("file-entered-in-error", 0) + 1
        return tuple(LeftOut(reason=reason, count=count) for reason, count in sorted(counts.items()))
