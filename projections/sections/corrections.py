"""Corrections: which later events amend a resource or say that it was entered in error.

The current view does not show them; the history marks by them what was corrected later, without opening what is newer.

- It grows with what was corrected only, which is little.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import msgspec

from projections.sections.viewing import Handler
from records.assessments import AssessmentEnteredInError
from records.attachments import AttachmentEnteredInError
from records.consent import ConsentEnteredInError
from records.disclosures import DisclosureEnteredInError
from records.event import Event, Recorded
from records.goals import GoalEnteredInError
from records.notes import NoteAmended, NoteEnteredInError
from records.risk import RiskAssessmentEnteredInError
from records.sessions import SessionEnteredInError


class Correction(msgspec.Struct, kw_only=True):
    """What was done to one resource: versions of the correcting events, and whether one says that it is an error."""

    versions: list[int] = msgspec.field(default_factory=list)
    in_error: bool = False


class State(msgspec.Struct, kw_only=True):
    """Corrections by the id of the resource."""

    items: dict[UUID, Correction] = msgspec.field(default_factory=dict)


def _amended(state: State, event: Event, recorded: Recorded) -> None:
    _correction(state, event).versions.append(recorded.version)


def _in_error(state: State, event: Event, recorded: Recorded) -> None:
    correction = _correction(state, event)
    correction.versions.append(recorded.version)
    correction.in_error = True


SHOWS: dict[type, Handler] = {
    NoteAmended: _amended,
    NoteEnteredInError: _in_error,
    AssessmentEnteredInError: _in_error,
    ConsentEnteredInError: _in_error,
    RiskAssessmentEnteredInError: _in_error,
    SessionEnteredInError: _in_error,
    GoalEnteredInError: _in_error,
    DisclosureEnteredInError: _in_error,
    AttachmentEnteredInError: _in_error,
}


def corrections_of(events: Iterable[Recorded]) -> State:
    """Return the corrections alone, for those who need no other section."""
    state = State()
    for recorded in events:
        handler = SHOWS.get(type(recorded.event))
        if handler is not None:
            handler(state, recorded.event, recorded)
    return state


def _correction(state: State, event: Event) -> Correction:
    subject = event.subject_id
    if subject is None:
        raise ValueError("a correction is of a resource")
    return state.items.setdefault(subject, Correction())
