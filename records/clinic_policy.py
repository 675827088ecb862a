"""What a clinic may set for itself: required consents, time limits, methods, jurisdiction.

Source: DOMAIN 3 and 4 (defaults marked there as to be confirmed by the clinic), so these are data with defaults.

- `required_consents` maps an act to the consent kinds that must be live: `session.treatment`, `mode.<code>` for a
  session mode, `method.<name>` for a method.
- Hours and limits only make work-list items and marks; they never block what happened.

It does not decide: concept files read it through `Context.policy`.
"""

from __future__ import annotations

import msgspec

from records.retention_profiles import RetentionProfile, profile_of

REMOTE_MODES = ("02", "11")
"""NHS Talking Therapies consultation modes that are remote by default: telephone and video."""

NAMES_ONLY_WHEN_ESSENTIAL = frozenset({"eu"})
"""Jurisdictions where a client is told names of staff only when that is essential (CJEU C-579/21)."""


def _default_required_consents() -> dict[str, tuple[str, ...]]:
    return {
        "session.treatment": ("treatment",),
        **{f"mode.{mode}": ("telehealth",) for mode in REMOTE_MODES},
        "method.EMDR": ("emdr",),
        "method.touch": ("touch",),
        "method.recording": ("recording",),
        "method.case-study": ("case-study",),
    }


METHODS = (
    "supportive",
    "clarifying",
    "mentalising",
    "transference",
    "structured-dialogue",
    "group-work",
    "narrative",
    "EMDR",
    "touch",
    "writing",
    "artwork",
    "case-study",
    "thinking-aloud",
    "recording",
)
"""The seed of the clinic-owned list of methods (DOMAIN 1)."""


class ClinicPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A clinic's own rules, as data.

    Attributes:
        timezone: IANA name; dates without a zone are the clinic's.
        jurisdiction: `uk`, `us` or `eu`.
        required_consents: act → consent kinds that must be live.
        methods: names that may be recorded as used.
        disabled_methods: methods that are off in this clinic.
        late_entry_hours: a note signed later than this after the session is a late entry.
        sign_within_hours: age at which a session without a signed note is a work-list item.
        lock_after_days: age at which that item is late.
        booking_horizon_days: the furthest ahead that a session may be booked.
        open_from_hour, open_until_hour, open_weekdays: local hours and weekdays (0 is Monday) in which records are
            opened for work; a reading outside them is one to look at.
        bulk_clients_an_hour: so many records opened within an hour are no reason to look.
        closed_reading_days: so long after the end of treatment its care team still opens the record.
        spot_check_days: how often readings are drawn to be looked at.
        spot_check_size: how many are drawn each time.
        accounting_years: how far back an accounting of disclosures goes.
        staff_names_to_clients: whether a client who asks who looked is told names; None is the jurisdiction's default.
        staff_names_reason: why names are essential here, where the jurisdiction gives them only then.
        emergency_hours: how long an emergency access stays open.
        review_days: a review that is still open after so many days is overdue.
        second_reviewer: id of the person who reviews what the privacy officer did or confirmed.
        reviewer_sees_reason: whether the reviewer of an access may read the reason that was given in words.
        retention: name of the profile by which records are kept, or a profile of the clinic's own; None is the
            jurisdiction's default.
    """

    timezone: str = "Europe/London"
    jurisdiction: str = "uk"
    required_consents: dict[str, tuple[str, ...]] = msgspec.field(default_factory=_default_required_consents)
    methods: tuple[str, ...] = METHODS
    disabled_methods: tuple[str, ...] = ("touch",)
    late_entry_hours: int = 24
    sign_within_hours: int = 72
    lock_after_days: int = 7
    booking_horizon_days: int = 366
    open_from_hour: int = 7
    open_until_hour: int = 21
    open_weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    bulk_clients_an_hour: int = 20
    closed_reading_days: int = 30
    spot_check_days: int = 7
    spot_check_size: int = 10
    accounting_years: int = 6
    staff_names_to_clients: bool | None = None
    staff_names_reason: str = ""
    emergency_hours: int = 3
    review_days: int = 7
    second_reviewer: str | None = None
    reviewer_sees_reason: bool = True
    retention: str | RetentionProfile | None = None

    @property
    def names_staff_to_clients(self) -> bool:
        """Whether a client who asks who looked is told names of staff.

        Under EU law (C-579/21) names are given only when they are essential, so there it takes the clinic's own
        decision with its reason; role and relation are told in any case.
        """
        if self.staff_names_to_clients is None:
            return self.jurisdiction not in NAMES_ONLY_WHEN_ESSENTIAL
        return self.staff_names_to_clients

    @property
    def retention_profile(self) -> RetentionProfile:
        """The profile by which records are kept here.

        Raises:
            InvalidContent: the policy names none, or one that cannot be counted with (`change_policy` lets none pass).
        """
        return profile_of(self.jurisdiction, self.retention)

    def consents_for(self, *acts: str) -> tuple[str, ...]:
        """Return the consent kinds that the acts need, each once, in the order of the acts."""
        kinds = (kind for act in acts for kind in self.required_consents.get(act, ()))
        return tuple(dict.fromkeys(kinds))
