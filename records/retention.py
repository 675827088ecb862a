"""Retention: until when a record must be kept, on which ground each, and whether it may be erased on a day.

Source: AUDIT (retention defaults, a legal hold stops every clock); GDPR articles 5(1)(e), 17, 58(2)(g). The numbers are
those of a profile (`records.retention_profiles`), each with its own source.

Rules:
- A deadline is counted anew from the record each time it is asked for, and stored nowhere.
- The last day that a deadline names still counts: a record may go on the day after the last of all its deadlines.
- While an episode is open there is no deadline. Treatment ended with the last episode that was closed, or with a
  session that was held after that; for whoever died meanwhile, with the death at the latest.
- Years end on the same day of the year; those that began on 29 February end on 28 February in a year without one
  (corresponding date rule, Dodds v Walker [1981] 1 WLR 1027; Regulation 1182/71, article 3). Who was born on
  29 February has the birthday on 1 March in such a year.
- A date that is not known, or only to the month or year, counts as the day that keeps the record longest, and what is
  missing is named.
- A legal hold refuses every basis, whatever has passed.

It erases nothing and calls nothing that does: nothing happens by itself when a deadline passes.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

import msgspec

from records.client_record import EARLIEST_BIRTH, ClientRecord, HoldState
from records.errors import InvalidContent, UnknownClient
from records.retention_profiles import RetentionProfile, RetentionRule

# --- value types

Missing = Literal["end-of-treatment", "death", "date-of-death", "birth-date"]

MISSING: dict[Missing, str] = {
    "end-of-treatment": "No course of treatment is recorded, so the period is counted from the last contact.",
    "death": "An episode was closed because the client died, but no death is recorded, so none is counted from.",
    "date-of-death": "The day of the death is not known, so the latest that it can be is taken.",
    "birth-date": "The day of birth is not known, so the latest that it can be is taken.",
}
"""Fact that is missing → what is done without it."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What retention needs to know of a record; days are the clinic's.

    Attributes:
        first_contact: the day of the registration, or of an opening that lies before it: nobody is born later.
        last_contact: the day of the last closing, held session, or, without any, of what was recorded last.
        treatment_open: an episode is open.
        treated: there was an episode.
        born_earliest, born_latest: the earliest and the latest day that the birth can be; None where it is not known.
        died: the latest day that the death can be; None for who is not known to have died.
        died_exactly: `died` is the very day.
        closed_by_death: an episode was closed because the client died.
    """

    first_contact: date
    last_contact: date
    treatment_open: bool = False
    treated: bool = False
    born_earliest: date | None = None
    born_latest: date | None = None
    died: date | None = None
    died_exactly: bool = True
    closed_by_death: bool = False


class Deadline(msgspec.Struct, frozen=True, kw_only=True):
    """How long one ground keeps a record.

    Attributes:
        ground: `end-of-treatment`, `death` or `minor`.
        counted_from: the day from which years count, or the birth; None where it has not come.
        until: the last day on which this ground keeps the record; None where the clock does not run yet.
        text: one sentence for people.
        source: the law or guidance, in words.
    """

    ground: str
    counted_from: date | None = None
    until: date | None = None
    text: str
    source: str


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """Until when a record is kept.

    Attributes:
        profile: name of the profile that was counted by.
        deadlines: one for each ground that counts.
        until: the last day on which any of them keeps the record; None where one has no end yet.
        elapsed: that day has passed.
        missing: facts that are not known; the careful day was taken for each.
    """

    profile: str
    deadlines: tuple[Deadline, ...]
    until: date | None
    elapsed: bool
    missing: tuple[Missing, ...] = ()


class Basis(NamedTuple):
    """Why somebody wants a record erased: in words, and who says that it may be."""

    label: str
    source: str


BASES: dict[str, Basis] = {
    "retention-elapsed": Basis(
        "the period for which it must be kept has passed",
        "GDPR article 5(1)(e): kept no longer than is necessary; NHS Records Management Code of Practice, section 5.",
    ),
    "client-request": Basis(
        "the client asks for it",
        "GDPR article 17(1); article 17(3)(b), (c) and (e): not while a law, public health or legal claims need it.",
    ),
    "entered-in-error": Basis(
        "it was opened for the wrong person by mistake, and nothing is in it but who that was",
        "GDPR article 5(1)(d): what is inaccurate is erased without delay.",
    ),
    "court-order": Basis(
        "a court or a supervisory authority ordered it",
        "GDPR articles 17(1)(e) and 58(2)(g).",
    ),
}
"""Basis of an erasure → its label and source."""

CONTENT = {
    "consents": "a consent",
    "episodes": "a course of treatment",
    "sessions": "a session",
    "assessments": "a questionnaire",
    "goals": "a goal",
    "risk_assessments": "a risk assessment",
    "notes": "a note",
    "attachments": "a file",
    "breaches": "a breach",
    "disclosures": "a disclosure",
}
"""Field of a record → what is in the record where the field is not empty."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One ground on which a record may not be erased.

    Attributes:
        ground: that of a deadline, or `legal-hold`, `clinical-content`.
        text: one sentence for people.
        until: the last day on which it holds; None where no day can be named.
        source: who says so.
    """

    ground: str
    text: str
    until: date | None = None
    source: str


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a record may be erased on a basis.

    Attributes:
        basis: one of `BASES`.
        allowed: nothing stands against it.
        grounds: what does, each with the day on which it ends.
        missing: facts that are not known and might bring a day forward.
    """

    basis: str
    allowed: bool
    grounds: tuple[Refusal, ...] = ()
    missing: tuple[Missing, ...] = ()


# --- calendar


def years_after(day: date, years: int) -> date:
    """Return the last day of a period of years that a day began: the same day of the year, else the end of February."""
    return _same_day(day, day.year + years)


def birthday(born: date, age: int) -> date:
    """Return the day on which somebody reaches an age; 1 March where 29 February is missing."""
    year = born.year + age
    if (born.month, born.day) == (2, 29) and not calendar.isleap(year):
        return date(year, 3, 1)
    return born.replace(year=year)


def age_on(born: date, day: date) -> int:
    """Return how old somebody is on a day; negative before the birth."""
    return day.year - born.year - (day < birthday(born, day.year - born.year))


def _same_day(day: date, year: int) -> date:
    if (day.month, day.day) == (2, 29) and not calendar.isleap(year):
        return date(year, 2, 28)
    return day.replace(year=year)


# --- retention


def facts_of(record: ClientRecord, zone: tzinfo = UTC) -> Facts:
    """Return what retention needs to know of a record. O(items).

    Args:
        record: the client's record.
        zone: the clinic's time zone, which says on which day something was.

    Raises:
        UnknownClient: nobody was registered.
    """
    registered = record.registered_at
    if registered is None:
        raise UnknownClient("no such client")
    episodes = record.episodes.values()
    ended = [each.closed_at for each in episodes if each.closed_at is not None]
    ended += [each.start for each in record.sessions.values() if each.status == "held"]
    if not record.episodes or not ended:
        ended += [registered, *(note.signed_at for note in record.notes.values())]
        ended += [each.taken_at for each in record.assessments.values()]
    return Facts(
        first_contact=_day(min([registered, *(each.opened_at for each in episodes)]), zone),
        last_contact=_day(max(ended), zone),
        treatment_open=any(each.closed_at is None for each in episodes),
        treated=bool(record.episodes),
        born_earliest=record.birth_date,
        born_latest=record.birth_date_latest,
        died=record.died,
        died_exactly=record.died_exactly,
        closed_by_death=any(each.deceased for each in episodes),
    )


def _day(moment: datetime, zone: tzinfo) -> date:
    return moment.astimezone(zone).date()


def retention_of(record: ClientRecord, profile: RetentionProfile, today: date, zone: tzinfo = UTC) -> Retention:
    """Count until when a record is kept; arguments as for `facts_of` and `retention_by`.

    Raises:
        UnknownClient: nobody was registered.
    """
    return retention_by(facts_of(record, zone), profile, today)


def retention_by(facts: Facts, profile: RetentionProfile, today: date) -> Retention:
    """Count until when a record of which these facts are known is kept."""
    missing: list[Missing] = [] if facts.treated else ["end-of-treatment"]
    ended = _end_of_treatment(facts)
    replaced = {
        ground
        for rule in profile.rules
        if rule.ground == "death" and facts.died is not None
        for ground in rule.replaces
    }
    deadlines: list[Deadline] = []
    for rule in profile.rules:
        if rule.ground in replaced:
            continue
        if rule.ground == "end-of-treatment":
            deadlines.append(_after_treatment(rule, ended))
        elif rule.ground == "death" and facts.died is not None:
            deadlines.append(_after(rule, facts.died, "The client died on"))
        elif rule.ground == "minor" and ended is not None:
            deadlines += _of_minor(rule, facts, ended, missing)
    if facts.died is None and facts.closed_by_death:
        missing.append("death")
    if facts.died is not None and not facts.died_exactly:
        missing.append("date-of-death")
    ends = [deadline.until for deadline in deadlines]
    until = None if None in ends or not ends else max(end for end in ends if end is not None)
    return Retention(
        profile=profile.name,
        deadlines=tuple(deadlines),
        until=until,
        elapsed=until is not None and today > until,
        missing=tuple(dict.fromkeys(missing)),
    )


def _end_of_treatment(facts: Facts) -> date | None:
    if facts.died is None:
        return None if facts.treatment_open else facts.last_contact
    # Nobody is treated after their death, so it ends what nobody closed; a closing that came later is the later day.
    return max(facts.last_contact, facts.died) if facts.treatment_open else facts.last_contact


def _after_treatment(rule: RetentionRule, ended: date | None) -> Deadline:
    if ended is None:
        text = "Treatment is under way; the period begins when it ends."
        return Deadline(ground=rule.ground, text=text, source=rule.source)
    return _after(rule, ended, "Treatment ended on")


def _after(rule: RetentionRule, day: date, what: str) -> Deadline:
    years = rule.years or 0
    until = years_after(day, years)
    text = f"{what} {_words(day)}; the record is kept for {years} years, until {_words(until)}."
    return Deadline(ground=rule.ground, counted_from=day, until=until, text=text, source=rule.source)


def _of_minor(rule: RetentionRule, facts: Facts, ended: date, missing: list[Missing]) -> Sequence[Deadline]:
    """Return the deadline where the client may have been of such an age when treatment ended, by the latest birth."""
    earliest = facts.born_earliest or EARLIEST_BIRTH
    latest = min(facts.born_latest or facts.first_contact, _same_day(ended, ended.year - rule.from_age))
    if age_on(earliest, ended) < rule.from_age or age_on(latest, ended) > rule.to_age:
        return ()
    age = rule.until_age or 0
    until = birthday(latest, age)
    if earliest != latest:
        missing.append("birth-date")
    known = "was" if facts.born_latest is not None else "may have been"
    text = f"The client {known} a minor when treatment ended; the record is kept until the {age}th birthday"
    return (
        Deadline(
            ground=rule.ground,
            counted_from=latest,
            until=until,
            text=f"{text}, {_words(until)}.",
            source=rule.source,
        ),
    )


def _words(day: date) -> str:
    return f"{day.day} {day:%B} {day.year}"


# --- erasure


def may_be_erased(
    record: ClientRecord,
    profile: RetentionProfile,
    holds: Iterable[HoldState],
    today: date,
    basis: str,
    zone: tzinfo = UTC,
) -> Permission:
    """Tell whether a record may be erased today on a basis, and if not, on which grounds and until when.

    A record that was opened in error may go while its period runs, since there was no treatment that a law keeps it
    for: so nothing at all may be in it but identity. Whatever else was put into it, also what was itself marked as
    entered in error, is evidence of what was done to somebody, and a program cannot tell to whom. Drafts are not part
    of a record; whoever erases looks for them.

    Args:
        record: the client's record.
        profile: the clinic's retention profile.
        holds: the legal holds on this record; those that were lifted do not count.
        today: the clinic's day.
        basis: one of `BASES`.
        zone: the clinic's time zone.

    Raises:
        UnknownClient: nobody was registered.
        InvalidContent: `/basis` is none.
    """
    if basis not in BASES:
        raise InvalidContent("/basis", "Is not a known basis.")
    if not record.exists:
        raise UnknownClient("no such client")
    grounds = [_of_hold(hold, zone) for hold in holds if not hold.lifted]
    missing: tuple[Missing, ...] = ()
    if basis in ("retention-elapsed", "client-request"):
        retention = retention_of(record, profile, today, zone)
        grounds += [
            Refusal(ground=each.ground, text=each.text, until=each.until, source=each.source)
            for each in retention.deadlines
            if each.until is None or today <= each.until
        ]
        missing = retention.missing
    elif basis == "entered-in-error":
        found = [words for field, words in CONTENT.items() if getattr(record, field)]
        if found:
            text = f"More is in the record than who the client is: {', '.join(found)}."
            grounds.append(Refusal(ground="clinical-content", text=text, source=BASES["retention-elapsed"].source))
    return Permission(basis=basis, allowed=not grounds, grounds=tuple(grounds), missing=missing)


def _of_hold(hold: HoldState, zone: tzinfo) -> Refusal:
    text = f"A legal hold stands since {_words(_day(hold.placed_at, zone))}; nothing is erased until it is lifted."
    return Refusal(
        ground="legal-hold", text=text, source="GDPR articles 17(3)(e) and 18(1)(c): needed for legal claims."
    )


def first_free_day(retention: Retention) -> date | None:
    """Return the first day on which no deadline keeps the record, or None where that cannot be told yet."""
    return None if retention.until is None else retention.until + timedelta(days=1)
