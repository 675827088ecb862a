"""The clinic is founded once, and its policy is replaced as a whole."""

from __future__ import annotations

import pytest

from records.actors import Actor, Role
from records.clinic import ClinicFounded, ClinicPolicyChanged, change_policy, found_clinic
from records.clinic_policy import ClinicPolicy
from records.clinic_record import ClinicRecord
from records.decision import Context
from records.errors import InvalidContent, NotPermitted, RuleBroken
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


def test_names_of_staff_are_given_by_the_jurisdictions_default_unless_the_clinic_says_so() -> None:
    given = {
        jurisdiction: ClinicPolicy(jurisdiction=jurisdiction).names_staff_to_clients
        for jurisdiction in ("uk", "us", "eu")
    }
    assert given == {"uk": True, "us": True, "eu": False}
    assert ClinicPolicy(jurisdiction="uk", staff_names_to_clients=False).names_staff_to_clients is False


def test_names_that_must_be_essential_need_their_reason() -> None:
    record = ClinicRecord(1, "Hill Clinic", ClinicPolicy(jurisdiction="eu"))
    wanted = ClinicPolicy(jurisdiction="eu", staff_names_to_clients=True, staff_names_reason=" ")
    for decide in (
        lambda: change_policy(record, OPERATOR, policy=wanted),
        lambda: found_clinic(ClinicRecord(), OPERATOR, name="Hill Clinic", policy=wanted),
    ):
        with pytest.raises(InvalidContent) as caught:
            decide()
        assert caught.value.pointer == "/policy/staff_names_reason"
    reasoned = ClinicPolicy(jurisdiction="eu", staff_names_to_clients=True, staff_names_reason="Board, 12 March")
    [changed] = change_policy(record, OPERATOR, policy=reasoned)
    changed.apply(record, 2)
    assert record.policy.names_staff_to_clients
    assert change_policy(ClinicRecord(1), OPERATOR, policy=ClinicPolicy(staff_names_to_clients=True)) != []


def test_only_the_office_changes_the_policy(checked: Doors) -> None:
    for actor in (checked.therapist, checked.supervisor):
        with pytest.raises(NotPermitted):
            checked.service.transact(
                checked.clinic_stream(), change_policy, checked.ask(actor), policy=ClinicPolicy(late_entry_hours=1)
            )

    assert checked.second().directory.clinic.policy == ClinicPolicy()
