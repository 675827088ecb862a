"""Retention profiles: how long a clinic keeps a record, as data (`retention.json`), each rule with its source in words.

Source: AUDIT (retention defaults). What the law of a place asks is for the clinic to confirm.

Rules:
- A profile has a rule for the end of treatment, and may have rules for a death and for who was a minor at the end.
- A clinic has the default profile of its jurisdiction until its policy names another one, or holds one of its own.
- Nothing here gives legal advice; no number of a rule stands in code.

It does not count (`records.retention`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from records.errors import InvalidContent

Ground = Literal["end-of-treatment", "death", "minor"]

MOST_YEARS = 150
"""Longer than anybody lives: what lies beyond is a slip of the hand."""


class RetentionRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule: what a record is kept for, how long, and who says so.

    Attributes:
        ground: `end-of-treatment` and `death` count years from that day; `minor` keeps until a birthday.
        years: how many, for the first two.
        from_age, to_age: the ages at the end of treatment, both included, in which a rule for minors holds.
        until_age: the birthday until which the record is kept, for minors.
        replaces: grounds that no longer count once this one does.
        source: the law or guidance, in words.
    """

    ground: Ground
    years: int | None = None
    from_age: int = 0
    to_age: int = 17
    until_age: int | None = None
    replaces: tuple[Ground, ...] = ()
    source: str


class RetentionProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of one place or kind of practice.

    Attributes:
        name: its code.
        label: for people.
        jurisdiction: `uk`, `us` or `eu`.
    """

    name: str
    label: str
    jurisdiction: str
    rules: tuple[RetentionRule, ...]


class _Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    defaults: dict[str, str]
    profiles: tuple[RetentionProfile, ...]


_DATA = msgspec.json.decode(Path(__file__).with_name("retention.json").read_bytes(), type=_Data)

PROFILES: dict[str, RetentionProfile] = {profile.name: profile for profile in _DATA.profiles}
"""Name → profile."""

DEFAULTS: dict[str, str] = _DATA.defaults
"""Jurisdiction → name of its default profile."""


def profile_of(jurisdiction: str, chosen: str | RetentionProfile | None) -> RetentionProfile:
    """Return the profile that a clinic chose, else the default of its jurisdiction.

    Raises:
        InvalidContent: `/policy/retention` names none, or a profile that cannot be counted with.
    """
    if isinstance(chosen, RetentionProfile):
        return require_countable(chosen)
    found = PROFILES.get(chosen or DEFAULTS.get(jurisdiction, ""))
    if found is None:
        raise InvalidContent("/policy/retention", "Is no known retention profile.")
    return found


def require_countable(profile: RetentionProfile) -> RetentionProfile:
    """Return a profile whose every rule can be counted.

    Raises:
        InvalidContent: no rule for the end of treatment, a rule without its number or its source, ages the wrong way.
    """
    grounds = [rule.ground for rule in profile.rules]
    if grounds.count("end-of-treatment") != 1 or grounds.count("death") > 1:
        raise InvalidContent(
            "/policy/retention/rules", "Needs one rule for the end of treatment, at most one for death."
        )
    for place, rule in enumerate(profile.rules):
        pointer = f"/policy/retention/rules/{place}"
        number = rule.until_age if rule.ground == "minor" else rule.years
        if number is None or not 0 < number <= MOST_YEARS:
            raise InvalidContent(pointer, f"Needs its years or its birthday, 1 to {MOST_YEARS}.")
        if not 0 <= rule.from_age <= rule.to_age:
            raise InvalidContent(pointer, "Has its ages the wrong way round.")
        if rule.ground == "minor" and number <= rule.to_age:
            raise InvalidContent(pointer, "Ends before the age that it is for.")
        if not rule.source.strip():
            raise InvalidContent(pointer, "Needs its source.")
        if rule.ground in rule.replaces:
            raise InvalidContent(pointer, "Replaces itself.")
    return profile
