"""What the bundle of one record, or of one event, says: files with their limits, layouts, entries and texts.

Source: the decisions on exports and on disclosing one entry (which file is what); CRYPTO 2 (entries, segments).

- Every document has exactly the keys of its layout. Bytes stand in one way of writing: lower-case hex, base64 without
  other endings, ids with small letters. So no byte of meaning can be altered without being seen.
- A file is read once, up to a size that no record reaches.

It compares no two files and knows no signature (`ops.verifier.record`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zipfile
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from ops.verify import (
    EMPTY_ROOT,
    ENTRY,
    ENTRY_BYTES,
    ENTRY_MAGIC,
    AlteredText,
    Archive,
    Folder,
    Incomplete,
    Malformed,
    MalformedBundle,
    MalformedEntry,
    MalformedProof,
    VerificationError,
    leaf_hash,
    node_hash,
    strict_json,
    tree_root,
)

MANIFEST = "manifest.json"
EVENT_FORMAT = "wellkept-event/1"
RECORD_FORMAT, ENTRIES_FORMAT, HEADS_FORMAT = "wellkept-record/1", "wellkept-entries/1", "wellkept-heads/1"
ALWAYS = frozenset((
    "README.txt", "record.html", "record.json", "record.schema.json", "fhir.json", "verify.py",
    "access-report/report.txt", "access-report/report.json", "access-report/audit-events.json",
))  # fmt: skip
SOMETIMES = frozenset(("record.pdf",))
PROOFS = frozenset(("proof/checkpoint", "proof/log.json", "proof/heads.json", "proof/release.json"))
ATTACHED_NAME = re.compile(r"files/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(jpg|png|pdf|txt|bin)", re.ASCII)
BODY_NAME = re.compile(r"proof/bodies/(0|[1-9][0-9]{0,15})", re.ASCII)
NUMBER = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
HEADER_PATH = re.compile(r"v[0-9]+", re.ASCII)
MAX_FILE_BYTES = 256 << 20
"""A record of 3,500 events is about 10 MB as a page."""
START = datetime(1970, 1, 1, tzinfo=UTC)

Layout = Mapping[str, type | tuple[type, ...]]
CLINIC = dict.fromkeys(("name", "deployment_id", "origin", "fingerprint", "jurisdiction", "time_zone"), str)
RECORD: Layout = {
    "format": str, "clinic": dict, "client_id": str, "at": int, "as_of": str, "staff": dict, "events": list,
    "readings": list, "left_out": list,
}  # fmt: skip
MANIFEST_LAYOUT: Layout = {
    "format": str, "clinic": str, "deployment_id": str, "client_id": str, "at": int, "as_of": str, "events": int,
    "readings": int, "left_out": list, "files": list,
}  # fmt: skip
EVENT_MANIFEST: Layout = {
    "format": str, "clinic": str, "deployment_id": str, "client_id": str, "index": int, "version": int, "files": list,
}  # fmt: skip
DISCLOSED: Layout = {
    "format": str, "clinic": dict, "client_id": str, "index": int, "version": int, "recorded_at": str, "topic": str,
    "key": str, "segments": list,
}  # fmt: skip
FILE: Layout = {"name": str, "bytes": int, "sha256": str}
EVENT_LAYOUT: Layout = {
    "version": int, "index": int, "recorded_at": str, "topic": (str, type(None)), "segments": list,
}  # fmt: skip
READING: Layout = {"version": int, "index": int}
LEFT_OUT: Layout = {"reason": str, "count": int, "explanation": str}
SHOWN: Layout = {"path": str, "salt": str, "content": str}
WITHHELD: Layout = {"digest": str, "withheld": str}
LOG: Layout = {"format": str, "size": int, "entries": dict, "hashes": list}
HEADS: Layout = {"format": str, "index": int, "size": int, "places": dict, "heads": dict, "hashes": list}
RELEASE: Layout = {"index": int, "segments": list}


class Contents(NamedTuple):
    """Which files a bundle holds: those that the manifest always names, those that it may name, those of `proof/`.

    `attached` is how further ones are named, which somebody attached to the record; None where there are none.
    """

    form: str
    manifest: Layout
    always: frozenset[str]
    sometimes: frozenset[str]
    proofs: frozenset[str]
    attached: re.Pattern[str] | None = None


OF_A_RECORD = Contents(RECORD_FORMAT, MANIFEST_LAYOUT, ALWAYS, SOMETIMES, PROOFS, ATTACHED_NAME)
OF_AN_EVENT = Contents(
    EVENT_FORMAT,
    EVENT_MANIFEST,
    frozenset(("README.txt", "event.json", "payload", "verify.py")),
    frozenset(),
    PROOFS - {"proof/heads.json"},
)


class MalformedRecord(Malformed):
    """A file of the bundle that is not of its layout."""


class AlteredFile(VerificationError):
    """A file is not the one that the manifest names."""


class FilesDisagree(VerificationError):
    """Two files of the bundle say different things."""


class WrongPlace(VerificationError):
    """An entry is of another stream, kind, time or place than the bundle says."""


class EntriesMissing(VerificationError):
    """The log had more events or readings of this client than are shown."""


class WrongRelease(VerificationError):
    """The release is not of this bundle."""


@dataclass(frozen=True)
class Entry:
    """An entry of the ledger; `digest` and `length` are of its payload, `content` is its content root.

    `key` and `key_class` name the data key from which its event key comes.
    """

    index: int
    kind: int
    at_us: int
    stream: bytes
    version: int
    previous: bytes
    key: bytes
    key_class: int
    length: int
    digest: bytes
    content: bytes
    leaf: bytes


@dataclass(frozen=True)
class Event:
    """An event of the record: its entry's index, its header (None where it is not shown) and what is shown, by path."""

    index: int
    header: dict[str, Any] | None
    texts: dict[str, str]


# --- reading what a bundle says


def shaped(value: Any, layout: Layout, where: str) -> dict[str, Any]:
    """Return a JSON object that has exactly these keys, with values of these types.

    Raises:
        MalformedRecord: it has not.
    """
    if type(value) is not dict or value.keys() != layout.keys():
        raise MalformedRecord(f"{where} has not exactly the keys of its layout.")
    for key, kind in layout.items():
        if type(value[key]) not in (kind if isinstance(kind, tuple) else (kind,)):
            raise MalformedRecord(f"{where} has a value of another kind at {key}.")
    return value


def from_base64(value: Any, length: int, where: str) -> bytes:
    """Return bytes of a length from base64 that is written in the one way.

    Raises:
        MalformedRecord: it is not.
    """
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise MalformedRecord(f"{where} has base64 that cannot be read.") from error
    if len(data) != length or base64.b64encode(data).decode() != value:
        raise MalformedRecord(f"{where} has base64 of another length, or not written in the one way.")
    return data


def from_hex(text: str, where: str, index: int | None = None) -> bytes:
    """Return the 32 bytes of lower-case hex digits.

    Raises:
        MalformedRecord: they are none.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", text, re.ASCII):
        raise MalformedRecord(f"{where} has a digest or salt that is not 64 hexadecimal digits.", index)
    return bytes.fromhex(text)


def from_id(text: str, where: str) -> bytes:
    """Return the bytes of an id.

    Raises:
        MalformedRecord: it is not a UUID, written in the one way.
    """
    try:
        found = UUID(text)
    except ValueError as error:
        raise MalformedRecord(f"{where} has an id that is none.") from error
    if str(found) != text:
        raise MalformedRecord(f"{where} has an id that is not written in the one way.")
    return found.bytes


def from_time(text: str, where: str, index: int | None = None) -> int:
    """Return the microseconds since 1970 of an RFC 3339 time.

    Raises:
        MalformedRecord: it is none.
    """
    try:
        return (datetime.fromisoformat(text) - START) // timedelta(microseconds=1)
    except (ValueError, TypeError) as error:
        raise MalformedRecord(f"{where} has a time that cannot be read.", index) from error


def shared_root(size: int, leaves: Mapping[int, bytes], hashes: Sequence[bytes], where: str) -> bytes:
    """Return the root to which one proof for many leaves leads. O(leaves · log size).

    Raises:
        MalformedProof: a leaf is outside of the tree, or there are too few hashes or too many.
    """
    places, rest = sorted(leaves), iter(hashes)
    if size < 0 or (places and not 0 <= places[0] <= places[-1] < size):
        raise MalformedProof(f"{where} is for entries that are not in this tree.")

    def over(start: int, end: int, low: int, high: int) -> bytes:
        if low == high:
            return next(rest)
        if end - start == 1:
            return leaves[start]
        half = start + (1 << (end - start - 1).bit_length() - 1)
        middle = bisect_left(places, half, low, high)
        return node_hash(over(start, half, low, middle), over(half, end, middle, high))

    try:
        root = over(0, size, 0, len(places)) if size else EMPTY_ROOT
    except StopIteration as error:
        raise MalformedProof(f"{where} has too few hashes.") from error
    if next(rest, None) is not None:
        raise MalformedProof(f"{where} has hashes left over.")
    return root


def opened(segments: list[Any], entry: Entry, where: str) -> tuple[Event, list[str]]:
    """Return what the segments of an event show, and why each of the others is withheld.

    Raises:
        MalformedRecord: a segment is not of its layout.
        AlteredText: they are not the ones that the entry commits to.
    """
    leaves, texts, withheld = [], {}, []
    header: dict[str, Any] | None = None
    for place, segment in enumerate(segments):
        if type(segment) is dict and segment.keys() == WITHHELD.keys():
            told = shaped(segment, WITHHELD, where)
            leaves.append(leaf_hash(from_hex(told["digest"], where, entry.index)))
            withheld.append(told["withheld"])
            continue
        told = shaped(segment, SHOWN, where)
        path, content = told["path"].encode(errors="replace"), told["content"].encode(errors="replace")
        if len(path) > 0xFFFF:
            raise MalformedRecord(f"{where} has a path that is longer than a path can be.", entry.index)
        parts = (b"wkseg\x01", from_hex(told["salt"], where, entry.index), len(path).to_bytes(2, "big"), path)
        digest = hashlib.sha256(b"".join((*parts, len(content).to_bytes(4, "big"), content)))
        leaves.append(leaf_hash(digest.digest()))
        if told["path"] in texts or (place == 0) != bool(HEADER_PATH.fullmatch(told["path"])):
            raise MalformedRecord(f"{where} has a segment twice, or in another's place.", entry.index)
        texts[told["path"]] = told["content"]
        if not place:
            try:
                header = strict_json(content)
            except ValueError as error:
                raise MalformedRecord(f"{where} has a header that cannot be read.", entry.index) from error
    # [7] the text is the one that the entry commits to
    if tree_root(leaves) != entry.content:
        raise AlteredText(f"The text of entry {entry.index} is not the one that the entry commits to.", entry.index)
    return Event(entry.index, header, texts), withheld


def read_entry(text: Any, index: int, where: str) -> Entry:
    """Return an entry of the ledger from its base64.

    Raises:
        MalformedRecord: it is none.
        MalformedEntry: it is of another format.
    """
    entry = from_base64(text, ENTRY_BYTES, where)
    magic, kind, at_us, stream, version, previous, key, key_class, length, digest, content = ENTRY.unpack(entry)
    if magic != ENTRY_MAGIC:
        raise MalformedEntry(f"Entry {index} is not of the format of an entry.", index)
    leaf = leaf_hash(entry)
    return Entry(index, kind, at_us, stream, version, previous, key, key_class, length, digest, content, leaf)


# --- its files


class RecordFiles:
    """The files of a bundle, in a folder or a zip."""

    def __init__(self, path: Path) -> None:
        # [0] names, links, sizes
        self._files = Folder(path) if path.is_dir() else Archive(path)
        if path.is_dir():
            found = [each.relative_to(path).as_posix() for each in path.rglob("*") if not each.is_dir()]
        else:
            with zipfile.ZipFile(path) as archive:
                found = [name for name in archive.namelist() if not name.endswith("/")]
        self.names = frozenset(found)

    def read(self, name: str, most: int = MAX_FILE_BYTES) -> bytes:
        """Return a file.

        Raises:
            Incomplete: it is not in the bundle.
            MalformedBundle: it is larger than it can be, or cannot be unpacked.
        """
        data = self._files.read(name, most)
        if data is None:
            raise Incomplete(f"{name} is not in the bundle.")
        return data

    def document(self, name: str, layout: Layout, form: str | None = None) -> dict[str, Any]:
        """Return a file as a JSON object of a layout and, where one is given, a format.

        Raises:
            MalformedRecord: it is not.
        """
        try:
            # [0] duplicate keys, NaN, integers over 2^53
            document = strict_json(self.read(name))
        except ValueError as error:
            raise MalformedRecord(f"{name} cannot be read: {error}.") from error
        if form is not None and document.get("format") != form:
            raise MalformedRecord(f"{name} is of another format.")
        return shaped(document, layout, name)

    def digest(self, name: str) -> tuple[int, str]:
        """Return size and SHA-256 of a file."""
        data = self.read(name)
        return len(data), hashlib.sha256(data).hexdigest()


def format_of(files: RecordFiles) -> Any:
    """Return the format that the manifest names, or None where there is no manifest that can be read."""
    try:
        return strict_json(files.read(MANIFEST)).get("format")
    except (VerificationError, ValueError):
        return None


def manifest_of(files: RecordFiles, contents: Contents = OF_A_RECORD) -> dict[str, Any]:
    """Return the manifest, when the bundle holds exactly the files that it names, as it names them.

    Raises:
        MalformedRecord: a name is none of the layout, or stands twice.
        Incomplete: a file is not there.
        MalformedBundle: a file is there that must not be.
        AlteredFile: a file is another.
    """
    manifest = files.document(MANIFEST, contents.manifest, contents.form)
    # [1] the names of the layout and no others: none is absolute, none leads out
    listed = [shaped(each, FILE, MANIFEST) for each in manifest["files"]]
    names = [each["name"] for each in listed]
    if len(set(names)) != len(names):
        raise MalformedRecord(f"{MANIFEST} names a file twice.")
    for name in names:
        known = name in contents.always | contents.sometimes
        if not known and (contents.attached is None or contents.attached.fullmatch(name) is None):
            raise MalformedRecord(f"{MANIFEST} names a file that no bundle has: {name!r}.")
    # [1] what must be there is there, and nothing else
    for name in sorted((contents.always | set(names) | contents.proofs | {"proof/bodies/0"}) - files.names):
        raise Incomplete(f"{name} is not in the bundle.")
    for name in sorted(contents.always - set(names)):
        raise MalformedRecord(f"{MANIFEST} does not name {name}.")
    for name in sorted(files.names - set(names) - contents.proofs - {MANIFEST}):
        if not BODY_NAME.fullmatch(name):
            raise MalformedBundle(f"{name} is in the bundle, and {MANIFEST} does not name it.")
    # [1] the bytes
    for each in listed:
        if files.digest(each["name"]) != (each["bytes"], each["sha256"]):
            raise AlteredFile(f"{each['name']} is not the file that {MANIFEST} names.")
    return manifest
