"""The clinic-year format: one JSON object a line, `{"t", "stream", "type", "actor", "data"}`, in order of time.

- Times have no zone; they are the clinic's. The file may be compressed (`.gz`).
- The file is read twice and never held in memory: first whole, to find what lines refer to and whether every line can
  be read, then line by line to be loaded. So a file that is cut or damaged loads nothing.
- What a line's data holds is told by its type; a field that is missing, of another type or not known is an error. Of
  types that the record does not hold, the data is not looked at.
- Streams are `client-N`, `episode-N`, `session-N` and `note-N`; actors `therapist-N`, `supervisor-N`, `admin-N`,
  `client-N` and `system`.

It does not know what a line means for the record (`ops.loading.lines`).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ops.loading.line_data import TYPES, Booked, EpisodeOpened, LocalTime, NoteDrafted, Registered
from records.errors import WellkeptError

INDIVIDUAL = "individual"

_DECODERS = {name: msgspec.json.Decoder(data) for name, data in TYPES.items()}


class _RawLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    t: LocalTime
    stream: str
    type: str
    actor: str
    data: msgspec.Raw


class UnreadableLine(WellkeptError):
    """A line of the file is not of the format; nothing was loaded.

    Attributes:
        number: the line, from 1; the first that was never whole, where the file is cut.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"line {number} is not a line of the clinic-year format; nothing was loaded")
        self.number = number


class Line(NamedTuple):
    """One line.

    Attributes:
        at: its time, without a zone.
        stream: whose line it is.
        type: what happened.
        actor: who did it.
        data: what its type tells, one of the classes of `ops.loading.line_data`; None for types that are not known.
    """

    at: datetime
    stream: str
    type: str
    actor: str
    data: Any


class EpisodeOutline(msgspec.Struct, frozen=True):
    """What lines need to know of an episode: its format and whose it is."""

    format: str
    clients: tuple[str, ...]


class Outline(msgspec.Struct):
    """What a file's lines refer to.

    Attributes:
        lines: how many there are.
        actors: every actor, in order of appearance.
        episodes: episode → its outline.
        episode_of: session → episode.
        session_of: note → session.
        note_kind: note → `progress` or `process`.
        clients_registered: every client that is registered, in order.
        therapists: client → the therapists that touched the record, in order.
    """

    lines: int = 0
    actors: dict[str, None] = msgspec.field(default_factory=dict)
    episodes: dict[str, EpisodeOutline] = msgspec.field(default_factory=dict)
    episode_of: dict[str, str] = msgspec.field(default_factory=dict)
    session_of: dict[str, str] = msgspec.field(default_factory=dict)
    note_kind: dict[str, str] = msgspec.field(default_factory=dict)
    clients_registered: list[str] = msgspec.field(default_factory=list)
    therapists: dict[str, list[str]] = msgspec.field(default_factory=dict)

    def episode(self, stream: str) -> EpisodeOutline | None:
        """Return the episode that a stream of an episode, session or note belongs to, or None."""
        session = self.session_of.get(stream, stream)
        return self.episodes.get(self.episode_of.get(session, session))

    def clients(self, stream: str) -> tuple[str, ...]:
        """Return the clients that a stream is about."""
        if stream.startswith("client-"):
            return (stream,)
        episode = self.episode(stream)
        return () if episode is None else episode.clients


def read_lines(path: Path) -> Iterator[tuple[int, Line]]:
    """Yield each line with its number, from 1.

    Raises:
        UnreadableLine: a line is not of the format, or the file is cut.
        OSError: the file cannot be opened.
    """
    decoder = msgspec.json.Decoder(_RawLine)
    number = 0
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        try:
            for number, raw in enumerate(file, 1):
                line = decoder.decode(raw)
                known = _DECODERS.get(line.type)
                data = known.decode(line.data) if known is not None else None
                yield number, Line(line.t, line.stream, line.type, line.actor, data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnreadableLine(number) from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UnreadableLine(number + 1) from error


def outline_of(path: Path) -> Outline:
    """Read the whole file once and return what its lines refer to.

    Raises:
        UnreadableLine: a line is not of the format, or the file is cut.
        OSError: the file cannot be opened.
    """
    outline = Outline()
    touched: dict[tuple[str, str], None] = {}
    for number, line in read_lines(path):
        outline.lines = number
        outline.actors[line.actor] = None
        _note(outline, line)
        if line.actor.startswith("therapist-"):
            touched[line.stream, line.actor] = None
    for stream, actor in touched:
        for client in outline.clients(stream):
            therapists = outline.therapists.setdefault(client, [])
            if actor not in therapists:
                therapists.append(actor)
    return outline


def _note(outline: Outline, line: Line) -> None:
    data = line.data
    if isinstance(data, EpisodeOpened):
        outline.episodes[line.stream] = EpisodeOutline(data.format, data.participants)
    elif isinstance(data, Booked):
        outline.episode_of[line.stream] = data.episode
    elif isinstance(data, Registered):
        outline.clients_registered.append(line.stream)
    elif isinstance(data, NoteDrafted):
        outline.session_of[line.stream] = data.session
        outline.note_kind[line.stream] = data.kind
