"""Episodes, as the current view shows them: how each course of care was planned, how far it is, and how it ended.

Source: DOMAIN 1. The rules are those of `records.episodes`.

- The phase is that of the next session, by the plan or as it was set by hand.
- Every open episode is kept, and the last that were closed.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from projections.sections.plan import Plan
from projections.sections.viewing import Handler
from records.episodes import ConcurrentTherapy, EpisodeClosed, EpisodeOpened, EpisodePhaseSet
from records.event import Recorded
from records.sessions import SessionHeld


class EpisodeItem(msgspec.Struct, frozen=True, kw_only=True):
    """One episode of care.

    Attributes:
        id, version: the episode, and the version of the last event that touched it (the ETag).
        phase: the phase of the next session: set by hand or planned; None where the protocol has none.
        phase_set_by_hand: the phase is not the plan's.
        planned_sessions, sessions_held: the plan, and the highest number of a session that was held.
        problem: what brings the client, in words.
        closed_at, close_reason, close_note: when and why it ended (NHS discharge code); None while it is open.
    """

    id: UUID
    version: int
    format: str
    modality: str
    modality_label: str | None = None
    protocol: str
    protocol_version: str | None = None
    phase: str | None = None
    phase_set_by_hand: bool = False
    planned_sessions: int
    sessions_held: int = 0
    problem: str | None = None
    referral: str | None = None
    setting: str
    concurrent_therapies: tuple[ConcurrentTherapy, ...] = ()
    opened_at: datetime
    closed_at: datetime | None = None
    close_reason: str | None = None
    close_note: str | None = None


KEPT_CLOSED = 5


class Episode(msgspec.Struct, kw_only=True):
    """One episode: what is shown, and the plan that gives its phase."""

    item: EpisodeItem
    plan: Plan


class State(msgspec.Struct, kw_only=True):
    """Episodes by id, in the order in which they were opened."""

    items: dict[UUID, Episode] = msgspec.field(default_factory=dict)


def _opened(state: State, event: EpisodeOpened, recorded: Recorded) -> None:
    item = EpisodeItem(
        id=event.episode_id,
        version=recorded.version,
        format=event.format,
        modality=event.modality,
        modality_label=event.modality_label,
        protocol=event.protocol,
        protocol_version=event.protocol_version,
        planned_sessions=event.planned_sessions,
        problem=event.problem,
        referral=event.referral,
        setting=event.setting,
        concurrent_therapies=event.concurrent_therapies,
        opened_at=event.occurred_at,
    )
    state.items[event.episode_id] = Episode(item=item, plan=Plan(opened_at=event.occurred_at, phases=event.phases))


def _phase_set(state: State, event: EpisodePhaseSet, recorded: Recorded) -> None:
    episode = state.items.get(event.episode_id)
    if episode is not None:
        episode.plan.override = event.phase
        episode.item = msgspec.structs.replace(episode.item, version=recorded.version)


def _closed(state: State, event: EpisodeClosed, recorded: Recorded) -> None:
    episode = state.items.get(event.episode_id)
    if episode is None:
        return
    episode.plan.closed_at = event.occurred_at
    episode.item = msgspec.structs.replace(
        episode.item,
        version=recorded.version,
        closed_at=event.occurred_at,
        close_reason=event.reason,
        close_note=event.note,
    )
    closed = [key for key, each in state.items.items() if each.plan.closed_at is not None]
    for key in closed[:-KEPT_CLOSED]:
        del state.items[key]


def _held(state: State, event: SessionHeld, recorded: Recorded) -> None:
    episode = state.items.get(event.episode_id)
    if episode is not None:
        episode.plan.held = max(episode.plan.held, event.number)


SHOWS: dict[type, Handler] = {
    EpisodeOpened: _opened,
    EpisodePhaseSet: _phase_set,
    EpisodeClosed: _closed,
    SessionHeld: _held,
}


def render(state: State) -> tuple[EpisodeItem, ...]:
    """Return open episodes first, then closed ones; the newest first in each."""
    newest = reversed(state.items.values())
    shown = (
        msgspec.structs.replace(
            episode.item,
            phase=episode.plan.next_phase(),
            phase_set_by_hand=episode.plan.override is not None,
            sessions_held=episode.plan.held,
        )
        for episode in newest
    )
    return tuple(sorted(shown, key=lambda item: item.closed_at is not None))
