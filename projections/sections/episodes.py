"""Episodes, as the current view shows them: how each course of care was planned, how far it is, and how it ended.

Source: DOMAIN 1. The rules are those of `records.episodes`.

- The phase is that of the next session, by the plan or as it was set by hand.
- Measures are due by the protocol in force: those that it asks for at each session, and that were not filled in since
  the day of the last session that was held. They are shown, never asked for by a rule.
- Every open episode is kept, and the last that were closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from projections.sections.plan import Plan
from projections.sections.viewing import Handler, Viewing
from records.episodes import (
    PROTOCOLS,
    ConcurrentTherapy,
    EpisodeClosed,
    EpisodeOpened,
    EpisodePhaseSet,
    EpisodeProtocolChanged,
)
from records.event import Recorded
from records.sessions import SessionEnteredInError, SessionHeld


class EpisodeItem(msgspec.Struct, frozen=True, kw_only=True):
    """One episode of care.

    Attributes:
        id, version: the episode, and the version of the last event that touched it (the ETag).
        phase: the phase of the next session: set by hand or planned; None where the protocol has none.
        phase_set_by_hand: the phase is not the plan's.
        planned_sessions, sessions_held: the plan, and the highest number of a session that was held.
        protocol_changed_at, protocol_reason: when and why the protocol was last changed; None where it never was.
        measures_due: what the protocol asks for at each session, and was not filled in since the day of the last one.
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
    protocol_changed_at: datetime | None = None
    protocol_reason: str | None = None
    measures_due: tuple[str, ...] = ()
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
KEPT_HELD = 5


class Episode(msgspec.Struct, kw_only=True):
    """One episode: what is shown, the plan that gives its phase, and when its last sessions were held, by id."""

    item: EpisodeItem
    plan: Plan
    held: dict[UUID, datetime] = msgspec.field(default_factory=dict)


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


def _protocol_changed(state: State, event: EpisodeProtocolChanged, recorded: Recorded) -> None:
    episode = state.items.get(event.episode_id)
    if episode is None:
        return
    episode.plan.phases, episode.plan.override = event.phases, None
    episode.item = msgspec.structs.replace(
        episode.item,
        version=recorded.version,
        protocol=event.protocol,
        protocol_version=event.protocol_version,
        planned_sessions=event.planned_sessions,
        protocol_changed_at=event.occurred_at,
        protocol_reason=event.reason,
    )


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
        episode.held[event.session_id] = event.started_at
        for oldest in sorted(episode.held, key=lambda key: (episode.held[key], key))[:-KEPT_HELD]:
            del episode.held[oldest]


def _session_in_error(state: State, event: SessionEnteredInError, recorded: Recorded) -> None:
    episode = state.items.get(event.episode_id)
    if episode is not None:
        episode.plan.held = event.sessions_held
        episode.held.pop(event.session_id, None)


SHOWS: dict[type, Handler] = {
    EpisodeOpened: _opened,
    EpisodePhaseSet: _phase_set,
    EpisodeProtocolChanged: _protocol_changed,
    EpisodeClosed: _closed,
    SessionHeld: _held,
    SessionEnteredInError: _session_in_error,
}


def render(state: State, taken: Mapping[str, datetime], viewing: Viewing) -> tuple[EpisodeItem, ...]:
    """Return open episodes first, then closed ones; the newest first in each.

    Args:
        state: the section.
        taken: measure → when it was last filled in.
        viewing: who looks, for the clinic's days.
    """
    newest = reversed(state.items.values())
    shown = (
        msgspec.structs.replace(
            episode.item,
            phase=episode.plan.next_phase(),
            phase_set_by_hand=episode.plan.override is not None,
            sessions_held=episode.plan.held,
            measures_due=_due(episode, taken, viewing),
        )
        for episode in newest
    )
    return tuple(sorted(shown, key=lambda item: item.closed_at is not None))


def _due(episode: Episode, taken: Mapping[str, datetime], viewing: Viewing) -> tuple[str, ...]:
    protocol = PROTOCOLS.get(episode.item.protocol)
    if protocol is None or episode.plan.closed_at is not None:
        return ()
    since = viewing.date(max(episode.held.values(), default=episode.plan.opened_at))
    return tuple(name for name in protocol.measures if name not in taken or viewing.date(taken[name]) < since)
