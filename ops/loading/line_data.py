"""What the lines of the clinic-year format hold, by their type; the field names are the file's.

- A field that is missing, of another type or not known is an error.
- Types that the record does not hold are not listed; their data is not looked at.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from records.actors import Purpose

LocalTime = Annotated[datetime, msgspec.Meta(tz=False)]
"""A time without a zone: the clinic's."""


class LineData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data of one type of line; the field names are the file's."""


class Registered(LineData, frozen=True):
    """A person became a client; `dob` may be a year."""

    dob: str
    lang: str


class EpisodeOpened(LineData, frozen=True):
    """A course of care began, for one client or a couple."""

    format: str
    modality: str
    participants: tuple[str, ...]
    referral: str


class EpisodeClosed(LineData, frozen=True):
    """It ended; `reason` is a discharge code."""

    reason: str


class Booked(LineData, frozen=True):
    """A session was planned; `mode` is a consultation code."""

    episode: str
    start: LocalTime
    minutes: int
    mode: str


class Attended(LineData, frozen=True):
    """Whether somebody came; `code` is an attendance code."""

    code: str


class Held(LineData, frozen=True):
    """A session took place."""

    number: int
    phase: str | None
    methods: tuple[str, ...]


class ConsentAsked(LineData, frozen=True):
    """A consent was given or refused; `form` is `name@version`."""

    consent: str
    kind: str
    form: str


class ConsentWithdrawn(LineData, frozen=True):
    """A consent was taken back."""

    consent: str


class Measured(LineData, frozen=True):
    """A measure was filled in; `items` are the answers, absent where only the total is known."""

    session: str
    measure: str
    total: int
    items: tuple[int | None, ...] | None = None


class FlagRaised(LineData, frozen=True):
    """The earlier system raised a flag for the answer to item 9."""

    item9: int
    session: str


class Nothing(LineData, frozen=True):
    """The type tells everything."""


class RiskAssessed(LineData, frozen=True):
    """A clinician assessed risk."""

    level: str
    text: str


class GoalSet(LineData, frozen=True):
    """A goal was agreed."""

    goal: str
    text: str


class GoalRated(LineData, frozen=True):
    """A client said how near a goal is, 0 to 10."""

    goal: str
    score: int


class GoalClosed(LineData, frozen=True):
    """A goal ended; `status` is achieved, partly or abandoned."""

    goal: str
    status: str


class NoteDrafted(LineData, frozen=True):
    """A note was written; `kind` is progress or process."""

    session: str
    kind: str
    text: str
    format: str = "free"


class NoteAdded(LineData, frozen=True):
    """Something was added to a signed note."""

    text: str


class NoteError(LineData, frozen=True):
    """A note should not be there."""

    reason: str


class Viewed(LineData, frozen=True):
    """A part of a record was read."""

    part: str
    purpose: Purpose


TYPES: dict[str, type[LineData]] = {
    "client.registered": Registered,
    "episode.opened": EpisodeOpened,
    "episode.closed": EpisodeClosed,
    "session.booked": Booked,
    "session.attendance": Attended,
    "session.held": Held,
    "consent.given": ConsentAsked,
    "consent.refused": ConsentAsked,
    "consent.withdrawn": ConsentWithdrawn,
    "measure.recorded": Measured,
    "risk.flag_raised": FlagRaised,
    "risk.flag_cleared": Nothing,
    "risk.assessed": RiskAssessed,
    "goal.set": GoalSet,
    "goal.rated": GoalRated,
    "goal.closed": GoalClosed,
    "note.drafted": NoteDrafted,
    "note.signed": Nothing,
    "note.addendum": NoteAdded,
    "note.entered_in_error": NoteError,
    "record.viewed": Viewed,
}
"""Line type → what its data holds."""
