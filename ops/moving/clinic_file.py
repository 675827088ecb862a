"""A whole clinic in one file: its layout, and how it is opened and held to itself.

Source: decision 54; decision 15 for the bundle that it is.

    bundle.json, checkpoint, checkpoints/N, bodies/N, tile/entries/…, tile/0/…     as in every bundle of the whole log
    tile/payloads/…   the stored states of the entries of a tile, each after its length in 4 bytes (0: there is none)
    payloads/N        the state of entry N, where it is larger than 64 KiB
    rows/sealed/N     rows that no event can bring back: drafts, and the fences of closed streams; as JSON
    rows/requests/N   what answers a request that comes twice
    root.key          a key file, made for this file, under the passphrase
    keyring.db        the keyring with its tombstones, wrapped under that key
    clinic.json       what it is, and the SHA-256 of every file but the two below
    clinic.proof      the digest of clinic.json, sealed under that key

- `wellkept verify` takes it as the bundle that it is; with the passphrase there is more to hold it to.
- Who alters a file alters a digest, and who alters the digests lacks the key: whoever has the passphrase sees it before
  anything is read. A file too many is refused.
- Everything is whole: an entry whose state is not there was purged, or the file is refused.

It judges no entry (`ops.verify`) and opens no record.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from ops.backups.files import write_file
from ops.exits import CommandFailed, Exit
from ops.verify import (
    ENTRIES_A_TILE,
    ENTRY_BYTES,
    Archive,
    Bundle,
    MalformedTile,
    VerificationError,
    strict_json,
    tile_path,
)
from records.errors import KeyMissing
from records.key_provider import KeyFileProvider, KeyProvider

FORMAT = "wellkept-clinic/1"
ABOUT, PROOF, ROOT_KEY, KEYRING = "clinic.json", "clinic.proof", "root.key", "keyring.db"
LARGEST_IN_A_TILE = 64 << 10
"""A tile of states is read at once; so it is at most 16 MiB."""
ROWS_AT_ONCE = 500
ROWS_BYTES = 4 << 20
"""A part of the rows ends with the row that brings it to this size, or to so many rows."""
_MAX_BYTES = 1 << 30
_PROOF_CONTEXT = b"wellkept/clinic-file/1"


class AlteredClinicFile(VerificationError):
    """A file of a whole clinic is not as it was written."""


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a clinic's file says of itself.

    Attributes:
        format: `wellkept-clinic/1`.
        version: the version of Wellkept that wrote it.
        made_at: when, UTC.
        deployment: whose it is.
        fingerprint: of the log's genesis, 64 hex digits; its own word, to be compared with the one on the forms.
        entries: entries of the ledger; the newest checkpoint covers them all.
        events: events and readings.
        keys: data keys.
        sealed_rows, requests: rows that go with it.
        files: name → SHA-256 as 64 hex digits.
    """

    format: str
    version: str
    made_at: datetime
    deployment: UUID
    fingerprint: str
    entries: int
    events: int
    keys: int
    sealed_rows: int
    requests: int
    files: dict[str, str]


class KeptRow(msgspec.Struct, frozen=True, array_like=True):
    """A row of `sealed_rows`; ids are 16 bytes."""

    place: str
    row_id: bytes
    stream_id: bytes
    version: int
    state: bytes


class KeptRequest(msgspec.Struct, frozen=True, array_like=True):
    """A row of `idempotency`."""

    key_digest: bytes
    body_digest: bytes
    stream_id: bytes
    status: int
    events: bytes


class ClinicFile(Bundle):
    """A clinic's file as a source of the verifier: a bundle of the whole log in which no state may be missing."""

    whole = True

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            VerificationError: it is no zip, or no bundle.
        """
        super().__init__(path)
        assert isinstance(self._files, Archive)
        self.names = frozenset(self._files._files)
        self.size = self._checkpoint.size

    def read(self, name: str) -> bytes:
        """Return a file.

        Raises:
            Incomplete: it is not there.
            MalformedBundle: it cannot be unpacked.
        """
        return self._needed(name, _MAX_BYTES)

    def rows(self) -> Iterator[tuple[int, bytes, bytes | None]]:
        """Yield the rows of all entries, each with its state."""
        states: Sequence[bytes | None] = ()
        for index, entry, alone in super().rows():
            if index % ENTRIES_A_TILE == 0:
                states = self._states(index)
            yield index, entry, states[index % ENTRIES_A_TILE] if alone is None else alone

    def _states(self, first: int) -> list[bytes | None]:
        count = min(ENTRIES_A_TILE, self.size - first)
        name = payload_tile(first // ENTRIES_A_TILE, count)
        data = self._needed(name, ENTRIES_A_TILE * (4 + LARGEST_IN_A_TILE))
        states: list[bytes | None] = []
        at = 0
        for _ in range(count):
            length = int.from_bytes(data[at : at + 4], "big")
            states.append(data[at + 4 : at + 4 + length] if length else None)
            at += 4 + length
        if at != len(data):
            raise MalformedTile(f"{name} does not hold one state for each entry.", first)
        return states

    def last_us(self) -> int:
        """Return the time of the last entry, in microseconds since 1970 UTC."""
        count = (self.size - 1) % ENTRIES_A_TILE + 1
        tile = self._needed(tile_path("entries", (self.size - 1) // ENTRIES_A_TILE, count), ENTRIES_A_TILE * 256)
        return int.from_bytes(tile[-ENTRY_BYTES:][8:16], "big")

    def kept_rows(self) -> Iterator[list[KeptRow]]:
        """Yield the rows of `sealed_rows`."""
        for name in numbered(self.names, "rows/sealed"):
            yield _decoded(self.read(name), list[KeptRow], name)

    def kept_requests(self) -> Iterator[list[KeptRequest]]:
        """Yield the rows of `idempotency`."""
        for name in numbered(self.names, "rows/requests"):
            yield _decoded(self.read(name), list[KeptRequest], name)


class Opened(NamedTuple):
    """A clinic's file that is as it was written: what it says, what opens its keys, and where its keyring was put."""

    source: ClinicFile
    about: About
    provider: KeyProvider
    keyring: Path


def payload_tile(number: int, count: int) -> str:
    """Return the name of a tile of states."""
    return tile_path("payloads", number, count)


def numbered(names: frozenset[str], folder: str) -> list[str]:
    """Return the names that are a number in a folder, in the order of the numbers."""
    return sorted(
        (name for name in names if re.fullmatch(f"{folder}/[0-9]+", name)), key=lambda name: (len(name), name)
    )


def is_clinic_file(path: Path) -> bool:
    """Whether a file says that it is a whole clinic's."""
    if not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return ABOUT in archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        # Whoever reads it as a bundle says what is wrong with it.
        return False


def prove(about: bytes, provider: KeyProvider) -> bytes:
    """Return what proves that whoever wrote these bytes has the key."""
    return provider.wrap(_PROOF_CONTEXT, hashlib.sha256(about).digest())


def open_file(path: Path, passphrase: bytes, folder: Path) -> Opened:
    """Open a clinic's file and hold each of its files to the digest that the passphrase vouches for.

    Cost: reads all of it once. Nothing of it is written but key file and keyring, both wrapped, into `folder`.

    Raises:
        CommandFailed: it is of a newer format, or is no clinic's file.
        KeyMissing: the passphrase does not open it.
        VerificationError: it is not as it was written.
    """
    if not is_clinic_file(path):
        raise CommandFailed(Exit.INTEGRITY, f"{path.name} is no file of a whole clinic, or was cut short")
    source = ClinicFile(path)
    told = source.read(ABOUT)
    _require_format(told)
    write_file(folder / ROOT_KEY, source.read(ROOT_KEY))
    provider = KeyFileProvider(folder / ROOT_KEY, passphrase)
    try:
        vouched = provider.unwrap(provider.generation, _PROOF_CONTEXT, source.read(PROOF))
    except KeyMissing:
        # The passphrase opened the key; so it is what was sealed under it that is not as it was.
        vouched = b""
    if vouched != hashlib.sha256(told).digest():
        raise AlteredClinicFile(f"{ABOUT} is not as it was written, or its proof is not.")
    about: About = _decoded(told, About, ABOUT)
    wanted = {ABOUT, PROOF, *about.files}
    if odd := sorted(source.names ^ wanted):
        raise AlteredClinicFile(f"{odd[0]} is missing, or is none of the file's.")
    for name, digest in about.files.items():
        if hashlib.sha256(source.read(name)).hexdigest() != digest:
            raise AlteredClinicFile(f"{name} is not as it was written.")
    if about.entries != source.size:
        raise AlteredClinicFile(f"{ABOUT} tells of another log than the one in the file.")
    write_file(folder / KEYRING, source.read(KEYRING))
    return Opened(source, about, provider, folder / KEYRING)


def _require_format(told: bytes) -> None:
    try:
        found = strict_json(told).get("format")
    except ValueError as error:
        raise AlteredClinicFile(f"{ABOUT} cannot be read.") from error
    if found == FORMAT:
        return
    if isinstance(found, str) and re.fullmatch(r"wellkept-clinic/[0-9]+", found):
        raise CommandFailed(Exit.FAILED, f"the file is of the newer format {found}: install a newer Wellkept")
    raise AlteredClinicFile(f"{ABOUT} is of another format.")


def _decoded(data: bytes, kind: Any, name: str) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise AlteredClinicFile(f"{name} cannot be read.") from error
