"""The composition root: founds a clinic, and puts an opened clinic together.

- A clinic is a data directory (0700) with FORMAT and deployment id, the log (SQLite in it, or PostgreSQL by URL), and
  the keys apart in `<data>.keys/` (0700): root key file and keyring.
- Founding makes keys first, then the log, then its genesis and the first entries; it refuses a directory that is not
  empty. Genesis fingerprint and recovery secret are returned once; the secret stands nowhere on disk.
- Closing signs what was written: a command without a service leaves nothing unsigned.
- Opening never creates anything. Every key that the log names must be there.

Clocks and ids are made here and passed down; nothing below reads them by itself.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ops.clock_guard import ClockGuard
from ops.data_format import FORMAT, require_format
from ops.exports.pages import write_pages
from ops.verifier.one_file import one_file
from projections.audit_index import AuditIndex
from projections.export.releasing import Releasing
from projections.export.views import Exports
from projections.patterns_report import PatternsView
from projections.rebuild import SNAPSHOTS
from projections.retention import RetentionDueView
from projections.roster import Roster
from records.actors import Actor, Role
from records.attachment_files import AttachmentFiles
from records.clinic import found_clinic
from records.clinic_policy import ClinicPolicy
from records.drafts import Drafts
from records.emergency_door import EmergencyDoor
from records.erasing import Erasing
from records.erasure_door import ErasureDoor
from records.errors import Erased, LedgerMismatch, NotStored
from records.event import StreamKind
from records.generations import turn_generation
from records.genesis import begin_log
from records.key_provider import KeyFileProvider, KeyProvider
from records.keyring import Keyring
from records.ledger import Entry, KeyClass, Kind, decode_entry
from records.request import Request
from records.service import Service
from records.signer import Signer
from records.signer_state import SignerState
from records.store import Store
from records.store.mapper import Alarm
from records.store.sqlite import SqliteStore
from records.store.unit import CreatedKey, Unit

ADDRESS_KEY = "staff-address"
"""Label of the service key under which addresses of staff are digested."""
RECOVERY_BYTES = 32
_ENTRIES_AT_ONCE = 10_000


class Paths(NamedTuple):
    """Where a clinic's files are; `apart` is the directory of the keys where it is not in its usual place."""

    data: Path
    apart: Path | None = None

    @property
    def keys(self) -> Path:
        """The directory of the keys, apart from the data."""
        return self.apart or self.data.with_name(self.data.name + ".keys")

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.data / "records.db"

    @property
    def keyring(self) -> Path:
        """The keyring file."""
        return self.keys / "keyring.db"

    @property
    def signer(self) -> Path:
        """The directory of the signer's keys and its own state."""
        return self.keys / "signer"

    @property
    def key_file(self) -> Path:
        """The root key file."""
        return self.keys / "root.key"


class Founded(NamedTuple):
    """What is told once, when a clinic is founded.

    Attributes:
        fingerprint: of the log's genesis, 64 hex digits.
        recovery: the recovery secret, 32 bytes; it stands nowhere on disk.
    """

    fingerprint: str
    recovery: bytes

    def __repr__(self) -> str:
        return f"Founded(fingerprint={self.fingerprint})"


class Clinic(NamedTuple):
    """An opened clinic. The signer is None where it was opened for reading only."""

    service: Service
    drafts: Drafts
    attachments: AttachmentFiles
    emergency: EmergencyDoor
    store: Store
    keyring: Keyring
    paths: Paths
    roster: Roster
    audit_index: AuditIndex
    signer: Signer | None
    clock: ClockGuard
    patterns: PatternsView
    erasure: ErasureDoor
    erasing: Erasing
    retention: RetentionDueView
    releasing: Releasing

    def close(self) -> None:
        """Sign what is stored, close the log and forget the keys.

        Raises:
            IntegrityFailure: the log is not the one that was signed; it is closed all the same.
            NotStored, OutcomeUnknown: the last checkpoint could not be stored; the next start signs.
        """
        try:
            if self.signer is not None and not self.signer.stopped:
                if self.signer.epoch_is_due():
                    self.signer.turn_epoch()
                self.signer.flush()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the log and forget the keys, and sign nothing."""
        self.store.close()
        self.keyring.close()


def now() -> datetime:
    """Return the time, aware, UTC."""
    return datetime.now(UTC)


def now_us() -> int:
    """Return microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def since_boot() -> float:
    """Return seconds that run on while the machine sleeps, where it can tell them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def operator() -> Actor:
    """Return whoever runs this command on the machine, marked as such."""
    return operator_of(os.getuid())


def operator_of(user_id: int) -> Actor:
    """Return the operator with this id of the system; its name is the system's, never the environment's."""
    try:
        name = pwd.getpwuid(user_id).pw_name
    except KeyError:
        # A container may run under an id that the system has no name for.
        name = str(user_id)
    return Actor(id=f"operator:{name}", role=Role.OPERATOR)


def found(
    data: Path,
    name: str,
    policy: ClinicPolicy,
    *,
    database_url: str | None = None,
    create: Callable[[uuid.UUID], KeyProvider] | None = None,
) -> Founded:
    """Found a clinic in a new or empty directory, and return what must be kept elsewhere.

    `create` makes its first root key and opens what keeps it: a key file in its usual place where none is given.

    A crash half way leaves a directory that is not initialised: FORMAT is last, with all else on the disk by name too.

    Raises:
        FileExistsError: the directory, or its key directory, holds something already.
    """
    paths = Paths(data)
    new = _make_folders(paths)
    deployment_id = uuid.uuid4()
    provider = create(deployment_id) if create else _key_file(paths.key_file)
    Keyring.create(paths.keyring, deployment_id)
    if database_url is None:
        SqliteStore.create(paths.database)
    else:
        from records.store.postgres import PostgresStore

        PostgresStore.create(database_url)
    _write_durably(data / "deployment", str(deployment_id))
    keyring = Keyring(paths.keyring, deployment_id, provider, time.monotonic)
    store = open_store(paths, database_url)
    secret, state = os.urandom(RECOVERY_BYTES), SignerState(paths.signer, deployment_id, provider)
    try:
        fingerprint = begin_log(store, state, deployment_id, secret, now_us)
        keys = [
            CreatedKey(deployment_id, keyring.ensure(deployment_id, key_class).key_id, key_class)
            for key_class in (KeyClass.SERVICE, KeyClass.CLINIC)
        ]
        store.commit(Unit(keys=tuple(keys)))
        service = Service(store, keyring, now, _no_alarm)
        service.transact(
            service.streams.of(StreamKind.CLINIC, deployment_id),
            found_clinic,
            Request(operator(), str(uuid.uuid4())),
            name=name,
            policy=policy,
        )
        Signer(store, state, deployment_id, now_us, time.monotonic, _no_alarm).flush()
    finally:
        store.close()
        keyring.close()
    _sync(paths.signer, paths.keys, paths.data, *new)
    _write_durably(data / "FORMAT", FORMAT)
    return Founded(fingerprint, secret)


def _make_folders(paths: Paths) -> list[Path]:
    """Make the directories of a new clinic; return those that must be synced for their names to stay."""
    absolute = paths.data.absolute()
    new = [folder.parent for folder in (absolute, *absolute.parents) if not folder.exists()]
    for folder in (paths.data, paths.keys):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        if any(folder.iterdir()):
            raise FileExistsError(f"{folder} is not empty")
    return [absolute.parent, *new]


def open_store(
    paths: Paths,
    database_url: str | None = None,
    *,
    read_only: bool = False,
    still: bool = False,
    clock_us: Callable[[], int] = now_us,
) -> Store:
    """Open the log of a clinic; `clock_us` dates its entries, and nobody writes a `still` one.

    Raises:
        ClinicLocked: another process writes it (SQLite).
        NotStored: it cannot be opened.
    """
    if database_url is None:
        return SqliteStore(paths.database, clock_us, read_only=read_only, still=still)
    from records.store.postgres import PostgresStore

    return PostgresStore(database_url, clock_us, read_only=read_only)


def open_clinic(
    data: Path,
    *,
    database_url: str | None = None,
    key_file: Path | None = None,
    passphrase: bytes | None = None,
    provider: KeyProvider | None = None,
    keys: Path | None = None,
    read_only: bool = False,
    still: bool = False,
    alarm: Alarm | None = None,
    clock: Callable[[], datetime] = now,
    clock_us: Callable[[], int] = now_us,
) -> Clinic:
    """Open a clinic that was founded.

    Args:
        data: its data directory.
        database_url: PostgreSQL that keeps its log; None for SQLite.
        key_file: the root key file, where it is not in its usual place.
        passphrase: of the root key file.
        provider: what keeps the root keys, in place of a key file.
        keys: the directory of the keys, where it is not in its usual place.
        read_only: write nothing, and leave the writing lock to others.
        still: it is a copy that nobody writes, and nothing may be made in its directory; only with `read_only`.
        alarm: what is told of alarms.
        clock: the time by which the doors decide.
        clock_us: the time that dates the entries; it is guarded (`ops.clock_guard`).

    Raises:
        NotInitialised: no clinic here, or one of another format.
        KeyMissing: a key that the log names, or the signer's, is not there or does not open.
        ClinicLocked, NotStored: see `open_store`.
        IntegrityFailure: what staff and clinic streams hold is not what was written, or the log is not the one that was
            signed.
    """
    paths, deployment_id = Paths(data, keys), deployment_of(data)
    provider = provider or KeyFileProvider(key_file or paths.key_file, passphrase)
    keyring = Keyring(paths.keyring, deployment_id, provider, time.monotonic)
    state, told = SignerState(paths.signer, deployment_id, provider), alarm or _no_alarm
    guard = ClockGuard(clock_us, since_boot, paths.signer / "clock-declared")
    store = open_store(paths, database_url, read_only=read_only, still=still, clock_us=guard)
    try:
        guard.begin(store.head().last_us)
        require_whole(store, told)
        require_keys(store, keyring)
        if not read_only:
            _claim(provider, paths.keyring)
        service = Service(store, keyring, clock, told)
        # After the doors, so that an event that does not open is told as such; nothing is served before both stand.
        signer = None if read_only else Signer(store, state, deployment_id, clock_us, time.monotonic, told)
        turn = partial(turn_generation, provider, keyring, state, destroy_old=True)
        erasing = Erasing(service, store, keyring, turn, partial(_alone, paths.keys), uuid.uuid4, told)
        if signer is not None:
            erasing.resume()
    except BaseException:
        store.close()
        keyring.close()
        raise
    return _put_together(service, store, keyring, paths, signer, guard, erasing)


def _put_together(
    service: Service,
    store: Store,
    keyring: Keyring,
    paths: Paths,
    signer: Signer | None,
    guard: ClockGuard,
    erasing: Erasing,
) -> Clinic:
    roster, audit_index = Roster(service.reader), AuditIndex(service.reader, store)
    exports = Exports(one_file, write_pages)
    service.forgetters += [
        exports.forget,
        roster.forget,
        *(partial(each.forget, service.reader) for each in SNAPSHOTS.values()),
    ]
    return Clinic(
        service=service,
        drafts=Drafts(service, store),
        attachments=AttachmentFiles(service),
        emergency=EmergencyDoor(service),
        store=store,
        keyring=keyring,
        paths=paths,
        roster=roster,
        audit_index=audit_index,
        signer=signer,
        clock=guard,
        patterns=PatternsView(store, audit_index, roster, service.streams.service_key(ADDRESS_KEY)),
        erasure=ErasureDoor(service),
        erasing=erasing,
        retention=RetentionDueView(roster),
        releasing=Releasing(service, exports, signer),
    )


def deployment_of(data: Path) -> uuid.UUID:
    """Return the id of the clinic in a directory.

    Raises:
        NotInitialised: no clinic here, or one of another format.
    """
    require_format(data)
    return uuid.UUID((data / "deployment").read_text().strip())


def require_whole(store: Store, alarm: Alarm) -> None:
    """Hold the log to itself before it is served: no index is missing, and no event.

    Rows that no entry names are nobody's: they raise an alarm and stop nothing. Every staff and clinic stream is opened
    and verified after this; the rest is verified when it is read.

    Raises:
        LedgerMismatch: names the first index that is missing, where one is.
    """
    tally = store.tally()
    if tally.entries != tally.last_index + 1:
        raise LedgerMismatch("an entry of the ledger is missing", _first_gap(store))
    if tally.events < tally.chained:
        raise LedgerMismatch("events of the ledger are not stored")
    if tally.bodies != tally.clear:
        raise LedgerMismatch("bodies of the ledger are not those that its entries name")
    if tally.events > tally.chained:
        alarm("stray-rows", {"rows": tally.events - tally.chained})


def _first_gap(store: Store) -> int:
    expected = 0
    while entries := store.entries(expected - 1, _ENTRIES_AT_ONCE):
        for index, _ in entries:
            if index != expected:
                return expected
            expected += 1
    return expected


def require_keys(store: Store, keyring: Keyring) -> None:
    """Hold the keyring to the log: every key that was created and not destroyed must open.

    A key whose tombstone the keyring keeps was destroyed by an erasure that is not completed in this log yet.

    Raises:
        KeyMissing: one is not there. That is loss, not erasure.
    """
    living: dict[bytes, Entry] = {}
    for _, raw in store.key_entries():
        entry = decode_entry(raw)
        if entry.kind is Kind.KEY_CREATED:
            living[entry.key_id] = entry
        else:
            living.pop(entry.key_id, None)
    for entry in living.values():
        with suppress(Erased):
            keyring.by_id(entry.key_id, entry.stream, entry.key_class)


def _key_file(path: Path) -> KeyFileProvider:
    KeyFileProvider.create(path)
    return KeyFileProvider(path)


def _claim(provider: KeyProvider, keyring: Path) -> None:
    """Take the key file for this clinic alone, once it opened its keys and before any could be destroyed in it."""
    # Vault and tokens cannot be taken: what they are asked does not tell which copy of a clinic asks.
    # Where it cannot be written, nothing in it can be destroyed from here either.
    with suppress(NotStored):
        if isinstance(provider, KeyFileProvider):
            provider.claim(keyring)


@contextmanager
def _alone(keys: Path) -> Iterator[None]:
    """Erase alone: one process and one thread at a time. The lock ends with the process.

    Raises:
        NotStored: the directory of the keys is not there, or cannot be written.
    """
    try:
        descriptor = os.open(keys / "erasing.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise NotStored("the directory of the keys cannot be written") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _no_alarm(code: str, facts: dict[str, object]) -> None:
    """Nobody watches while a clinic is founded or a command reads it; errors still surface."""


def _write_durably(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _sync(*folders: Path) -> None:
    """Make the names in folders durable."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
