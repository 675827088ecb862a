"""A bundle as a zip, made in pieces: the same files give the same bytes, and no more than one is in memory for it.

- Every member has the export's one date, plain permissions, and a name with forward slashes.
- Names are ours and never a client's.
- What is attached comes in parts and leaves in parts.
- Files that somebody attached are packed as they are, since most of them are packed already: deflated at level 0, as
  programs that read a zip from its beginning know no other way to tell where a stored file ends.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

_MODE = 0o100600 << 16
"""A plain file that only its owner reads, as zip keeps it."""
_UNIX = 3
_LEVEL = 3
"""Pages of clinical text shrink to a tenth at any level; the highest ones cost most of an export's time."""
_AS_IT_IS = 0


class _Pieces:
    """What a zip was written into, until it is taken. It cannot go back, so that nothing of it has to be kept."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep some bytes."""
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> bytes:
        """Return what was written since, and keep it no more."""
        piece = b"".join(self._written)
        self._written.clear()
        return piece


def zip_pieces(
    files: Iterable[tuple[str, bytes]], attached: Iterable[tuple[str, Iterable[bytes]]], as_of: datetime
) -> Iterator[bytes]:
    """Yield the zip, a piece for each file or part of one.

    Args:
        files: name and bytes, in order; they are compressed.
        attached: name and parts of what was attached, which are asked for one by one and not compressed.
        as_of: the one date.
    """
    at = as_of.astimezone(UTC)
    date = (at.year, at.month, at.day, at.hour, at.minute, at.second)
    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w") as archive:
        for name, data in files:
            archive.writestr(_member(name, date), data, compresslevel=_LEVEL)
            yield pieces.taken()
        for name, parts in attached:
            member = _member(name, date)
            # Only `writestr` has a parameter for it, and wants the whole file.
            member._compresslevel = _AS_IT_IS  # type: ignore[attr-defined]  # not in the types, the same since Python 3.7
            with archive.open(member, "w") as written:
                for part in parts:
                    written.write(part)
                    yield pieces.taken()
    yield pieces.taken()


def _member(name: str, date: tuple[int, int, int, int, int, int]) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, date)
    member.create_system, member.external_attr, member.compress_type = _UNIX, _MODE, zipfile.ZIP_DEFLATED
    return member
