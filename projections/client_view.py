"""The current view of a client's record: what endangers the client first, then how everything stands.

Source: CONTRACT (`/v1/clients/{id}`); DOMAIN 2 (prompts), 3 (breaches), 10 (the ending phase).

- It is a fold of the record into a bounded state (`projections.client_state`), kept as a read-through sealed snapshot.
  What depends on time and role (an expired consent, a booking that passed, who may see what) is added when it is shown.
- The front desk gets identity, contact, bookings and how consents stand; nothing clinical is built for it.
- An emergency access, and whoever joined the team by themselves, is told to the team until it is reviewed.
- As known at a past moment, or as valid then, it is folded from the events that count; nothing is stored.
- Events that cannot be opened are marked as gaps, and the rest is shown.
- A view of now that was rendered is shown again while its fold is held, staff and teams are the same, and no moment has
  come that the rendering asked about (an expiry, a session's start, midnight).

It is no evidence: it can always be dropped and folded anew (`projections.rebuild`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec

from projections.client_state import SNAPSHOT, ClientState, counts, fold
from projections.sections import (
    assessments,
    attachments,
    consents,
    disclosures,
    episodes,
    goals,
    identity,
    legal_holds,
    notes,
    notes_due,
    risk,
    sessions,
)
from projections.sections.assessments import MeasureItem
from projections.sections.attachments import AttachmentItem
from projections.sections.consents import ConsentItem, DeskConsent
from projections.sections.disclosures import DisclosureItem
from projections.sections.episodes import EpisodeItem
from projections.sections.goals import GoalsShown
from projections.sections.identity import IdentityItem
from projections.sections.legal_holds import LegalHoldItem
from projections.sections.notes import NoteItem
from projections.sections.notes_due import NoteDue
from projections.sections.risk import PromptItem, RiskItem
from projections.sections.sessions import DeskSession, SessionItem
from projections.sections.viewing import Viewing
from records.actors import Role
from records.errors import UnknownClient
from records.reader import Asked, Built, Reader

AlertKind = Literal[
    "breach", "deterioration", "emergency-access", "risk-item-unanswered", "risk-review-due", "self-added", "unreadable"
]

# --- what is shown


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a clinician or supervisor must see first.

    Attributes:
        kind: what it is.
        text: one sentence for people.
        since: when it arose; None where that cannot be told.
        about: the session, assessment, risk assessment or review that it is about.
        version: of what it is about, for If-Match, where it is something to decide on.
    """

    kind: AlertKind
    text: str
    since: datetime | None = None
    about: UUID | None = None
    version: int | None = None


class TeamMember(msgspec.Struct, frozen=True, kw_only=True):
    """Who is in the care team now: `team` treats, `supervises` reviews."""

    id: str
    name: str
    part: str


class ClientDocument(msgspec.Struct, frozen=True, kw_only=True, tag_field="view", tag="clinical"):
    """The current view, for the care team and its supervisors. What endangers the client comes first.

    Attributes:
        client_id, version: the client, and the version of the record's last event.
        known_at, valid_at: the past moments that were asked about; None for now.
        risk_prompts: open prompts, oldest first.
        consents: those in force first, then how the other kinds stand.
        next_session, bookings, last_sessions: what comes next, what comes after it, and the last five.
        notes: the last five.
        notes_due: sessions whose note should have been signed by now, the oldest first.
        attachments: the newest; `attachments_total` tells how many there are.
        notes_in_error, sessions_in_error, risk_in_error, attachments_in_error: how many are hidden because they were
            entered in error; the history has them.
        disclosures: the last five that were recorded, also those entered in error, marked.
        legal_holds: those that stand; while one does, nothing of this record is erased.
        care_team: who treats and supervises now; empty where a past moment was asked about.
        gaps: versions of events that could not be opened; the rest is shown.
    """

    client_id: UUID
    version: int
    known_at: datetime | None = None
    valid_at: datetime | None = None
    risk_prompts: tuple[PromptItem, ...] = ()
    alerts: tuple[Alert, ...] = ()
    identity: IdentityItem | None = None
    consents: tuple[ConsentItem, ...] = ()
    episodes: tuple[EpisodeItem, ...] = ()
    goals: GoalsShown
    measures: tuple[MeasureItem, ...] = ()
    risk: RiskItem | None = None
    risk_in_error: int = 0
    next_session: SessionItem | None = None
    bookings: tuple[SessionItem, ...] = ()
    last_sessions: tuple[SessionItem, ...] = ()
    sessions_in_error: int = 0
    notes: tuple[NoteItem, ...] = ()
    notes_due: tuple[NoteDue, ...] = ()
    notes_in_error: int = 0
    attachments: tuple[AttachmentItem, ...] = ()
    attachments_total: int = 0
    attachments_in_error: int = 0
    disclosures: tuple[DisclosureItem, ...] = ()
    legal_holds: tuple[LegalHoldItem, ...] = ()
    care_team: tuple[TeamMember, ...] = ()
    gaps: tuple[int, ...] = ()


class DeskDocument(msgspec.Struct, frozen=True, kw_only=True, tag_field="view", tag="desk"):
    """The current view for the front desk: identity, contact and bookings; no clinical text. Fields as above."""

    client_id: UUID
    version: int
    known_at: datetime | None = None
    valid_at: datetime | None = None
    identity: IdentityItem | None = None
    consents: tuple[DeskConsent, ...] = ()
    next_session: DeskSession | None = None
    bookings: tuple[DeskSession, ...] = ()
    last_sessions: tuple[DeskSession, ...] = ()
    care_team: tuple[TeamMember, ...] = ()
    gaps: tuple[int, ...] = ()


# --- showing it


class ClientView:
    """The current view."""

    action = "client.view"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build the view that the reader's role may see.

        Cost: independent of the record's length for now; a past moment opens the whole record.

        Raises:
            UnknownClient: there is no such client, or was none that was known at that moment.
        """
        client_id = asked.client_id
        if client_id is None:
            raise UnknownClient("a current view is of one client")
        if asked.known_at is None and asked.valid_at is None:
            return _now(reader, asked, client_id)
        events = reader.events(client_id)
        state = fold(each for each in events if counts(each, asked.known_at, asked.valid_at))
        document, _ = _render(reader, asked, client_id, state)
        return Built(document)


class _Shown(NamedTuple):
    """A rendered view: true from `since` up to but without `until`, with staff and teams as at a ledger position."""

    document: ClientDocument | DeskDocument
    position: int
    since: datetime
    until: datetime | None


def _now(reader: Reader, asked: Asked, client_id: UUID) -> Built:
    """Build the view as of now; what was rendered of the same fold is shown again while it stays true."""
    found = SNAPSHOT.read_through(reader, client_id)
    position, role = reader.directory.position, asked.actor.role
    shown: _Shown | None = found.shown.get(role)
    if (
        shown is None
        or shown.position != position
        or asked.at < shown.since
        or (shown.until is not None and asked.at >= shown.until)
    ):
        document, until = _render(reader, asked, client_id, found.state)
        found.shown[role] = shown = _Shown(document, position, asked.at, until)
    return Built(shown.document, found.puts)


def _render(
    reader: Reader, asked: Asked, client_id: UUID, state: ClientState
) -> tuple[ClientDocument | DeskDocument, datetime | None]:
    """Return the view that the reader's role may see, and until when it stays true.

    Raises:
        UnknownClient: the state is of no client.
    """
    if state.version == 0:
        raise UnknownClient("no such client")
    directory = reader.directory
    is_now = asked.known_at is None and asked.valid_at is None
    team = _team(reader, client_id) if is_now else ()
    viewing = Viewing(
        role=asked.actor.role,
        at=asked.valid_at or asked.known_at or asked.at,
        policy=directory.clinic.policy,
        name_of=directory.name_of,
    )
    if viewing.role is Role.FRONT_DESK:
        return render_desk(state, asked, client_id, viewing, team), viewing.stays_until
    told = _emergencies(reader, client_id, viewing) if is_now else []
    return render_clinical(state, asked, client_id, viewing, team, told), viewing.stays_until


def render_clinical(
    state: ClientState,
    asked: Asked,
    client_id: UUID,
    viewing: Viewing,
    team: tuple[TeamMember, ...],
    told: Sequence[Alert] = (),
) -> ClientDocument:
    """Return the whole current view; `told` are alerts that are not of the record itself, and come last."""
    measured = assessments.render(state.assessments)
    ahead = sessions.render(state.sessions, viewing)
    return ClientDocument(
        client_id=client_id,
        version=state.version,
        known_at=asked.known_at,
        valid_at=asked.valid_at,
        risk_prompts=risk.render_prompts(state.risk),
        alerts=(*_alerts(state, measured, viewing), *told),
        identity=identity.render(state.identity),
        consents=consents.render(state.consents, viewing),
        episodes=episodes.render(state.episodes, {item.measure: item.latest.taken_at for item in measured}, viewing),
        goals=goals.render(state.goals),
        measures=measured,
        risk=risk.render(state.risk, viewing),
        risk_in_error=state.risk.in_error,
        next_session=ahead.coming[0] if ahead.coming else None,
        bookings=ahead.coming[1:],
        last_sessions=ahead.past,
        sessions_in_error=state.sessions.in_error,
        notes=notes.render(state.notes, viewing),
        notes_due=notes_due.render(state.notes_due, viewing.policy, viewing.passed),
        notes_in_error=state.notes.in_error,
        attachments=attachments.render(state.attachments, viewing),
        attachments_total=state.attachments.total,
        attachments_in_error=state.attachments.in_error,
        disclosures=disclosures.render(state.disclosures, viewing),
        legal_holds=legal_holds.render(state.legal_holds, viewing),
        care_team=team,
        gaps=tuple(state.gaps),
    )


def render_desk(
    state: ClientState, asked: Asked, client_id: UUID, viewing: Viewing, team: tuple[TeamMember, ...]
) -> DeskDocument:
    """Return what the front desk may see; nothing clinical is touched."""
    ahead = sessions.render(state.sessions, viewing)
    coming = tuple(sessions.desk(item) for item in ahead.coming)
    return DeskDocument(
        client_id=client_id,
        version=state.version,
        known_at=asked.known_at,
        valid_at=asked.valid_at,
        identity=identity.render(state.identity),
        consents=consents.render_desk(state.consents, viewing),
        next_session=coming[0] if coming else None,
        bookings=coming[1:],
        last_sessions=tuple(sessions.desk(item) for item in ahead.past),
        care_team=team,
        gaps=tuple(state.gaps),
    )


def _team(reader: Reader, client_id: UUID) -> tuple[TeamMember, ...]:
    parts = reader.directory.team(client_id).parts
    return tuple(TeamMember(id=who, name=reader.directory.name_of(who), part=part) for who, part in parts.items())


def _emergencies(reader: Reader, client_id: UUID, viewing: Viewing) -> list[Alert]:
    """Tell the team who opened this record in an emergency or joined by themselves, while that is not reviewed."""
    alerts = []
    for review_id in reversed(reader.directory.reviews_of(client_id)):
        found = reader.directory.review(review_id)
        if found is None or found[1].outcome is not None:
            continue
        person, review = found
        joined = review.cause == "own-membership"
        what = "joined this care team by themselves" if joined else "opened this record in an emergency"
        text = f"{person.name} {what} on {viewing.day(review.opened_at)}; it is being reviewed."
        kind: AlertKind = "self-added" if joined else "emergency-access"
        alerts.append(Alert(kind=kind, text=text, since=review.opened_at, about=review_id))
    return alerts


def _alerts(state: ClientState, measured: tuple[MeasureItem, ...], viewing: Viewing) -> tuple[Alert, ...]:
    alerts = []
    if state.gaps:
        text = f"{len(state.gaps)} entries of this record cannot be opened; what they say is not shown."
        alerts.append(Alert(kind="unreadable", text=text))
    if viewing.role is Role.SUPERVISOR:
        alerts += _alerts_of_breaches(state.sessions, viewing)
    last = state.risk.last
    if last is not None and last.review_date is not None and last.review_date < viewing.today:
        text = f"The review of risk was due on {last.review_date.day} {last.review_date:%B %Y}."
        alerts.append(Alert(kind="risk-review-due", text=text, since=last.assessed_at, about=last.id))
    for item in measured:
        alerts += _alerts_of_measure(item, viewing)
    return tuple(alerts)


def _alerts_of_breaches(state: sessions.State, viewing: Viewing) -> list[Alert]:
    alerts = []
    for breach in reversed(state.breaches):
        missing = ", ".join(breach.missing)
        text = f"The session of {viewing.day(breach.at)} was held although this was missing: {missing}."
        if breach.in_error:
            text += " The session was entered in error since; nobody decided on the breach yet."
        alerts.append(Alert(kind="breach", text=text, since=breach.at, about=breach.session_id, version=breach.version))
    older = state.open_breaches - len(state.breaches)
    if older > 0:
        alerts.append(Alert(kind="breach", text=f"{older} older breaches wait for a decision; the history has them."))
    return alerts


def _alerts_of_measure(item: MeasureItem, viewing: Viewing) -> list[Alert]:
    alerts = []
    latest = item.latest
    if latest.risk_item_unanswered:
        text = f"The risk item of the {item.measure} of {viewing.day(latest.taken_at)} was left out."
        alerts.append(Alert(kind="risk-item-unanswered", text=text, since=latest.taken_at, about=latest.assessment_id))
    if item.reliable == "deteriorated" and item.last is not None:
        text = f"{item.measure} got reliably worse since its first score."
        alerts.append(Alert(kind="deterioration", text=text, since=item.last.taken_at, about=item.last.assessment_id))
    return alerts


CLIENT_VIEW = ClientView()
