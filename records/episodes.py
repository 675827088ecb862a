"""Episodes: one course of care, by which protocol, towards which end.

Source: DOMAIN 1 and 10; NHS Talking Therapies data set for the codes of formats and discharges.

Rules:
- A protocol is data. `dit-manual` (Lemma, Target, Fonagy 2011) plans 16 sessions in three phases; `dit-guide` has
  none. A clinic may name protocols of its own; they have no phases until a person sets one.
- The phases of the plan go into the opening event, so that a later change of the data never moves an old session.
- A person may set the phase by hand with a reason, until it is given back to the plan.
- A case may change its protocol with a reason. From then on phases follow the new plan, which counts the sessions of
  the episode from its first, or anew from the next one; a phase that was set by hand ends with the plan that it was set
  against. Sessions that were held keep the phase they were held in.
- Nothing in a protocol blocks: what deviates is shown.
- A closed episode takes no new booking; what was held all the same is recorded (`records.sessions`).
- Modality is a code of the clinic with a free label; no theory is built in.

It does not hold couples' and groups' joint sessions, focus, plans or letters, and it does not reopen: a new course of
care is a new episode.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from records.care_codes import DECEASED, DISCHARGES, FORMATS, PHASES, REFERRALS, SETTINGS, require_known
from records.client_record import ClientRecord, EpisodeState
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken
from records.event import Event

# --- value types


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """A published or clinic-made way of working, as data.

    Attributes:
        version: of this data, stored with each episode.
        planned_sessions: the number that the protocol itself plans.
        initial_sessions: how many the first phase takes; 0 where the protocol has no phases.
        ending_sessions: how many of the planned sessions, counted from the last, the ending phase takes.
        measures: outcome measures that it asks for at each session.
    """

    version: str
    planned_sessions: int
    initial_sessions: int = 0
    ending_sessions: int = 0
    measures: tuple[str, ...] = ()


PROTOCOLS: dict[str, Protocol] = {
    "dit-manual": Protocol(
        version="2011", planned_sessions=16, initial_sessions=4, ending_sessions=4, measures=("PHQ-9", "GAD-7")
    ),
    "dit-guide": Protocol(version="1", planned_sessions=16),
}
"""Protocol → its data; protocols that are not here are the clinic's own and have no phases."""

DEFAULT_PLANNED_SESSIONS = 16
MAX_PLANNED_SESSIONS = 500
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


class ConcurrentTherapy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Another therapy alongside this episode, as the client tells it.

    Attributes:
        modality: `CBT`, `PST` or another code.
        provider: who gives it.
        started, ended: days; None where not known or not ended.
    """

    modality: str
    provider: str | None = None
    started: date | None = None
    ended: date | None = None


def phases_of(protocol: str, planned: int) -> dict[str, int]:
    """Return phase → number of its first session, in order; empty where the protocol has none.

    The ending takes the last sessions of the plan, so a longer plan has a longer middle. A plan that is too short for
    all phases keeps the initial sessions and loses the middle, then the ending.
    """
    data = PROTOCOLS.get(protocol)
    if data is None or not data.initial_sessions:
        return {}
    middle = data.initial_sessions + 1
    ending = max(planned - data.ending_sessions + 1, middle)
    phases = {"initial": 1}
    if middle < ending:
        phases["middle"] = middle
    if ending <= planned:
        phases["ending"] = ending
    return phases


def phase_of(protocol: str, number: int, planned: int) -> str | None:
    """Return the phase that the plan gives a session; sessions after the plan belong to its last phase."""
    begun = [phase for phase, first in phases_of(protocol, planned).items() if first <= number]
    return begun[-1] if begun else None


# --- events


class EpisodeOpened(Event, frozen=True, kw_only=True, tag="episode.opened"):
    """A course of care began. Since 1.

    Attributes:
        modality, modality_label: the clinic's code, and how it reads.
        protocol, protocol_version: which way of working was chosen; the version is None for an unnumbered one.
        planned_sessions: what is planned; how many are held is another matter.
        phases: phase → number of its first session in this plan.
        problem: what brings the client, in words (free text).
        referral: how the client came, one of `REFERRALS`.
        setting: where it takes place unless a session says otherwise, one of `SETTINGS`.
        concurrent_therapies: what else the client attends.
    """

    subject = "episode_id"
    free_text = ("problem",)

    episode_id: UUID
    format: str
    modality: str
    protocol: str
    modality_label: str | None = None
    protocol_version: str | None = None
    planned_sessions: int = DEFAULT_PLANNED_SESSIONS
    phases: dict[str, int] = msgspec.field(default_factory=dict)
    problem: str | None = None
    referral: str | None = None
    setting: str = "clinic"
    concurrent_therapies: tuple[ConcurrentTherapy, ...] = ()

    def apply(self, record: ClientRecord, version: int) -> None:
        """Add the episode."""
        record.episodes[self.episode_id] = EpisodeState(
            version=version,
            format=self.format,
            modality=self.modality,
            protocol=self.protocol,
            protocol_version=self.protocol_version,
            planned_sessions=self.planned_sessions,
            opened_at=self.occurred_at,
            setting=self.setting,
            phases=self.phases,
        )


class EpisodePhaseSet(Event, frozen=True, kw_only=True, tag="episode.phase_set"):
    """A clinician set the phase of the sessions to come, or gave it back to the plan (None). Since 1."""

    subject = "episode_id"
    free_text = ("reason",)
    lifecycle = "amend"

    episode_id: UUID
    phase: str | None
    reason: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """Set or end the override."""
        record.episodes[self.episode_id] = msgspec.structs.replace(
            record.episodes[self.episode_id], phase_override=self.phase, version=version
        )


class EpisodeClosed(Event, frozen=True, kw_only=True, tag="episode.closed"):
    """A course of care ended at `occurred_at`. Since 1.

    Attributes:
        reason: NHS discharge code, one of `DISCHARGES`.
        note: more about it (free text).
    """

    subject = "episode_id"
    free_text = ("note",)
    lifecycle = "amend"

    episode_id: UUID
    reason: str
    note: str | None = None

    def apply(self, record: ClientRecord, version: int) -> None:
        """Close the episode."""
        record.episodes[self.episode_id] = msgspec.structs.replace(
            record.episodes[self.episode_id],
            closed_at=self.occurred_at,
            deceased=self.reason in DECEASED,
            version=version,
        )


class EpisodeProtocolChanged(Event, frozen=True, kw_only=True, tag="episode.protocol_changed"):
    """A course of care went on by another protocol or another plan; the old one stays in the history. Since 1.

    Attributes:
        protocol, protocol_version: which way of working it is now; the version is None for an unnumbered one.
        planned_sessions: what is planned for the whole episode now, what was held included.
        phases: phase → number of its first session in the new plan, in the numbers of the episode.
        reason: why (free text).
    """

    subject = "episode_id"
    free_text = ("reason",)
    lifecycle = "amend"

    episode_id: UUID
    protocol: str
    protocol_version: str | None = None
    planned_sessions: int
    phases: dict[str, int] = msgspec.field(default_factory=dict)
    reason: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """Put the new plan in the place of the old one."""
        record.episodes[self.episode_id] = msgspec.structs.replace(
            record.episodes[self.episode_id],
            version=version,
            protocol=self.protocol,
            protocol_version=self.protocol_version,
            planned_sessions=self.planned_sessions,
            phases=self.phases,
            phase_override=None,
        )


EVENTS = (EpisodeOpened, EpisodePhaseSet, EpisodeProtocolChanged, EpisodeClosed)

# --- decisions


@decision("episode.open")
def open_episode(
    record: ClientRecord,
    context: Context,
    *,
    episode_id: UUID,
    format: str,
    modality: str,
    protocol: str,
    modality_label: str | None = None,
    protocol_version: str | None = None,
    planned_sessions: int | None = None,
    problem: str | None = None,
    referral: str | None = None,
    setting: str = "clinic",
    concurrent_therapies: Sequence[ConcurrentTherapy] = (),
    occurred_at: datetime | None = None,
) -> Sequence[Event]:
    """Open an episode; the protocol gives the number of sessions and the version where none is named.

    Raises:
        RuleBroken: `episode-already-opened`.
        InvalidContent: an unknown code, a plan of less than one session or of too many, an opening before birth, a
            concurrent therapy that ends before it starts.
    """
    if episode_id in record.episodes:
        raise RuleBroken("episode-already-opened", "This episode was opened before.")
    require_known("/format", format, FORMATS)
    require_known("/setting", setting, SETTINGS)
    if referral is not None:
        require_known("/referral", referral, REFERRALS)
    _require_code("/modality", modality)
    protocol_version, planned_sessions = _plan(protocol, protocol_version, planned_sessions)
    for place, therapy in enumerate(concurrent_therapies):
        if therapy.started and therapy.ended and therapy.ended < therapy.started:
            raise InvalidContent(f"/concurrent_therapies/{place}/ended", "Lies before its start.")
    stamp = context.stamp(occurred_at)
    record.require_born("/occurred_at", stamp["occurred_at"])
    return [
        EpisodeOpened(
            episode_id=episode_id,
            format=format,
            modality=modality,
            modality_label=modality_label,
            protocol=protocol,
            protocol_version=protocol_version,
            planned_sessions=planned_sessions,
            phases=phases_of(protocol, planned_sessions),
            problem=problem,
            referral=referral,
            setting=setting,
            concurrent_therapies=tuple(concurrent_therapies),
            **stamp,
        )
    ]


def _require_code(pointer: str, code: str) -> None:
    if CODE.fullmatch(code) is None:
        raise InvalidContent(pointer, "Is not a code: letters, digits, dots, dashes and underscores, at most 64.")


def _plan(protocol: str, version: str | None, planned: int | None) -> tuple[str | None, int]:
    """Return version and number of sessions; the protocol gives what is not named."""
    _require_code("/protocol", protocol)
    known = PROTOCOLS.get(protocol)
    if planned is None:
        planned = known.planned_sessions if known else DEFAULT_PLANNED_SESSIONS
    if not 1 <= planned <= MAX_PLANNED_SESSIONS:
        raise InvalidContent("/planned_sessions", f"Is not between 1 and {MAX_PLANNED_SESSIONS}.")
    return version or (known.version if known else None), planned


@decision("episode.protocol")
def change_protocol(
    record: ClientRecord,
    context: Context,
    *,
    episode_id: UUID,
    protocol: str,
    reason: str,
    protocol_version: str | None = None,
    planned_sessions: int | None = None,
    begins_anew: bool = False,
) -> Sequence[Event]:
    """Go on by another protocol or plan; nothing to do where the same plan stands and no phase was set by hand.

    Args:
        record: the client's record.
        context: who decides.
        episode_id: the course of care.
        protocol: the protocol from now on.
        reason: why it changes.
        protocol_version: of the protocol; as its data says where none is named.
        planned_sessions: how many sessions the new plan has; as the protocol's data says where none is named.
        begins_anew: the plan counts from the next session, as its first; else from the first of the episode.

    Raises:
        UnknownItem: no such episode in this record.
        RuleBroken: `episode-closed`.
        InvalidContent: `/protocol` that is no code, `/planned_sessions`, `/reason` that says nothing.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("episode", record.episodes, episode_id)
    context.require_version(state.version)
    if state.closed_at is not None:
        raise RuleBroken("episode-closed", "The episode is closed.")
    protocol_version, planned = _plan(protocol, protocol_version, planned_sessions)
    before = state.sessions_held if begins_anew else 0
    phases = {phase: first + before for phase, first in phases_of(protocol, planned).items()}
    changed = EpisodeProtocolChanged(
        episode_id=episode_id,
        protocol=protocol,
        protocol_version=protocol_version,
        planned_sessions=before + planned,
        phases=phases,
        reason=reason,
        **context.stamp(),
    )
    stands = (state.protocol, state.protocol_version, state.planned_sessions, state.phases, state.phase_override)
    if stands == (protocol, protocol_version, before + planned, phases, None):
        return []
    if not reason.strip():
        raise InvalidContent("/reason", "Another protocol needs a reason.")
    return [changed]


@decision("episode.phase")
def set_phase(
    record: ClientRecord, context: Context, *, episode_id: UUID, phase: str | None, reason: str
) -> Sequence[Event]:
    """Set the phase of the sessions to come, or give it back to the plan with None; nothing to do where it is so.

    Raises:
        UnknownItem: no such episode in this record.
        RuleBroken: `episode-closed`.
        InvalidContent: an unknown phase, no reason.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("episode", record.episodes, episode_id)
    if state.phase_override == phase:
        return []
    context.require_version(state.version)
    if state.closed_at is not None:
        raise RuleBroken("episode-closed", "The episode is closed.")
    if phase is not None:
        require_known("/phase", phase, PHASES)
    if not reason.strip():
        raise InvalidContent("/reason", "A phase that is not the plan's needs a reason.")
    return [EpisodePhaseSet(episode_id=episode_id, phase=phase, reason=reason, **context.stamp())]


@decision("episode.close")
def close_episode(
    record: ClientRecord,
    context: Context,
    *,
    episode_id: UUID,
    reason: str,
    note: str | None = None,
    occurred_at: datetime | None = None,
) -> Sequence[Event]:
    """Close an episode. Sessions that are still booked stand until somebody cancels them.

    Raises:
        UnknownItem: no such episode in this record.
        RuleBroken: `episode-closed`.
        InvalidContent: an unknown discharge code, an end in the future or before the opening.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    state = record.item("episode", record.episodes, episode_id)
    context.require_version(state.version)
    if state.closed_at is not None:
        raise RuleBroken("episode-closed", "The episode is closed.")
    require_known("/reason", reason, DISCHARGES)
    stamp = context.stamp(occurred_at)
    if stamp["occurred_at"] < state.opened_at:
        raise InvalidContent("/occurred_at", "Lies before the episode was opened.")
    return [EpisodeClosed(episode_id=episode_id, reason=reason, note=note, **stamp)]
