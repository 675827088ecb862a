"""The clinic: its name, its jurisdiction and its own rules.

Source: DESIGN (streams and keys); DOMAIN (what a clinic may set for itself).

Rules:
- A clinic is founded once.
- Its policy is replaced as a whole; the old one stays in the history and judges what was decided under it.
- Its retention profile is one that is known, or one of its own that can be counted with.
- Where the jurisdiction names staff to clients only when that is essential, switching it on needs a reason.

It does not hold accounts (`records.staff`) or care teams (`records.care_team`).
"""

from __future__ import annotations

from collections.abc import Sequence

from records.clinic_policy import NAMES_ONLY_WHEN_ESSENTIAL, ClinicPolicy
from records.clinic_record import ClinicRecord
from records.decision import Context, decision
from records.errors import InvalidContent, RuleBroken
from records.event import Event, StreamKind
from records.retention_profiles import profile_of


class ClinicFounded(Event, frozen=True, kw_only=True, tag="clinic.founded"):
    """The clinic began to keep its records here. Since 1."""

    stream_kind = StreamKind.CLINIC

    name: str
    policy: ClinicPolicy

    def apply(self, record: ClinicRecord, version: int) -> None:
        """Set name and policy."""
        record.name, record.policy, record.version = self.name, self.policy, version


class ClinicPolicyChanged(Event, frozen=True, kw_only=True, tag="clinic.policy_changed"):
    """The clinic set its own rules anew. Since 1."""

    stream_kind = StreamKind.CLINIC
    lifecycle = "amend"

    policy: ClinicPolicy

    def apply(self, record: ClinicRecord, version: int) -> None:
        """Set the policy."""
        record.policy, record.version = self.policy, version


EVENTS = (ClinicFounded, ClinicPolicyChanged)


@decision("clinic.found", on=StreamKind.CLINIC, creates_stream=True)
def found_clinic(record: ClinicRecord, context: Context, *, name: str, policy: ClinicPolicy) -> Sequence[Event]:
    """Found the clinic.

    Raises:
        RuleBroken: `clinic-founded`.
        InvalidContent: as for `change_policy`.
    """
    if record.version:
        raise RuleBroken("clinic-founded", "The clinic was founded before.")
    _require_reason(policy)
    _require_profile(policy)
    return [ClinicFounded(name=name, policy=policy, **context.stamp())]


@decision("clinic.policy", on=StreamKind.CLINIC)
def change_policy(record: ClinicRecord, context: Context, *, policy: ClinicPolicy) -> Sequence[Event]:
    """Replace the clinic's policy; nothing to do where it is the same.

    Raises:
        InvalidContent: `/policy/retention` is no profile that can be counted with; names of staff would be given to
            clients without the reason that the jurisdiction asks for.
    """
    if record.policy == policy:
        return []
    _require_reason(policy)
    _require_profile(policy)
    return [ClinicPolicyChanged(policy=policy, **context.stamp())]


def _require_reason(policy: ClinicPolicy) -> None:
    essential = policy.staff_names_to_clients and policy.jurisdiction in NAMES_ONLY_WHEN_ESSENTIAL
    if essential and not policy.staff_names_reason.strip():
        raise InvalidContent("/policy/staff_names_reason", "Is empty: why are names of staff essential here?")


def _require_profile(policy: ClinicPolicy) -> None:
    if policy.retention is not None:
        profile_of(policy.jurisdiction, policy.retention)
