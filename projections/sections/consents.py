"""Consents, as the current view shows them: what is in force, and where a kind has nothing in force, how it stands.

Source: DOMAIN 3. The rules are those of `records.consent`.

- Whether a consent is in force is answered at the moment that the view is of: expiry needs no event.
- A consent that was superseded or entered in error is not shown; the history has it.
- The state is bounded: consents that cannot come into force again are kept for a while only, and of the consents to one
  session each, the newest.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from projections.sections.viewing import Handler, Viewing
from records.consent import ConsentEnteredInError, ConsentGiven, ConsentOffered, ConsentRefused, ConsentWithdrawn
from records.event import Recorded

ConsentStanding = Literal["in-force", "expired", "offered", "refused", "withdrawn"]


class ConsentItem(msgspec.Struct, frozen=True, kw_only=True):
    """One consent.

    Attributes:
        id, version: the consent, and the version of the last event that touched it (the ETag).
        kind: what is consented to, a key of `records.consent.KINDS`.
        status: how it stands at the moment that is asked about.
        since: when it came to stand so.
        given_by, method: who agreed and how; None where it was not given.
        expires_at: when it ends by itself.
        scope: what it covers, None for everything.
        recipient, restrictions: who may be told, and what is left out.
        form_id, form_version: what was shown.
    """

    id: UUID
    version: int
    kind: str
    status: ConsentStanding
    since: datetime
    given_by: str | None = None
    method: str | None = None
    expires_at: datetime | None = None
    scope: str | None = None
    recipient: str | None = None
    restrictions: str | None = None
    form_id: str
    form_version: str


class DeskConsent(msgspec.Struct, frozen=True, kw_only=True):
    """A consent as the front desk needs it for booking: its kind and how it stands."""

    kind: str
    status: ConsentStanding


KEPT_ENDED = 20
KEPT_OF_SESSIONS = 10


class Consent(msgspec.Struct, kw_only=True):
    """One consent as it was recorded; fields as in `ConsentItem`."""

    id: UUID
    version: int
    kind: str
    status: str
    since: datetime
    form_id: str
    form_version: str
    given_by: str | None = None
    method: str | None = None
    expires_at: datetime | None = None
    scope: str | None = None
    recipient: str | None = None
    restrictions: str | None = None
    given_at: datetime | None = None

    def standing(self, viewing: Viewing) -> ConsentStanding | None:
        """Return how it stands at the moment of a look; None where it is not shown."""
        if self.status == "given":
            return "expired" if self.expires_at is not None and viewing.reached(self.expires_at) else "in-force"
        if self.status in ("offered", "refused", "withdrawn"):
            return self.status  # type: ignore[return-value]  # one of the three
        return None


class State(msgspec.Struct, kw_only=True):
    """Consents by id, in the order in which they were first recorded."""

    items: dict[UUID, Consent] = msgspec.field(default_factory=dict)


def _offered(state: State, event: ConsentOffered, recorded: Recorded) -> None:
    _put(state, _recorded(event, recorded, "offered"))


def _refused(state: State, event: ConsentRefused, recorded: Recorded) -> None:
    _put(state, _recorded(event, recorded, "refused"))


def _given(state: State, event: ConsentGiven, recorded: Recorded) -> None:
    consent = _recorded(event, recorded, "given")
    consent.given_at = event.occurred_at
    consent.given_by, consent.method = event.given_by, event.method
    consent.expires_at, consent.scope = event.expires_at, event.scope
    consent.recipient, consent.restrictions = event.recipient, event.restrictions
    old = state.items.get(event.supersedes) if event.supersedes is not None else None
    if old is not None:
        old.status, old.version = "superseded", recorded.version
    for key in [key for key, other in state.items.items() if _replaced_long_ago(other, consent)]:
        del state.items[key]
    _put(state, consent)


def _withdrawn(state: State, event: ConsentWithdrawn, recorded: Recorded) -> None:
    _end(state, event.consent_id, "withdrawn", recorded)
    _prune(state)


def _in_error(state: State, event: ConsentEnteredInError, recorded: Recorded) -> None:
    _end(state, event.consent_id, "entered-in-error", recorded)
    old = state.items.get(event.restores) if event.restores is not None else None
    if old is not None:
        old.status, old.version = "given", recorded.version
    _prune(state)


SHOWS: dict[type, Handler] = {
    ConsentOffered: _offered,
    ConsentGiven: _given,
    ConsentRefused: _refused,
    ConsentWithdrawn: _withdrawn,
    ConsentEnteredInError: _in_error,
}


def render(state: State, viewing: Viewing) -> tuple[ConsentItem, ...]:
    """Return consents in force in the order they were given, then one for each kind that has none in force."""
    standing = [(consent, consent.standing(viewing)) for consent in state.items.values()]
    live = [_item(consent, status) for consent, status in standing if status == "in-force"]
    covered = {item.kind for item in live}
    others: dict[str, ConsentItem] = {}
    for consent, status in standing:
        if status is None or consent.kind in covered:
            continue
        before = others.get(consent.kind)
        if before is None or consent.version > before.version:
            others[consent.kind] = _item(consent, status)
    return (*live, *others.values())


def render_desk(state: State, viewing: Viewing) -> tuple[DeskConsent, ...]:
    """Return each kind once with how it stands: all that booking needs."""
    kinds = {item.kind: item.status for item in reversed(render(state, viewing))}
    return tuple(DeskConsent(kind=kind, status=status) for kind, status in sorted(kinds.items()))


def _recorded(event: ConsentOffered | ConsentRefused | ConsentGiven, recorded: Recorded, status: str) -> Consent:
    return Consent(
        id=event.consent_id,
        version=recorded.version,
        kind=event.kind,
        status=status,
        since=event.occurred_at,
        form_id=event.form.form_id,
        form_version=event.form.form_version,
    )


def _item(consent: Consent, status: ConsentStanding) -> ConsentItem:
    since = consent.expires_at if status == "expired" and consent.expires_at is not None else consent.since
    return ConsentItem(
        id=consent.id,
        version=consent.version,
        kind=consent.kind,
        status=status,
        since=since,
        given_by=consent.given_by,
        method=consent.method,
        expires_at=consent.expires_at,
        scope=consent.scope,
        recipient=consent.recipient,
        restrictions=consent.restrictions,
        form_id=consent.form_id,
        form_version=consent.form_version,
    )


def _end(state: State, consent_id: UUID, status: str, recorded: Recorded) -> None:
    consent = state.items.get(consent_id)
    if consent is not None:
        consent.status, consent.version, consent.since = status, recorded.version, recorded.event.occurred_at


def _put(state: State, consent: Consent) -> None:
    state.items[consent.id] = consent
    _prune(state)


def _prune(state: State) -> None:
    if len(state.items) <= KEPT_ENDED:
        return
    ended = [each.id for each in state.items.values() if each.status != "given"]
    of_sessions = [each.id for each in state.items.values() if each.status == "given" and _of_session(each)]
    for key in (*ended[:-KEPT_ENDED], *of_sessions[:-KEPT_OF_SESSIONS]):
        del state.items[key]


def _of_session(consent: Consent) -> bool:
    return consent.scope is not None and consent.scope.startswith("session:")


def _replaced_long_ago(old: Consent, new: Consent) -> bool:
    same = (old.kind, old.scope, old.recipient) == (new.kind, new.scope, new.recipient)
    expired = old.expires_at is not None and new.given_at is not None and old.expires_at <= new.given_at
    return same and old.status == "given" and expired and old.id != new.id
