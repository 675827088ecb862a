"""The witness's own directory: its key, the logs that it knows, and what it last signed of each.

    DIR/FORMAT        written last, so that a half-made directory is none
    DIR/witness.json  name and seed of the key, 0600
    DIR/lock          held while one request is judged, kept and signed, by any thread or process
    DIR/logs/<sha256 of the origin>.json           the log's key, and size and root last signed
    DIR/forks/<sha256 of the origin>-<size>.request  the request by which a log showed a second history

- The directory is 0700. Each file is written beside its place, synced, and renamed; then the folder is synced.
- A checkpoint is kept before its signature leaves. A crash before the rename leaves what was last signed; a crash after
  it leaves a log that waits to be asked for the same checkpoint again.
- A witness is never restored from a copy of its directory: it could sign a second history. A new one takes its place,
  with a new key.

It judges by `records.witness`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from ops.exits import CommandFailed, Exit
from records.checkpoint import SEED_BYTES, WitnessKey, cosign, is_witness_name, parse_signed_checkpoint
from records.errors import ForkedLog, InvalidContent, LedgerMismatch, UnknownItem
from records.merkle import EMPTY_ROOT
from records.signed_note import ED25519, SignatureLine, VerifierKey, encode_vkey, parse_vkey
from records.witness import TreeHead, judge, parse_request

FORMAT = "wellkept-witness/1\n"
_File = TypeVar("_File")


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    seed: bytes


class KnownLog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A log that a witness knows: its verifier key as text, and what was last signed of it."""

    vkey: str
    size: int = 0
    root: bytes = EMPTY_ROOT
    at_seconds: int = 0

    @property
    def verifier(self) -> VerifierKey:
        """The log's key."""
        return parse_vkey(self.vkey)


class WitnessFolder:
    """A witness with its state on disk. Safe to share between threads; several processes may use one directory."""

    def __init__(self, folder: Path, now_seconds: Callable[[], int]) -> None:
        """Open a witness that was made by `create`.

        Raises:
            CommandFailed: there is no witness here.
            LedgerMismatch: the key file cannot be read.
        """
        self._folder = folder
        self._now_seconds = now_seconds
        try:
            if (folder / "FORMAT").read_text("utf-8") != FORMAT:
                raise CommandFailed(Exit.NOT_INITIALISED, "this directory is not a witness of this version")
        except FileNotFoundError:
            raise CommandFailed(
                Exit.NOT_INITIALISED, "there is no witness here; `wellkept witness init` makes one"
            ) from None
        kept = _read(folder / "witness.json", _KeyFile)
        self._key = WitnessKey(kept.name, kept.seed)

    @property
    def vkey(self) -> str:
        """What those who trust this witness keep of it."""
        return encode_vkey(self._key.verifier)

    @classmethod
    def create(cls, folder: Path, name: str, seed: bytes) -> None:
        """Make a witness in a new or empty directory.

        Raises:
            FileExistsError: there is something here already.
            InvalidContent: a witness cannot be called so.
        """
        if not is_witness_name(name):
            raise InvalidContent("/name", "Needs 1 to 255 bytes without spaces and without a plus.")
        assert len(seed) == SEED_BYTES
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        if any(folder.iterdir()):
            raise FileExistsError(folder)
        for inner in ("logs", "forks"):
            (folder / inner).mkdir(mode=0o700)
        _write(folder / "witness.json", msgspec.json.encode(_KeyFile(name, seed)))
        _write(folder / "FORMAT", FORMAT.encode())

    def add_log(self, vkey: str) -> KnownLog:
        """Take a log up, once; nothing changes where it is known by the same key.

        Raises:
            MalformedNote: the text is no verifier key.
            InvalidContent: it is of another type than a log's, or the origin is known by another key.
        """
        verifier = parse_vkey(vkey)
        if verifier.type != ED25519 or len(verifier.public_key) != SEED_BYTES:
            raise InvalidContent("/vkey", "Is not the Ed25519 key of a log.")
        with self._locked():
            path = self._place(verifier.name)
            if not path.exists():
                _write(path, msgspec.json.encode(KnownLog(vkey)))
            known = _read(path, KnownLog)
        if known.vkey != vkey:
            raise InvalidContent("/vkey", "This origin is known by another key.")
        return known

    def log_of(self, origin: str) -> KnownLog:
        """Return what is kept of a log.

        Raises:
            UnknownItem: the witness does not know it.
        """
        path = self._place(origin)
        if not path.exists():
            raise UnknownItem("log")
        return _read(path, KnownLog)

    def logs(self) -> list[KnownLog]:
        """Return the logs that the witness knows, by origin."""
        known = [_read(path, KnownLog) for path in (self._folder / "logs").glob("*.json")]
        return sorted(known, key=lambda log: log.vkey)

    def add_checkpoint(self, data: bytes) -> SignatureLine:
        """Judge a request, keep what is signed, and return the signature: one request at a time.

        Raises:
            UnknownItem: the witness does not know this log.
            VerificationError, ProofFromElsewhere: see `records.witness.judge`; nothing was signed or kept.
        """
        request = parse_request(data)
        claimed, note = parse_signed_checkpoint(request.note)
        with self._locked():
            known = self.log_of(claimed.origin)
            try:
                checkpoint = judge(request, known.verifier, TreeHead(known.size, known.root))
            except ForkedLog:
                name = f"{self._place(claimed.origin).stem}-{claimed.size}.request"
                _write(self._folder / "forks" / name, data)
                raise
            at_seconds = self._now_seconds()
            line = cosign(note, self._key, at_seconds)
            self.keep(
                checkpoint.origin,
                msgspec.structs.replace(known, size=checkpoint.size, root=checkpoint.root, at_seconds=at_seconds),
            )
        return line

    def keep(self, origin: str, known: KnownLog) -> None:
        """Keep durably what is about to be signed. A crash here leaves the older state or this one, never a mixture."""
        _write(self._place(origin), msgspec.json.encode(known))

    def _place(self, origin: str) -> Path:
        return self._folder / "logs" / f"{hashlib.sha256(origin.encode()).hexdigest()}.json"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the directory; each opening of the lock file excludes every other, also of this process."""
        handle = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _read(path: Path, kind: type[_File]) -> _File:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.MsgspecError as error:
        raise LedgerMismatch("a file of the witness that cannot be read") from error


def _write(path: Path, data: bytes) -> None:
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
