"""Imports: a record that another clinic exported goes on here, with its history as that clinic recorded it.

Source: CRYPTO 2 (`originally_recorded_at`); AUDIT E2 (reading it back gives an equal record); ISO 21089 (receive).

Rules:
- What happened elsewhere is not decided anew: each event stands as it was recorded there, with the time at which that
  clinic recorded it. What its own rules make of it must hold together, else nothing is taken.
- The record keeps its id. A clinic that has it already, or erased it, does not take it.
- The import is the last event: it says from where, up to which place of that clinic's log, and whether anybody said
  whose log it is. So the versions of the history are those of the former clinic.
- People of the former clinic are named in the clinic's own stream, since names of staff are no part of a record.

It reads and verifies no file (`ops.moving.importing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from records.client_record import ClientRecord
from records.decision import Context, decision
from records.errors import RuleBroken
from records.event import Event, Recorded, StreamKind, topic_of

_REGISTERED = "client.registered"

# --- value types


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where an imported record comes from.

    Attributes:
        clinic: the former clinic's name.
        deployment_id, origin: its log, and that log's name.
        fingerprint: of that log's genesis.
        pinned: whoever imported it gave the fingerprint; else nobody said whose log it is.
        at: everything lay below this index of that log.
        as_of: when the last entry below it was logged there.
        manifest_sha256: hex digest of the manifest of the bundle.
        bundle_sha256: hex digest of the bundle itself, which is kept beside the record.
        events, readings: how many that bundle held.
        withheld: how many parts it left out; their texts are empty here.
    """

    clinic: str
    deployment_id: UUID
    origin: str
    fingerprint: str
    pinned: bool
    at: int
    as_of: datetime
    manifest_sha256: str
    bundle_sha256: str
    events: int
    readings: int
    withheld: int


# --- events


class RecordImported(Event, frozen=True, kw_only=True, tag="record.imported"):
    """The record was taken over from another clinic; everything before this came with it. Since 1.

    Attributes:
        import_id: id of this import.
        provenance: where it comes from.
    """

    subject = "import_id"
    lifecycle = "receive"

    import_id: UUID
    provenance: Provenance

    def apply(self, record: ClientRecord, version: int) -> None:
        """Change no rule."""


class FormerStaffNamed(Event, frozen=True, kw_only=True, tag="staff.named_elsewhere"):
    """People of another clinic were named, whose entries came with imported records. Since 1.

    Attributes:
        clinic: that clinic's name.
        names: id there → name.
    """

    stream_kind: ClassVar[StreamKind] = StreamKind.CLINIC
    lifecycle = "receive"

    clinic: str
    names: dict[str, str]

    def apply(self, record: Any, version: int) -> None:
        """Know their names."""
        record.version = version
        record.former_staff = {**record.former_staff, **self.names}


EVENTS = (RecordImported, FormerStaffNamed)

# --- decisions


@decision("record.import", creates_stream=True)
def import_record(
    record: ClientRecord,
    context: Context,
    *,
    import_id: UUID,
    history: Sequence[Event],
    provenance: Provenance,
    staff: dict[str, str],
) -> Sequence[Event]:
    """Take over a record whose bundle was verified.

    Args:
        record: the client, who is not here yet.
        context: who imports, and when.
        import_id: the id that the import gets.
        history: the events of the former clinic in their order, each with the time at which it was recorded there.
        provenance: where they come from.
        staff: id → name of the people who are named in it.

    Raises:
        RuleBroken: `record-exists`; `history-broken`: the events do not make a record.
    """
    if record.exists:
        raise RuleBroken("record-exists", "This clinic has a record of this id already.")
    _require_whole(record.client_id, history)
    stamp = context.stamp()
    imported = RecordImported(import_id=import_id, provenance=provenance, **stamp)
    if not staff:
        return [*history, imported]
    return [*history, imported, FormerStaffNamed(clinic=provenance.clinic, names=staff, **stamp)]


def _require_whole(client_id: UUID, history: Sequence[Event]) -> None:
    """Fold the history as the rules will."""
    record = ClientRecord(client_id=client_id)
    try:
        for version, event in enumerate(history, 1):
            if event.stream_kind is not StreamKind.CLIENT or event.originally_recorded_at is None:
                raise RuleBroken("history-broken", f"Event {version} is none of a record, or of no time.")
            record.apply(Recorded(event, client_id, version, -1, event.originally_recorded_at))
    except (KeyError, ValueError, TypeError, AttributeError, AssertionError) as error:
        raise RuleBroken("history-broken", f"Event {version} does not follow from those before it.") from error
    if not history or topic_of(history[0]) != _REGISTERED:
        raise RuleBroken("history-broken", "The events do not begin with a registration.")
