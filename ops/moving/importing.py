"""Reading the bundle of one record into this clinic: verified as a whole, then stored in one commit, or not at all.

Source: the decisions on exports and imports; CRYPTO 4.

- The bundle is verified as its recipient would, with the fingerprint of the former clinic's log from outside. Without
  one it is taken only when that is said, and the record says so for ever.
- What was attached is sealed anew, each file beside the event that tells of it.
- Each event is made from the exact bytes that the former clinic logged, and keeps the time at which it was recorded
  there. Texts that were left out are empty; an event that was left out whole cannot be taken over.
- The bundle itself is kept beside the record, sealed under the client's key: whoever doubts a word can verify it anew.
- A crash leaves nothing of it or all of it.

What the rules are is said in `records.imports`.
"""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import msgspec

from ops.exits import CommandFailed, Exit
from ops.verifier.record import verify_record
from ops.verify import Policy, Report, read_outside
from ops.wiring import Clinic
from projections.export.attached import file_name
from projections.former_bundle import former_bundle_row
from records.attachment_files import sealed_file
from records.attachments import AttachmentAdded
from records.catalogue import CATALOGUE, to_event, upcast
from records.errors import Erased, UnknownTopic
from records.event import Event
from records.imports import Provenance, import_record
from records.ledger import KeyClass
from records.payload import Segment, from_segments
from records.request import Request
from records.sealing import DataKey
from records.store.unit import RowPut, Unit

MAX_BYTES = 256 << 20
"""As `ops.verifier.bundle` has it for each file; a whole bundle of that size is no record of one person."""


class ImportAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is imported.

    Attributes:
        path: the bundle, a zip.
        genesis: fingerprint of the former clinic's log, 64 hex digits; None is taken with `unpinned` only.
        unpinned: take it although nobody says whose log it is.
        checkpoints: checkpoints of that log that were kept outside.
    """

    path: Path
    genesis: str | None = None
    unpinned: bool = False
    checkpoints: tuple[Path, ...] = ()


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What was imported, and how it was verified (`status` as `wellkept verify` says it)."""

    id: UUID
    client: UUID
    clinic: str
    events: int
    withheld: int
    status: str


def import_bundle(clinic: Clinic, request: Request, asked: ImportAsked) -> Imported:
    """Import a record.

    Raises:
        CommandFailed: exit 3: the bundle is not what was logged, or nobody said whose log it is; exit 1: it is too
            large, no zip, or holds an event that cannot be taken over.
        Refused: as `import_record`; Erased: this clinic erased the client.
        OSError: the file cannot be read.
    """
    clinic.service.admit(import_record.permission, None, request)
    data = _read(asked.path)
    report = _verified(asked)
    if _read(asked.path) != data:
        raise CommandFailed(Exit.FAILED, "the file was changed while it was verified")
    record = json.loads(_member(asked.path, "record.json"))
    client_id, import_id = UUID(record["client_id"]), uuid4()
    if client_id in clinic.service.directory.clinic.erased:
        raise Erased("this clinic erased the record")
    shown = [_Told(_event(told), whole=not _left_out(told)) for told in record["events"]]
    history = [each.event for each in shown]
    provenance = _provenance(asked, data, record)
    # The key is made before, since the bundle is sealed under it; a crash leaves a key that nothing names.
    key = clinic.keyring.ensure(client_id, KeyClass.RECORD)
    kept = former_bundle_row(clinic.service.reader.deployment_id, key, client_id, import_id, data)
    clinic.service.transact(
        client_id,
        import_record,
        request,
        beside=Unit(puts=(kept, *_files(clinic, asked.path, key, client_id, shown))),
        import_id=import_id,
        history=history,
        provenance=provenance,
        staff=record["staff"],
    )
    return Imported(
        id=import_id,
        client=client_id,
        clinic=provenance.clinic,
        events=len(history),
        withheld=provenance.withheld,
        status=report.status,
    )


class _Told(NamedTuple):
    """An event of a bundle, and whether every text of it is shown."""

    event: Event
    whole: bool


def _files(clinic: Clinic, bundle: Path, key: DataKey, client_id: UUID, shown: list[_Told]) -> Iterator[RowPut]:
    """Yield the row of each file that is in the bundle; it was verified against the event that tells of it."""
    deployment_id = clinic.service.reader.deployment_id
    with zipfile.ZipFile(bundle) as archive:
        for event, whole in shown:
            if isinstance(event, AttachmentAdded) and whole:
                content = archive.read(file_name(event))
                yield from sealed_file(deployment_id, key, client_id, event.attachment_id, content)


def _provenance(asked: ImportAsked, bundle: bytes, record: dict[str, Any]) -> Provenance:
    own = {name: record["clinic"][name] for name in ("deployment_id", "origin", "fingerprint")}
    told = {
        "clinic": record["clinic"]["name"],
        "pinned": asked.genesis is not None,
        "at": record["at"],
        "as_of": record["as_of"],
        "manifest_sha256": hashlib.sha256(_member(asked.path, "manifest.json")).hexdigest(),
        "bundle_sha256": hashlib.sha256(bundle).hexdigest(),
        "events": len(record["events"]),
        "readings": len(record["readings"]),
        "withheld": sum(each["count"] for each in record["left_out"]),
    }
    return msgspec.convert({**own, **told}, Provenance)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise CommandFailed(Exit.FAILED, f"{path.name} is larger than the bundle of a record can be")
    return data


def _verified(asked: ImportAsked) -> Report:
    if asked.genesis is None and not asked.unpinned:
        raise CommandFailed(
            Exit.INTEGRITY,
            "nobody said whose log this is: give the fingerprint of the former clinic's papers (--genesis)",
        )
    policy = Policy(asked.genesis, read_outside(asked.checkpoints), now=int(time.time()))
    report = verify_record(asked.path, policy)
    if report.exit != 0 and (report.status != "unpinned" or not asked.unpinned):
        raise CommandFailed(Exit.INTEGRITY, f"{report.status}: {report.sentence}")
    return report


def _member(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def _left_out(told: dict[str, Any]) -> bool:
    return any("path" not in each for each in told["segments"])


def _event(told: dict[str, Any]) -> Event:
    """Return an event of a bundle that was verified.

    Raises:
        CommandFailed: it was left out whole, or this version does not know its kind.
    """
    shown = [Segment(each["path"], each["content"].encode()) for each in told["segments"] if "path" in each]
    if not shown:
        raise CommandFailed(
            Exit.FAILED, f"entry {told['version']} of the record is not in this copy, so it cannot be taken over"
        )
    try:
        event = _with_blanks(shown) if _left_out(told) else to_event(told["topic"], tuple(shown))
    except UnknownTopic as error:
        raise CommandFailed(
            Exit.FAILED, f"entry {told['version']} of the record is of a kind that this version does not know"
        ) from error
    recorded_at = msgspec.convert(told["recorded_at"], type(event.occurred_at))
    return msgspec.structs.replace(event, originally_recorded_at=event.originally_recorded_at or recorded_at)


def _with_blanks(shown: list[Segment]) -> Event:
    """Return an event whose texts that are not shown are empty: no words, or no words under any name."""
    topic, document = from_segments(shown, upcast)
    cls = CATALOGUE[topic]
    blanks: tuple[Any, ...] = ("", {})
    for field in msgspec.structs.fields(cls):
        if field.name in cls.free_text and field.required and field.name not in document:
            document[field.name] = next(blank for blank in blanks if _fits(blank, field.type))
    try:
        return msgspec.convert(document, cls)
    except msgspec.ValidationError as error:
        raise UnknownTopic("a payload that does not fit its class") from error


def _fits(blank: Any, kind: Any) -> bool:
    try:
        msgspec.convert(blank, kind)
    except msgspec.ValidationError:
        return False
    return True
