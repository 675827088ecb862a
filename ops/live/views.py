"""What only the clinic's keys can compare: the keyring with the log, tables with a rebuild, one client's readings.

1. Each key that the log created and did not destroy is in the keyring and opens: else it was lost, which is not
   erasure. None that the log destroyed is there any more.
2. Every reading opens. The audit index, as far as it goes, holds one row for each, and says what it says.
3. Each sealed row of a view or of the roster that opens is the fold of the events that it includes.
   Each attached file is there, and is the one that its event tells of (`ops.live.files`).
4. A client's access stream is dense and ends where the log says; each entry opens, and names this client. An access
   report that was kept says how many there were up to a place and to a checkpoint: so it must still be.

Rows of views that do not open are no evidence and are folded anew when they are next used; they are a warning.
"""

from __future__ import annotations

import time
from base64 import b64encode
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from uuid import UUID

import msgspec

from ops.keys.providers import open_provider
from ops.live.files import check_files
from ops.live.log import Tables
from ops.opening import open_from
from ops.settings import Settings
from ops.verify import VerificationError, Verifier
from ops.wiring import Clinic, Paths, deployment_of
from projections.rebuild import SNAPSHOTS
from projections.sealed_rows import Snapshot
from records.access import AccessRecorded
from records.errors import Erased, IntegrityFailure, KeyMissing, KeyProviderUnreachable, LedgerMismatch
from records.event import Recorded
from records.keyring import Keyring
from records.ledger import KeyClass, to_microseconds

AT_ONCE = 2_000
"""Entries that are opened at a time."""


class KeyLost(VerificationError):
    """A key that the log created and did not destroy is not in the keyring, or does not open."""


class KeyNotDestroyed(VerificationError):
    """A key that the log says was destroyed is still in the keyring."""


class AlteredIndex(VerificationError):
    """The audit index does not say what the sealed readings say."""


class AlteredRow(VerificationError):
    """A sealed row of a view is not the fold of its events."""


class AlteredReading(VerificationError):
    """An access entry does not open, or is of another client than its stream."""


def check_keys(settings: Settings, verifier: Verifier) -> None:
    """Take step 1.

    Raises:
        KeyLost, KeyNotDestroyed: names the entry that created the key.
        KeyMissing: the keyring or the root key is not there at all.
    """
    paths = Paths(settings.data)
    provider = open_provider(settings)
    with closing(Keyring(paths.keyring, deployment_of(settings.data), provider, time.monotonic)) as keyring:
        check_keyring(keyring, verifier)


def check_keyring(keyring: Keyring, verifier: Verifier) -> None:
    """Take step 1 with an open keyring.

    Raises:
        KeyLost, KeyNotDestroyed: names the entry that created the key.
    """
    for key_id, (scope, key_class, index) in verifier.keys.items():
        if key_id in verifier.destroyed:
            continue
        try:
            keyring.by_id(key_id, UUID(bytes=scope), KeyClass(key_class))
        except Erased:
            # Its tombstone says so; the log will when the erasure is completed, at the next start at the latest.
            verifier.warnings.append(f"The key of entry {index} was destroyed; the next start completes its erasure.")
        except KeyProviderUnreachable:
            # What does not answer now has lost nothing.
            raise
        except KeyMissing as error:
            lost = f"The key that entry {index} created is not in the keyring, and no entry destroyed it"
            raise KeyLost(f"{lost}: it was lost, not erased.", index) from error
    for held in keyring.held():
        if held.key_id in verifier.destroyed:
            index = verifier.keys[held.key_id][2]
            raise KeyNotDestroyed(f"The key that entry {index} created was destroyed and is still there.", index)


def check_views(settings: Settings, tables: Tables, verifier: Verifier) -> None:
    """Take steps 2 and 3.

    Raises:
        AlteredIndex, AlteredReading, AlteredRow, FileLost: see the module.
    """
    with _opened(settings) as clinic:
        compare_views(clinic, tables, verifier)


def compare_views(clinic: Clinic, tables: Tables, verifier: Verifier) -> None:
    """Take steps 2 and 3 with an opened clinic; see `check_views`."""
    _check_index(clinic, tables, verifier.size)
    for snapshot in SNAPSHOTS.values():
        unread = _check_rows(clinic, snapshot)
        if unread:
            verifier.warnings.append(f"{unread} rows of {snapshot.place} do not open and will be folded anew.")
    check_files(clinic, verifier)


def _check_index(clinic: Clinic, tables: Tables, size: int) -> None:
    ((position,),) = tables.select("SELECT idx FROM audit_position")
    if position >= size:
        raise AlteredIndex(f"The audit index goes up to entry {position}, and the log ends before.", size)
    after = -1
    while after < size - 1:
        opened, read = clinic.service.reader.access_entries(after, min(AT_ONCE, size - 1 - after))
        stored = _stored_rows(tables, after, read)
        for recorded in opened:
            if not isinstance(recorded.event, AccessRecorded):
                raise AlteredReading(f"Entry {recorded.index} stands for a reading and does not open.", recorded.index)
            wanted = _wanted_row(recorded, recorded.event) if recorded.index <= position else None
            if stored.pop(recorded.index, None) != wanted:
                what = f"The audit index does not say of entry {recorded.index} what the sealed reading says"
                raise AlteredIndex(f"{what}, or lacks it: rebuild it.", recorded.index)
        if stored:
            index = min(stored)
            raise AlteredIndex(f"The audit index tells of a reading at entry {index}, which is none.", index)
        after = read
    ((beyond,),) = tables.select("SELECT min(idx) FROM audit_index WHERE idx >= ?", size)
    if beyond is not None:
        raise AlteredIndex(f"The audit index tells of a reading at entry {beyond}, which is not there.", size)


def _stored_rows(tables: Tables, after: int, upto: int) -> dict[int, tuple[object, ...]]:
    rows = tables.select(
        "SELECT idx, client_id, actor, purpose, at_us FROM audit_index WHERE idx > ? AND idx <= ?", after, upto
    )
    return {index: (_uuid(client), _text(actor), _text(purpose), at) for index, client, actor, purpose, at in rows}


def _wanted_row(recorded: Recorded, event: AccessRecorded) -> tuple[object, ...]:
    return event.client_id, event.entered_by, event.purpose, to_microseconds(recorded.recorded_at)


def _uuid(value: object) -> object:
    return UUID(bytes=value) if isinstance(value, bytes) and len(value) == 16 else value


def _text(value: object) -> object:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _check_rows(clinic: Clinic, snapshot: Snapshot[Any]) -> int:
    """Return how many rows did not open; each other one is the fold of its events."""
    reader, unread = clinic.service.reader, 0
    for row in reader.sealed_rows(snapshot.place):
        try:
            kept = snapshot.read_row(reader, row.row_id, row)
            folded = snapshot.read_row(reader, row.row_id, None)
        except (KeyMissing, Erased):
            unread += 1
            continue
        if any(not put.only_forward for put in kept.puts):
            unread += 1
        elif kept.state != folded.state:
            raise AlteredRow(f"A sealed row of {snapshot.place} is not the fold of its events.")
    return unread


class StatedCheckpoint(msgspec.Struct, frozen=True):
    """The checkpoint that an access report names: its size, its root in base64, and how many readings it covers."""

    size: int
    root: str
    entries: int


class StatedUpTo(msgspec.Struct, frozen=True):
    """Up to where an access report says that it is complete."""

    log: UUID
    index: int
    checkpoint: StatedCheckpoint | None = None


class StatedReport(msgspec.Struct, frozen=True):
    """What an access report that somebody kept says of its own completeness; the rest of it is not read."""

    client_id: UUID
    entries: int
    complete_up_to: StatedUpTo


def check_client(settings: Settings, verifier: Verifier, client: UUID, stated: StatedReport | None = None) -> None:
    """Take step 4, and add what was found to the counts.

    Args:
        settings: the clinic.
        verifier: a run over its whole log.
        client: whose access stream is checked.
        stated: an access report that was kept; what it says must still be so.

    Raises:
        AlteredReading: see the module.
    """
    with _opened(settings) as clinic:
        streams = clinic.service.streams
        version, _, last = verifier.heads.get(streams.access(client).bytes, (0, b"", 0))
        try:
            found = clinic.service.reader.access_events(client, 0, version)
        except LedgerMismatch as error:
            raise AlteredReading("The client's access stream is not what was logged.", error.index) from error
        for recorded in found:
            event = recorded.event
            if not isinstance(event, AccessRecorded) or event.client_id != client:
                what = f"Entry {recorded.index} of the client's access stream does not open, or is of another"
                raise AlteredReading(f"{what}.", recorded.index)
        if len(found) != version:
            raise AlteredReading(
                f"The log holds {version} readings of this client, and {len(found)} can be told.", last
            )
        if stated is not None:
            if (stated.client_id, stated.complete_up_to.log) != (client, clinic.service.streams.deployment_id):
                raise AlteredReading("The report that was kept is of another client, or of another clinic's log.")
            _check_stated(verifier, stated, [recorded.index for recorded in found])
        verifier.counts["client_readings"] = version
        verifier.counts["client_events"] = verifier.heads.get(client.bytes, (0, b"", 0))[0]


def _check_stated(verifier: Verifier, stated: StatedReport, indexes: list[int]) -> None:
    up_to = stated.complete_up_to
    counted = [(up_to.index, stated.entries)]
    if up_to.checkpoint is not None:
        size = up_to.checkpoint.size
        root = verifier.roots.get(size)
        if root is None or b64encode(root).decode() != up_to.checkpoint.root:
            raise AlteredReading(f"The checkpoint of size {size} that the report names is none of this log.")
        counted.append((size - 1, up_to.checkpoint.entries))
    for index, entries in counted:
        held = bisect_right(indexes, index)
        if held != entries:
            what = f"The report counted {entries} readings of this client up to entry {index}; the log holds {held}"
            raise AlteredReading(f"{what}.", index)


@contextmanager
def _opened(settings: Settings) -> Iterator[Clinic]:
    """Open the clinic for reading; what it refuses to serve is a failure of integrity."""
    clinic = open_from(settings, read_only=True, told=lambda _code, _facts: None)
    try:
        yield clinic
    except IntegrityFailure as error:
        raise AlteredReading(f"The clinic's own check says: {error}.", getattr(error, "index", None)) from error
    finally:
        clinic.close()
