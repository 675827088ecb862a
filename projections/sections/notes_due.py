"""Notes that are due, as the current view and the caseload show them: sessions that were held and have no signed note.

Source: DOMAIN 4 (times are clinic policy; each breach is a work-list item, not a block).

- A session is due a note when it was held longer ago than the clinic signs within (`sign_within_hours`). It is late
  when it was held longer ago than the clinic's lock (`lock_after_days`).
- A progress note that names the session is what it waits for. Where that note was entered in error, it waits again.
- A session that was entered in error is due nothing.
- The last sessions are kept; a session that is no longer kept is in the history.

It does not look at drafts, which are their author's only: a note that is being written is due until it is signed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from projections.sections.viewing import Handler
from records.clinic_policy import ClinicPolicy
from records.event import Recorded
from records.notes import NoteEnteredInError, NoteSigned
from records.sessions import SessionEnteredInError, SessionHeld


class NoteDue(msgspec.Struct, frozen=True, kw_only=True):
    """A session without a signed note.

    Attributes:
        started_at: when it was held.
        due_since: since when its note should have been signed.
        late: it is past the clinic's lock, too.
    """

    session_id: UUID
    started_at: datetime
    due_since: datetime
    late: bool = False


AWAITED = "progress"
KEPT = 12


class Waiting(msgspec.Struct, kw_only=True):
    """One session that was held, and the progress notes about it that stand."""

    started_at: datetime
    notes: list[UUID] = msgspec.field(default_factory=list)


class State(msgspec.Struct, kw_only=True):
    """The last sessions that were held, by id."""

    items: dict[UUID, Waiting] = msgspec.field(default_factory=dict)


def _held(state: State, event: SessionHeld, recorded: Recorded) -> None:
    state.items[event.session_id] = Waiting(started_at=event.started_at)
    for oldest in sorted(state.items, key=lambda key: (state.items[key].started_at, key))[:-KEPT]:
        del state.items[oldest]


def _session_in_error(state: State, event: SessionEnteredInError, recorded: Recorded) -> None:
    state.items.pop(event.session_id, None)


def _signed(state: State, event: NoteSigned, recorded: Recorded) -> None:
    waiting = state.items.get(event.session_id) if event.session_id is not None else None
    if waiting is not None and event.kind == AWAITED:
        waiting.notes.append(event.note_id)


def _note_in_error(state: State, event: NoteEnteredInError, recorded: Recorded) -> None:
    for waiting in state.items.values():
        if event.note_id in waiting.notes:
            waiting.notes.remove(event.note_id)


SHOWS: dict[type, Handler] = {
    SessionHeld: _held,
    SessionEnteredInError: _session_in_error,
    NoteSigned: _signed,
    NoteEnteredInError: _note_in_error,
}


def render(state: State, policy: ClinicPolicy, passed: Callable[[datetime], bool]) -> tuple[NoteDue, ...]:
    """Return the sessions that are due a note, the oldest first; `passed` tells whether a moment is over."""
    sign_within, lock_after = timedelta(hours=policy.sign_within_hours), timedelta(days=policy.lock_after_days)
    due = [
        NoteDue(
            session_id=key,
            started_at=waiting.started_at,
            due_since=waiting.started_at + sign_within,
            late=passed(waiting.started_at + lock_after),
        )
        for key, waiting in state.items.items()
        if not waiting.notes and passed(waiting.started_at + sign_within)
    ]
    return tuple(sorted(due, key=lambda item: (item.started_at, item.session_id)))
