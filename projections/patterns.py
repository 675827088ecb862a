"""Patterns in who looked that a privacy officer should see: fixed rules that count, and learn nothing.

Source: AUDIT (snooping rules); Sweden HSLF-FS 2016:40 (logs are followed up systematically).

- Each rule is one pure function of the readings of a period and of what it needs to know about people and clients. The
  same readings give the same findings, in the order of the ledger.
- A finding is a reading to look at, not a breach: a person decides. So a rule says what was, never how bad it is.
- What opens one record is a reading here; lists and searches show many at once and stand for themselves.
- A refusal counts where somebody asked for what is not theirs: the attempt is what an audit is for.
- Hours and limits are the clinic's own (`records.clinic_policy`).

It reads nothing (`projections.patterns_report` does), and it does not decide (`records.spot_checks`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from projections.roster import OWN_BY
from projections.roster_state import search_words
from records.access import AccessRecorded
from records.actors import Relation
from records.clinic_policy import ClinicPolicy
from records.event import Recorded
from records.policy import TOLD_WHEN_DONE

# --- what rules look at


class Reading(NamedTuple):
    """One access entry that opened a record, or asked to.

    Attributes:
        position: its place in the ledger.
        at: when it was recorded.
        staff: id of the actor.
        relation: `team`, `supervises` or `none`, at that moment.
        refused: why it was denied, as a code; None where it was permitted.
    """

    position: int
    at: datetime
    staff: str
    role: str
    relation: str
    client: UUID
    action: str
    refused: str | None = None


class Person(NamedTuple):
    """What rules know of an account.

    Attributes:
        name: as reports show it; its last words are the surname.
        client: the record of this person, where one is known to be theirs.
        address: keyed digest of where they live, where that is known.
    """

    name: str
    client: UUID | None = None
    address: bytes | None = None


class Treated(NamedTuple):
    """What rules know of a client.

    Attributes:
        address: keyed digest of the address, made as that of a `Person`.
        episodes: when each began and ended; None while it is open.
    """

    family: str
    given: str
    address: bytes | None = None
    episodes: tuple[tuple[datetime, datetime | None], ...] = ()


People = Mapping[str, Person]
Clients = Mapping[UUID, Treated]

SHOWS_MANY = frozenset({"client.list", "caseload.view", "audit.view", "review.list", "review.view", "retention.due"})
"""Readings that show many clients at once; each client has an entry all the same."""
WINDOW = timedelta(hours=1)
_ATTEMPTS = ("relation", "role")


def reading_of(recorded: Recorded) -> Reading | None:
    """Return what an entry says about opening one record.

    None for lists, for changes that were done, and for refusals that tell no attempt.
    """
    event = recorded.event
    if not isinstance(event, AccessRecorded) or event.client_id is None or event.action in SHOWS_MANY:
        return None
    if event.action in TOLD_WHEN_DONE and event.outcome != "deny":
        return None
    refused = event.reason if event.outcome == "deny" else None
    if event.outcome == "deny" and refused not in _ATTEMPTS:
        return None
    return Reading(
        recorded.index,
        recorded.recorded_at,
        event.entered_by,
        event.role,
        event.relation,
        event.client_id,
        event.action,
        refused,
    )


# --- the rules


def outside_care_team(readings: Sequence[Reading]) -> list[Reading]:
    """Return readings, and attempts, by people whose role sees its own clients only and whose client it was not."""
    return [
        each
        for each in readings
        if each.refused is not None or (each.relation == Relation.NONE and each.role in OWN_BY)
    ]


def same_surname_or_address(readings: Sequence[Reading], people: People, clients: Clients) -> list[Reading]:
    """Return readings of somebody else's record under one's own surname or at one's own address."""
    families = {key: search_words(client.family) for key, client in clients.items()}
    names = _names(people)
    own = set(own_record(readings, people, clients))

    def related(each: Reading) -> bool:
        person, client = people.get(each.staff), clients.get(each.client)
        if person is None or client is None or each in own:
            return False
        family = families[each.client]
        same_name = bool(family) and names[each.staff][-len(family) :] == family
        return same_name or (client.address is not None and client.address == person.address)

    return [each for each in readings if related(each)]


def colleague_as_client(readings: Sequence[Reading], people: People, clients: Clients) -> list[Reading]:
    """Return readings of the record of a colleague."""
    by_name = {name: staff for staff, name in _names(people).items()}
    by_record = {person.client: staff for staff, person in people.items() if person.client is not None}
    whose = {key: by_record.get(key, by_name.get(name)) for key, name in _full_names(clients).items()}
    return [each for each in readings if whose.get(each.client, by_record.get(each.client)) not in (None, each.staff)]


def after_episode_closed(readings: Sequence[Reading], clients: Clients, days: int) -> list[Reading]:
    """Return readings by the care team and supervisors more than `days` after the last episode was closed."""
    grace = timedelta(days=days)

    def ended(each: Reading) -> bool:
        client = clients.get(each.client)
        begun = [end for begin, end in client.episodes if begin <= each.at] if client is not None else []
        return bool(begun) and all(end is not None and end + grace < each.at for end in begun)

    return [each for each in readings if each.relation != Relation.NONE and ended(each)]


def out_of_hours(
    readings: Sequence[Reading], zone: ZoneInfo, from_hour: int, until_hour: int, days: Iterable[int]
) -> list[Reading]:
    """Return readings before `from_hour`, from `until_hour` on, or on other weekdays (0 is Monday), in local time."""
    open_days = frozenset(days)

    def late(each: Reading) -> bool:
        local = each.at.astimezone(zone)
        return local.weekday() not in open_days or not from_hour <= local.hour < until_hour

    return [each for each in readings if late(each)]


def bulk(readings: Sequence[Reading], clients_an_hour: int) -> list[Reading]:
    """Return the readings of each hour in which one person opened more than so many records."""
    found: dict[int, Reading] = {}
    for window in _hours(readings):
        if len({each.client for each in window}) > clients_an_hour:
            found.update((each.position, each) for each in window)
    return sorted(found.values())


def own_record(readings: Sequence[Reading], people: People, clients: Clients) -> list[Reading]:
    """Return readings of one's own record, known by its link to the account, or else by the same full name."""
    names, full_names = _names(people), _full_names(clients)

    def own(each: Reading) -> bool:
        person = people.get(each.staff)
        if person is None or person.client is not None:
            return person is not None and person.client == each.client
        return each.client in full_names and full_names[each.client] == names[each.staff]

    return [each for each in readings if own(each)]


def find_all(
    readings: Sequence[Reading], people: People, clients: Clients, policy: ClinicPolicy
) -> dict[str, list[Reading]]:
    """Return what each rule finds, by the code of the rule, in a fixed order."""
    zone = ZoneInfo(policy.timezone)
    hours = (policy.open_from_hour, policy.open_until_hour, policy.open_weekdays)
    return {
        "outside-care-team": outside_care_team(readings),
        "same-surname-or-address": same_surname_or_address(readings, people, clients),
        "colleague-as-client": colleague_as_client(readings, people, clients),
        "after-episode-closed": after_episode_closed(readings, clients, policy.closed_reading_days),
        "out-of-hours": out_of_hours(readings, zone, *hours),
        "bulk": bulk(readings, policy.bulk_clients_an_hour),
        "own-record": own_record(readings, people, clients),
    }


RULES: dict[str, str] = {
    "outside-care-team": "opened, or asked for, the record of a client who was not theirs",
    "same-surname-or-address": "opened the record of somebody of their own surname or address",
    "colleague-as-client": "opened the record of a colleague",
    "after-episode-closed": "opened a record long after the treatment had ended",
    "out-of-hours": "opened a record outside the clinic's hours",
    "bulk": "opened many records within an hour",
    "own-record": "opened their own record",
}
"""Code of each rule → what a person did, for a sentence."""


def _names(people: People) -> dict[str, tuple[str, ...]]:
    return {staff: search_words(person.name) for staff, person in people.items()}


def _full_names(clients: Clients) -> dict[UUID, tuple[str, ...]]:
    return {key: search_words(f"{client.given} {client.family}") for key, client in clients.items()}


def _hours(readings: Sequence[Reading]) -> Iterator[deque[Reading]]:
    """Give, for each reading, what the same person opened in the hour that ends with it."""
    windows: dict[str, deque[Reading]] = {}
    for each in sorted(readings, key=lambda reading: (reading.at, reading.position)):
        window = windows.setdefault(each.staff, deque())
        window.append(each)
        while window[0].at <= each.at - WINDOW:
            window.popleft()
        yield window
