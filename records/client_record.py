"""The small state of one client's record that rules need: ids, statuses, dates. No clinical text.

Rules:
- Events change it through `apply`; nothing else does. It can always be folded anew from the stream.
- Items are frozen and replaced, never changed, so a copy of the record is cheap and shares them.
- Rules about consent look at when things happened (`occurred_at`), as known now.

It does not decide, and it is not what people see: views fold events for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Literal, TypeVar
from uuid import UUID

import msgspec

from records.errors import ConsentMissing, InvalidContent, RuleBroken, UnknownItem
from records.event import Recorded

ConsentStatus = Literal["offered", "given", "refused", "withdrawn", "superseded", "entered-in-error"]
SessionStatus = Literal["booked", "held", "missed", "cancelled", "entered-in-error"]
AssessmentStatus = Literal["recorded", "entered-in-error"]
GoalStatus = Literal["active", "paused", "achieved", "partly-achieved", "abandoned", "entered-in-error"]
RiskStatus = Literal["recorded", "entered-in-error"]
NoteStatus = Literal["signed", "entered-in-error"]
DisclosureStatus = Literal["made", "entered-in-error"]
AttachmentStatus = Literal["added", "entered-in-error"]

EARLIEST_BIRTH = date(1890, 1, 1)
"""No living client was born before."""


class ConsentState(msgspec.Struct, frozen=True, kw_only=True):
    """One consent: what rules need of it. `live_at` is the only reading of its dates."""

    kind: str
    status: ConsentStatus
    version: int
    given_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None
    recipient: str | None = None
    scope: str | None = None
    supersedes: UUID | None = None

    def live_at(self, at: datetime) -> bool:
        """Tell whether it was given and neither ended nor expired at `at`, as known now."""
        if self.given_at is None or self.status == "entered-in-error" or at < self.given_at:
            return False
        if self.ended_at is not None and at >= self.ended_at:
            return False
        return self.expires_at is None or at < self.expires_at


class EpisodeState(msgspec.Struct, frozen=True, kw_only=True):
    """One episode of care.

    Attributes:
        phases: phase → number of its first session, by the plan in force.
        closed_at: when it ended; None while it is open.
        sessions_held: the highest number that a held session has, those that were entered in error left out.
        phase_override: the phase that was set by hand; None where the plan decides.
        deceased: it was closed because the client died.
    """

    version: int
    format: str
    modality: str
    protocol: str
    protocol_version: str | None = None
    planned_sessions: int
    opened_at: datetime
    setting: str = "clinic"
    phases: dict[str, int] = msgspec.field(default_factory=dict)
    closed_at: datetime | None = None
    sessions_held: int = 0
    phase_override: str | None = None
    deceased: bool = False

    def phase_at(self, number: int) -> str | None:
        """Return the phase of a session by its number: the override in force, else the plan's, else None."""
        if self.phase_override is not None:
            return self.phase_override
        begun = [(first, phase) for phase, first in self.phases.items() if first <= number]
        return max(begun)[1] if begun else None


class BreachState(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was held although a rule forbade it.

    Attributes:
        missing: the consent kinds that were missing, and other breaches.
        entered_by: who entered it, and so never decides on it.
        reviewed: a supervisor decided on it.
    """

    missing: tuple[str, ...]
    entered_by: str
    reviewed: bool = False


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """One session, booked or held.

    Attributes:
        start: when it is planned to begin, and once held, when it began.
        status: `missed` and `cancelled` follow from the attendance code that was recorded last.
        attendance: the NHS attendance code, None while nobody recorded one.
    """

    version: int
    episode_id: UUID
    kind: str
    start: datetime
    mode: str
    minutes: int = 50
    setting: str = "clinic"
    room: str | None = None
    status: SessionStatus = "booked"
    number: int | None = None
    attendance: str | None = None


class AssessmentState(msgspec.Struct, frozen=True, kw_only=True):
    """One completed measure; only its risk prompt matters to rules.

    Attributes:
        risk_item, risk_value: which item opened the prompt (counted from 1), and the answer to it.
        answered_by: the standing risk assessments that answered the prompt.
        cleared: a clinician cleared the prompt, whatever else answered it.
    """

    version: int
    measure: str
    taken_at: datetime
    status: AssessmentStatus = "recorded"
    in_session: bool = True
    session_id: UUID | None = None
    risk_item: int | None = None
    risk_value: int | None = None
    prompt: Literal["open", "answered", "closed"] | None = None
    answered_by: frozenset[UUID] = frozenset()
    cleared: bool = False


class RiskState(msgspec.Struct, frozen=True, kw_only=True):
    """One risk assessment: whether it stands."""

    version: int
    status: RiskStatus = "recorded"


class GoalState(msgspec.Struct, frozen=True, kw_only=True):
    """One goal."""

    version: int
    status: GoalStatus
    scale: str
    set_at: datetime


class NoteState(msgspec.Struct, frozen=True, kw_only=True):
    """One signed note. `text_version` counts the texts that stood: 1 as signed, 2 after the first amendment."""

    version: int
    author: str
    kind: str
    status: NoteStatus
    session_id: UUID | None
    signed_at: datetime
    text_version: int = 1
    addenda: tuple[UUID, ...] = ()


class DisclosureState(msgspec.Struct, frozen=True, kw_only=True):
    """One disclosure."""

    version: int
    status: DisclosureStatus = "made"


class AttachmentState(msgspec.Struct, frozen=True, kw_only=True):
    """One attachment: whether it stands, and whether the original was given back."""

    version: int
    status: AttachmentStatus = "added"
    returned: bool = False


class HoldState(msgspec.Struct, frozen=True, kw_only=True):
    """One legal hold: since when it stands, and whether somebody lifted it."""

    version: int
    placed_at: datetime
    lifted: bool = False


Item = TypeVar("Item")


class ClientRecord(msgspec.Struct, kw_only=True):
    """The rule state of one client.

    Attributes:
        client_id: the stream's id.
        version: version of the last event that was applied; 0 where the client does not exist.
        identity_version: version of the last event that touched identity.
        registration_digest: what was registered, as a digest, so that the same registration sent again is known.
        birth_date, birth_date_latest: the earliest and the latest day that it can be; None where it is not known.
        died: the latest day that the death can be; None for who is not known to have died.
        died_exactly: `died` is the very day.
        consents, episodes, sessions, assessments, goals, notes, attachments, disclosures: items by id.
        risk_assessments: whether each risk assessment stands.
        breaches: session id → what was missing when it was held, and whether that was reviewed.
        holds: legal holds, those that were lifted too.
    """

    client_id: UUID
    version: int = 0
    identity_version: int = 0
    registered_at: datetime | None = None
    registration_digest: str = ""
    birth_date: date | None = None
    birth_date_latest: date | None = None
    died: date | None = None
    died_exactly: bool = True
    consents: dict[UUID, ConsentState] = msgspec.field(default_factory=dict)
    episodes: dict[UUID, EpisodeState] = msgspec.field(default_factory=dict)
    sessions: dict[UUID, SessionState] = msgspec.field(default_factory=dict)
    assessments: dict[UUID, AssessmentState] = msgspec.field(default_factory=dict)
    goals: dict[UUID, GoalState] = msgspec.field(default_factory=dict)
    risk_assessments: dict[UUID, RiskState] = msgspec.field(default_factory=dict)
    notes: dict[UUID, NoteState] = msgspec.field(default_factory=dict)
    attachments: dict[UUID, AttachmentState] = msgspec.field(default_factory=dict)
    breaches: dict[UUID, BreachState] = msgspec.field(default_factory=dict)
    disclosures: dict[UUID, DisclosureState] = msgspec.field(default_factory=dict)
    holds: dict[UUID, HoldState] = msgspec.field(default_factory=dict)

    @property
    def exists(self) -> bool:
        """Whether the client was registered."""
        return self.version > 0

    def copy(self) -> ClientRecord:
        """Return a record that can be moved on without touching this one; items are shared. O(items)."""
        return msgspec.structs.replace(
            self,
            consents=dict(self.consents),
            episodes=dict(self.episodes),
            sessions=dict(self.sessions),
            assessments=dict(self.assessments),
            goals=dict(self.goals),
            risk_assessments=dict(self.risk_assessments),
            notes=dict(self.notes),
            attachments=dict(self.attachments),
            disclosures=dict(self.disclosures),
            breaches=dict(self.breaches),
            holds=dict(self.holds),
        )

    def apply(self, recorded: Recorded) -> None:
        """Apply the next event of the stream.

        Raises:
            ValueError: the event is not the next one, a defect of the caller.
        """
        if recorded.version != self.version + 1:
            raise ValueError("events must be applied in their order")
        recorded.event.apply(self, recorded.version)
        self.version = recorded.version

    def item(self, kind: str, items: Mapping[UUID, Item], item_id: UUID) -> Item:
        """Return one item.

        Raises:
            UnknownItem: this client has no such item, whoever else may have one.
        """
        found = items.get(item_id)
        if found is None:
            raise UnknownItem(kind)
        return found

    def require_session(self, session_id: UUID) -> SessionState:
        """Return a session that something new may name.

        Raises:
            UnknownItem: this client has no such session.
            RuleBroken: `session-entered-in-error`.
        """
        state = self.item("session", self.sessions, session_id)
        if state.status == "entered-in-error":
            raise RuleBroken(
                "session-entered-in-error", "The session was entered in error; name the one that was held."
            )
        return state

    def missing_consents(self, kinds: tuple[str, ...], at: datetime, scopes: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return which of `kinds` had no live consent at `at`, as known now, in the order given.

        A consent without a scope covers everything; one with a scope covers only an act within it.

        Args:
            kinds: the consent kinds that the act needs.
            at: when the act takes place.
            scopes: what the act is part of, such as `episode:<id>`.
        """
        live = {
            consent.kind
            for consent in self.consents.values()
            if consent.live_at(at) and (consent.scope is None or consent.scope in scopes)
        }
        return tuple(kind for kind in kinds if kind not in live)

    def require_consents(self, kinds: tuple[str, ...], at: datetime, scopes: tuple[str, ...] = ()) -> None:
        """Hold an act to its consents; the arguments are those of `missing_consents`.

        Raises:
            ConsentMissing: names the first kind that is not live.
        """
        for kind in self.missing_consents(kinds, at, scopes):
            raise ConsentMissing(kind)

    def usual_session_kind(self, episode_id: UUID) -> str:
        """Return `assessment` while no session of the episode is booked or was held, then `treatment`. O(sessions)."""
        under_way = ("booked", "held")
        begun = any(state.episode_id == episode_id and state.status in under_way for state in self.sessions.values())
        return "treatment" if begun else "assessment"

    def require_born(self, pointer: str, at: datetime) -> None:
        """Hold what takes place with a client to their life: by the day as written, from 1890 where no birth is known.

        Raises:
            InvalidContent: `at` lies before; the pointer is where it came from.
        """
        if at.date() < (self.birth_date or EARLIEST_BIRTH):
            raise InvalidContent(pointer, "Lies before the client was born.")

    def open_prompts(self) -> tuple[UUID, ...]:
        """Return the assessments whose risk prompt no clinician has answered, oldest first."""
        return tuple(key for key, state in self.assessments.items() if state.prompt == "open")
