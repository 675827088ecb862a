"""What a clinic may set for itself: required consents, time limits, methods, jurisdiction.

Source: DOMAIN 3 and 4 (defaults marked there as to be confirmed by the clinic), so these are data with defaults.

- `required_consents` maps an act to the consent kinds that must be live: `session.treatment`, `mode.<code>` for a
  session mode, `method.<name>` for a method.
- Hours and limits only make work-list items and marks; they never block what happened.

It does not decide: concept files read it through `Context.policy`.
"""

from __future__ import annotations

import msgspec

REMOTE_MODES = ("02", "11")
"""NHS Talking Therapies consultation modes that are remote by default: telephone and video."""


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
        sign_within_hours: age at which an unsigned note is a work-list item.
        booking_horizon_days: the furthest ahead that a session may be booked.
        emergency_hours: how long an emergency access stays open.
        review_days: a review that is still open after so many days is overdue.
        second_reviewer: id of the person who reviews what the privacy officer did or confirmed.
        reviewer_sees_reason: whether the reviewer of an access may read the reason that was given in words.
    """

    timezone: str = "Europe/London"
    jurisdiction: str = "uk"
    required_consents: dict[str, tuple[str, ...]] = msgspec.field(default_factory=_default_required_consents)
    methods: tuple[str, ...] = METHODS
    disabled_methods: tuple[str, ...] = ("touch",)
    late_entry_hours: int = 24
    sign_within_hours: int = 72
    booking_horizon_days: int = 366
    emergency_hours: int = 3
    review_days: int = 7
    second_reviewer: str | None = None
    reviewer_sees_reason: bool = True

    def consents_for(self, *acts: str) -> tuple[str, ...]:
        """Return the consent kinds that the acts need, each once, in the order of the acts."""
        kinds = (kind for act in acts for kind in self.required_consents.get(act, ()))
        return tuple(dict.fromkeys(kinds))
