"""Registration: a person becomes a client, who they are is kept right, and their death is known.

Source: DOMAIN 7 (FHIR R4 Patient, `deceased[x]`); FHIR `date` for a birth date that is known to the year or month only;
NHS Data Dictionary for the check digit of an NHS number.

Rules:
- A client is registered once. The same registration sent again changes nothing; another one is refused.
- A birth date may be a year, a month or a day. Rules use the earliest day that it can be, so that what may be true is
  never refused. It lies neither in the future (by the UTC day) nor before 1890, nor after a session of this client.
- A death may be known to the year, the month or the day, or only that it was; then it was by the day it is reported.
  It lies neither in the future nor before the birth or a session that was held. What was recorded in error is marked
  so, with a reason, before another day is recorded.
- A change names only the fields that change; the others stand. A field that is not required can be emptied.
- Identity is one piece: it stands in the header segment, not among the free texts, and is never shown in parts.

It does not search, merge or tell apart people of the same name, and it does not erase (the client's key does). A death
cancels no booking and closes no episode: people do, and it is only what retention counts from (`records.retention`).
"""

from __future__ import annotations

import calendar
import hashlib
import re
from collections.abc import Sequence
from datetime import date

import msgspec
from msgspec import UNSET, UnsetType

from records.actors import Role
from records.care_team import CareTeamMemberAdded
from records.client_record import EARLIEST_BIRTH, ClientRecord
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken
from records.event import Event

# --- value types

BIRTH_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)
LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
NHS_NUMBER = re.compile(r"\d{10}", re.ASCII)


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who a client is and how to reach them.

    Attributes:
        family, given: names; one of them may be empty, for people who have one name.
        preferred_name: how the client wants to be called.
        birth_date: `1981`, `1981-04` or `1981-04-02`; None where it is not known.
        pronouns, gender: in the client's words.
        language: BCP 47 tag of the language that the client speaks best.
        interpreter_needed: whether sessions need an interpreter.
        email, phone, address: where the client agreed to be reached.
        emergency_contact: name and number of whom to call.
        gp: the general practitioner and practice.
        nhs_number: ten digits with a right check digit.
    """

    family: str = ""
    given: str = ""
    preferred_name: str | None = None
    birth_date: str | None = None
    pronouns: str | None = None
    gender: str | None = None
    language: str | None = None
    interpreter_needed: bool = False
    email: str | None = None
    phone: str | None = None
    address: str | None = None
    emergency_contact: str | None = None
    gp: str | None = None
    nhs_number: str | None = None


class IdentityChanges(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of `Identity` that change. A field that is not set stands; None empties it."""

    family: str | UnsetType = UNSET
    given: str | UnsetType = UNSET
    preferred_name: str | UnsetType | None = UNSET
    birth_date: str | UnsetType | None = UNSET
    pronouns: str | UnsetType | None = UNSET
    gender: str | UnsetType | None = UNSET
    language: str | UnsetType | None = UNSET
    interpreter_needed: bool | UnsetType = UNSET
    email: str | UnsetType | None = UNSET
    phone: str | UnsetType | None = UNSET
    address: str | UnsetType | None = UNSET
    emergency_contact: str | UnsetType | None = UNSET
    gp: str | UnsetType | None = UNSET
    nhs_number: str | UnsetType | None = UNSET

    def applied_to(self, identity: Identity) -> Identity:
        """Return `identity` with these changes made."""
        named = {name: getattr(self, name) for name in self.__struct_fields__}
        return msgspec.structs.replace(identity, **{name: value for name, value in named.items() if value is not UNSET})


def earliest_birth_date(birth_date: str) -> date:
    """Return the earliest day that a birth date of any precision can be.

    Raises:
        InvalidContent: it is no date.
    """
    return days_of(birth_date, "/birth_date")[0]


def latest_birth_date(birth_date: str) -> date:
    """Return the latest day that a birth date of any precision can be.

    Raises:
        InvalidContent: it is no date.
    """
    return days_of(birth_date, "/birth_date")[1]


def days_of(partial: str, pointer: str) -> tuple[date, date]:
    """Return the earliest and the latest day that a date of any precision can be.

    Raises:
        InvalidContent: it is no date; the pointer is where it came from.
    """
    parts = BIRTH_DATE.fullmatch(partial)
    if parts is None:
        raise InvalidContent(pointer, "Is not a date as YYYY, YYYY-MM or YYYY-MM-DD.")
    year, month, day = (int(part) if part else None for part in parts.groups())
    try:
        earliest = date(year or 0, month or 1, day or 1)
    except ValueError:
        raise InvalidContent(pointer, "Is not a day of the calendar.") from None
    last_month = month or 12
    return earliest, date(earliest.year, last_month, day or calendar.monthrange(earliest.year, last_month)[1])


# --- events


class ClientRegistered(Event, frozen=True, kw_only=True, tag="client.registered"):
    """A person became a client of the clinic. Since 1."""

    identity: Identity

    def apply(self, record: ClientRecord, version: int) -> None:
        """Begin the record."""
        record.identity_version = version
        record.registered_at = self.occurred_at
        record.registration_digest = _digest(self.identity)
        if self.identity.birth_date is not None:
            record.birth_date = earliest_birth_date(self.identity.birth_date)
            record.birth_date_latest = latest_birth_date(self.identity.birth_date)


class ClientIdentityChanged(Event, frozen=True, kw_only=True, tag="client.identity_changed"):
    """Some of what identifies a client changed or was put right; the earlier values stay in the history. Since 1."""

    lifecycle = "amend"

    changes: IdentityChanges

    def apply(self, record: ClientRecord, version: int) -> None:
        """Move the identity's version on, and the birth date where it changed."""
        record.identity_version = version
        birth_date = self.changes.birth_date
        if birth_date is not UNSET:
            record.birth_date = None if birth_date is None else earliest_birth_date(birth_date)
            record.birth_date_latest = None if birth_date is None else latest_birth_date(birth_date)


class ClientDeathRecorded(Event, frozen=True, kw_only=True, tag="client.death_recorded"):
    """The clinic learned that the client died; who said so is `reported_by`. Since 1.

    Attributes:
        died_on: `2026`, `2026-04` or `2026-04-02`; None where only the death itself is known.
    """

    lifecycle = "amend"

    died_on: str | None = None

    @property
    def latest_day(self) -> date:
        """The latest day that the death can be; none lies after it was reported."""
        reported = self.occurred_at.date()
        return reported if self.died_on is None else min(reported, days_of(self.died_on, "/died_on")[1])

    @property
    def exact(self) -> bool:
        """Whether the very day is known."""
        return self.died_on is not None and len(self.died_on) == len("2026-04-02")

    def apply(self, record: ClientRecord, version: int) -> None:
        """Note the death; it is part of who the client is, so identity moves on."""
        record.identity_version = version
        record.died, record.died_exactly = self.latest_day, self.exact


class ClientDeathEnteredInError(Event, frozen=True, kw_only=True, tag="client.death_entered_in_error"):
    """It turned out that the client had not died, or not on that day. Since 1."""

    free_text = ("reason",)
    lifecycle = "deprecate"

    reason: str

    def apply(self, record: ClientRecord, version: int) -> None:
        """Forget the death; it stays in the history."""
        record.identity_version = version
        record.died, record.died_exactly = None, True


EVENTS = (ClientRegistered, ClientIdentityChanged, ClientDeathRecorded, ClientDeathEnteredInError)

# --- decisions


@decision("client.register", creates_stream=True)
def register_client(record: ClientRecord, context: Context, *, identity: Identity) -> Sequence[Event]:
    """Register a client; nothing to do where the same registration stands already.

    A therapist who registers a client is the first member of the care team, in the same commit.

    Raises:
        RuleBroken: `client-already-registered` with another content.
        InvalidContent: no name at all, an impossible birth date, language tag or NHS number.
    """
    if record.exists:
        if record.registration_digest == _digest(identity):
            return []
        raise RuleBroken("client-already-registered", "This client is registered; change the identity instead.")
    if not identity.family.strip() and not identity.given.strip():
        raise InvalidContent("/family", "A client needs a family name or a given name.")
    _require_plausible(record, context, identity.birth_date, identity.language, identity.nhs_number)
    registered = ClientRegistered(identity=identity, **context.stamp())
    if context.actor.role is not Role.THERAPIST:
        return [registered]
    own = CareTeamMemberAdded(client_id=record.client_id, staff_id=context.actor.id, part="team", **context.stamp())
    return [registered, own]


@decision("client.identity")
def change_identity(record: ClientRecord, context: Context, *, changes: IdentityChanges) -> Sequence[Event]:
    """Change some fields of a client's identity; nothing to do where none is named.

    Raises:
        InvalidContent: no name would be left, an impossible birth date, language tag or NHS number, a birth after
            a session of this client.
        StaleRecord, VersionRequired: see `Context.require_version`; the version is `ClientRecord.identity_version`.
    """
    if changes == IdentityChanges():
        return []
    context.require_version(record.identity_version)
    names = [name for name in (changes.family, changes.given) if name is not UNSET]
    if names and not any(name.strip() for name in names):
        raise InvalidContent("/family", "A client needs a family name or a given name; name both to empty one.")
    fields = (changes.birth_date, changes.language, changes.nhs_number)
    _require_plausible(record, context, *(None if value is UNSET else value for value in fields))
    return [ClientIdentityChanged(changes=changes, **context.stamp())]


def _require_plausible(
    record: ClientRecord, context: Context, birth_date: str | None, language: str | None, nhs_number: str | None
) -> None:
    if birth_date is not None:
        born = earliest_birth_date(birth_date)
        if born > context.at.date() or born < EARLIEST_BIRTH:
            raise InvalidContent("/birth_date", f"Lies in the future or before {EARLIEST_BIRTH.year}.")
        if any(session.start.date() < born for session in record.sessions.values()):
            raise InvalidContent("/birth_date", "Lies after a session of this client.")
        if record.died is not None and born > record.died:
            raise InvalidContent("/birth_date", "Lies after the death of this client.")
    if language is not None and LANGUAGE.fullmatch(language) is None:
        raise InvalidContent("/language", "Is not a BCP 47 language tag.")
    if nhs_number is not None and not _has_right_check_digit(nhs_number):
        raise InvalidContent("/nhs_number", "Is not ten digits with a right check digit.")


def _has_right_check_digit(nhs_number: str) -> bool:
    if NHS_NUMBER.fullmatch(nhs_number) is None:
        return False
    weighted = sum(int(digit) * weight for digit, weight in zip(nhs_number, range(10, 1, -1), strict=False))
    # A remainder of 0 gives 11, which stands for 0; one of 1 gives 10, which no digit equals: no such number is issued.
    return (11 - weighted % 11) % 11 == int(nhs_number[9])


def _digest(identity: Identity) -> str:
    return hashlib.sha256(msgspec.json.encode(identity)).hexdigest()


@decision("client.death")
def record_death(
    record: ClientRecord, context: Context, *, died_on: str | None = None, reported_by: str
) -> Sequence[Event]:
    """Record that the client died; nothing to do where that stands and no other day is named.

    Args:
        record: the client's record.
        context: who decides.
        died_on: as far as it is known.
        reported_by: who said so: `relative`, `coroner`, `gp` or another source, in a word.

    Raises:
        RuleBroken: `death-recorded` where another day stands.
        InvalidContent: `/died_on` that is no date, lies in the future, before the birth or before a session that was
            held; `/reported_by` that names nobody.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    event = ClientDeathRecorded(died_on=died_on, **context.stamp(reported_by=reported_by))
    earliest = event.latest_day if died_on is None else days_of(died_on, "/died_on")[0]
    if record.died is not None:
        if died_on is None or (record.died, record.died_exactly) == (event.latest_day, event.exact):
            return []
        raise RuleBroken("death-recorded", "A death is recorded; mark it as entered in error first.")
    context.require_version(record.identity_version)
    if not reported_by.strip():
        raise InvalidContent("/reported_by", "Must say who reported it.")
    if earliest > context.at.date():
        raise InvalidContent("/died_on", "Lies in the future.")
    if event.latest_day < (record.birth_date or EARLIEST_BIRTH):
        raise InvalidContent("/died_on", "Lies before the client was born.")
    if any(each.status == "held" and each.start.date() > event.latest_day for each in record.sessions.values()):
        raise InvalidContent("/died_on", "Lies before a session that was held.")
    return [event]


@decision("client.death")
def mark_death_entered_in_error(record: ClientRecord, context: Context, *, reason: str) -> Sequence[Event]:
    """Mark the recorded death as entered in error; it stays in the history. Nothing to do where none stands.

    Raises:
        InvalidContent: no reason.
        StaleRecord, VersionRequired: see `Context.require_version`.
    """
    if record.died is None:
        return []
    context.require_version(record.identity_version)
    if not reason.strip():
        raise InvalidContent("/reason", "Needs a reason.")
    return [ClientDeathEnteredInError(reason=reason, **context.stamp())]
