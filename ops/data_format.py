"""The format of a data directory: the one line of its file FORMAT, and what is said where it is not this version's.

Source: decision 44.

- Every command that opens a clinic asks for the format first. An older one is upgraded by `wellkept upgrade`, a newer
  or unknown one is refused: a version that does not know a format cannot know what it would damage.
- A format that was released stays in FORMATS for ever: there is a way from it to today's (`ops.upgrade`).

It reads one file and changes nothing.
"""

from __future__ import annotations

from pathlib import Path

from records.errors import WellkeptError

FORMATS = ("wellkept-data/1", "wellkept-data/2")
"""Every format that was released, oldest first; the last one is what this version reads and writes."""
FORMAT = FORMATS[-1]
_NAME, _, _NUMBER = FORMAT.partition("/")


class NotInitialised(WellkeptError):
    """There is no clinic in this directory, or one of a format that this version does not open."""


def format_of(data: Path) -> str:
    """Return the format that a data directory says it has, known or not.

    Raises:
        NotInitialised: there is no clinic here.
    """
    try:
        return (data / "FORMAT").read_text("ascii", "replace").strip()
    except FileNotFoundError:
        raise NotInitialised("there is no clinic here; `wellkept init` makes one") from None


def require_format(data: Path) -> None:
    """Hold a data directory to the format of this version.

    Raises:
        NotInitialised: there is no clinic here, or one of another format; says what to do about it.
    """
    found = format_of(data)
    if found == FORMAT:
        return
    if found in FORMATS:
        raise NotInitialised(f"the data directory is of the older format {found}: run `wellkept upgrade --data {data}`")
    refuse_unknown(found)


def refuse_unknown(found: str) -> None:
    """Refuse a format that no version up to this one has released.

    Raises:
        NotInitialised: always; says whether it is a newer one.
    """
    name, _, number = found.partition("/")
    if name == _NAME and number.isdecimal() and int(number) > int(_NUMBER):
        raise NotInitialised(f"the data directory is of the newer format {name}/{number}: install a newer Wellkept")
    raise NotInitialised(
        "the data directory is of a format that no version up to this one has made: install a newer Wellkept, or put"
        " FORMAT back from a backup"
    )
