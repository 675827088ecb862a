"""The clinic is founded once, and its policy is replaced as a whole."""

from __future__ import annotations

import pytest

from records.actors import Actor, Role
from records.clinic import ClinicFounded, ClinicPolicyChanged, change_policy, found_clinic
from records.clinic_policy import ClinicPolicy
from records.clinic_record import ClinicRecord
from records.decision import Context
from records.errors import NotPermitted, RuleBroken
from tests.doors import Doors
from tests.given import NOW

OPERATOR = Context(actor=Actor("operator:root", Role.OPERATOR), at=NOW, request_id="when", policy=ClinicPolicy())


def test_a_clinic_is_founded_once() -> None:
    record = ClinicRecord()
    [founded] = found_clinic(record, OPERATOR, name="Hill Clinic", policy=ClinicPolicy(jurisdiction="eu"))
    assert isinstance(founded, ClinicFounded)
    founded.apply(record, 1)

    assert (record.name, record.policy.jurisdiction, record.version) == ("Hill Clinic", "eu", 1)
    with pytest.raises(RuleBroken) as caught:
        found_clinic(record, OPERATOR, name="Hill Clinic", policy=ClinicPolicy())
    assert caught.value.rule == "clinic-founded"


def test_a_policy_is_replaced_as_a_whole_and_only_by_another() -> None:
    record = ClinicRecord(1, "Hill Clinic", ClinicPolicy(late_entry_hours=1))
    assert change_policy(record, OPERATOR, policy=ClinicPolicy(late_entry_hours=1)) == []
    [changed] = change_policy(record, OPERATOR, policy=ClinicPolicy(methods=("writing",)))
    assert isinstance(changed, ClinicPolicyChanged)
    changed.apply(record, 2)

    assert record.policy == ClinicPolicy(methods=("writing",))
    assert (record.version, record.name) == (2, "Hill Clinic")


def test_acts_name_the_consents_they_need_once_each() -> None:
    policy = ClinicPolicy(required_consents={"a": ("x", "y"), "b": ("y", "z")})

    assert policy.consents_for("a", "b", "unknown") == ("x", "y", "z")
    assert ClinicPolicy().consents_for("session.treatment", "mode.11") == ("treatment", "telehealth")
    assert ClinicPolicy().consents_for("mode.01") == ()


def test_only_the_office_changes_the_policy(checked: Doors) -> None:
    for actor in (checked.therapist, checked.supervisor):
        with pytest.raises(NotPermitted):
            checked.service.transact(
                checked.clinic_stream(), change_policy, checked.ask(actor), policy=ClinicPolicy(late_entry_hours=1)
            )

    assert checked.second().directory.clinic.policy == ClinicPolicy()
