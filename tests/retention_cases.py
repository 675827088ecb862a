"""Events of records that ended long ago, for tests of retention: days as text, at nine in the morning UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from records.assessments import AssessmentRecorded
from records.episodes import EpisodeClosed, EpisodeOpened
from records.event import Event
from records.notes import NoteEnteredInError, NoteSigned
from records.registration import ClientDeathRecorded, ClientRegistered, Identity
from records.sessions import SessionHeld
from tests.given import stamp


def at(day: str, hour: int = 9) -> datetime:
    """Return a moment of a day."""
    return datetime.fromisoformat(day).replace(hour=hour, tzinfo=UTC)


def registered(born: str | None = "1980-05-17", day: str = "2002-01-07") -> Event:
    """Return the registration."""
    return ClientRegistered(identity=Identity(family="Marsh", given="Ana", birth_date=born), **stamp(at(day)))


def opened(number: int, day: str = "2002-01-08") -> Event:
    """Return the opening of an episode."""
    return EpisodeOpened(
        episode_id=UUID(int=number), format="individual", modality="DIT", protocol="own", **stamp(at(day))
    )


def closed(number: int, day: str, hour: int = 9, reason: str = "46") -> Event:
    """Return its closing."""
    return EpisodeClosed(episode_id=UUID(int=number), reason=reason, **stamp(at(day, hour)))


def held(number: int, day: str) -> Event:
    """Return a session of the episode."""
    return SessionHeld(
        session_id=UUID(int=100 + number),
        episode_id=UUID(int=number),
        kind="treatment",
        number=1,
        started_at=at(day),
        mode="01",
        setting="clinic",
        **stamp(at(day)),
    )


def noted(day: str) -> Event:
    """Return a note about no session."""
    return NoteSigned(
        note_id=UUID(int=200), kind="progress", format="free", sections={"text": "Rang."}, **stamp(at(day))
    )


def note_in_error(day: str) -> Event:
    """Return the mark that this note should not be in the record."""
    return NoteEnteredInError(note_id=UUID(int=200), reason="Another client's.", **stamp(at(day)))


def assessed(day: str) -> Event:
    """Return a questionnaire."""
    return AssessmentRecorded(
        assessment_id=UUID(int=300), measure="PHQ-9", measure_version="1", scorer="s/1", **stamp(at(day))
    )


def died(on: str | None, reported: str = "2010-01-05") -> Event:
    """Return a death."""
    return ClientDeathRecorded(died_on=on, **stamp(at(reported)))
