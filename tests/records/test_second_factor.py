"""The second factor: a code is good once, and after too many wrong ones none is looked at for a while."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.errors import RuleBroken, TooManyAttempts, UnknownItem
from records.one_time_code import STEP_SECONDS, code_at, secret_of, step_of
from records.second_factor import MAX_REFUSED, WINDOW, enrol_second_factor, refuse_code, use_code
from records.staff import disable_account
from records.staff_record import StaffRecord
from tests.given import NOW
from tests.person import KIM, OPERATOR, Person


def test_a_code_and_those_before_it_are_used_up() -> None:
    person = Person()
    person.when(use_code, step=100)

    assert [person.refused(use_code, RuleBroken, step=step).rule for step in (100, 99, 0)] == ["code-used"] * 3
    person.when(use_code, step=101)


@given(st.lists(st.integers(0, 20), max_size=30))
def test_no_code_is_ever_taken_twice(steps: list[int]) -> None:
    person, taken = Person(), []
    for step in steps:
        try:
            person.when(use_code, step=step)
            taken.append(step)
        except RuleBroken:
            continue
    assert taken == sorted(set(taken))


def test_without_a_second_factor_no_code_is_good() -> None:
    assert Person(enrolled=False).refused(use_code, RuleBroken, step=100).rule == "second-factor-missing"


def test_after_five_wrong_codes_none_is_looked_at_until_the_window_has_passed() -> None:
    person = Person()
    for _ in range(MAX_REFUSED):
        person.wait(seconds=1).when(refuse_code)

    assert person.refused(use_code, TooManyAttempts, step=100).retry_after_seconds == WINDOW.seconds - 4
    person.refused(refuse_code, TooManyAttempts)
    person.wait(seconds=WINDOW.seconds - 4)
    person.when(use_code, step=100)


def test_a_right_code_lets_the_tries_begin_anew() -> None:
    person = Person()
    for step in range(3):
        for _ in range(MAX_REFUSED - 1):
            person.when(refuse_code)
        person.when(use_code, step=step)


@given(st.lists(st.integers(0, 200), max_size=40))
def test_no_window_ever_sees_more_than_five_wrong_codes(gaps: list[int]) -> None:
    person, tries = Person(), list[datetime]()
    for seconds in gaps:
        person.wait(seconds=seconds)
        try:
            person.when(refuse_code)
        except TooManyAttempts:
            continue
        tries.append(person.at)
    for first, sixth in zip(tries, tries[MAX_REFUSED:], strict=False):
        assert sixth - first >= WINDOW


def test_enrolling_anew_ends_the_old_secret_and_a_closed_account_gets_none() -> None:
    person = Person()
    person.when(enrol_second_factor, by=OPERATOR, enrolment=b"n" * 32)
    assert person.record.second_factor is not None
    assert person.record.second_factor.enrolment == b"n" * 32
    person.when(disable_account, by=OPERATOR)
    assert person.refused(enrol_second_factor, RuleBroken, by=OPERATOR, enrolment=b"n").rule == "account-disabled"
    person.record = StaffRecord(KIM)
    person.refused(enrol_second_factor, UnknownItem, by=OPERATOR, enrolment=b"n")


# --- the codes themselves

RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")])
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    """RFC 6238, appendix B, cut to six digits."""
    at = datetime.fromtimestamp(seconds, NOW.tzinfo)
    assert code_at(RFC_SECRET, at) == code
    assert step_of(RFC_SECRET, code, at) == seconds // STEP_SECONDS


@pytest.mark.parametrize(("late", "good"), [(-61, False), (-30, True), (0, True), (30, True), (61, False)])
def test_a_clock_may_differ_by_one_step(late: int, good: bool) -> None:
    at = datetime.fromtimestamp(1_772_445_600, NOW.tzinfo)
    found = step_of(RFC_SECRET, code_at(RFC_SECRET, at), at + timedelta(seconds=late))
    assert found == (int(at.timestamp()) // STEP_SECONDS if good else None)


@pytest.mark.parametrize("code", ["", "28708", "2870820", "abcdef", "２８７０８２"])
def test_what_is_no_code_is_wrong(code: str) -> None:
    assert step_of(RFC_SECRET, code, datetime.fromtimestamp(59, NOW.tzinfo)) is None


def test_each_person_and_each_enrolment_has_a_secret_of_its_own() -> None:
    one, other = uuid4(), uuid4()
    secrets = {secret_of(b"k" * 32, who, what) for who in (one, other) for what in (b"a" * 32, b"b" * 32)}
    assert len(secrets) == 4
    assert secret_of(b"j" * 32, one, b"a" * 32) not in secrets
    assert {len(secret) for secret in secrets} == {20}
