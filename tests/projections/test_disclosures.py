"""The account of disclosures on each engine: who sees what of it, its pages, and the letter to the client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from ops.wiring import now
from projections.client_view import CLIENT_VIEW
from projections.disclosures import ACCOUNTING, DISCLOSURES, AccountingLetter, DisclosurePage
from projections.timeline import TIMELINE
from records.actors import Role
from records.disclosures import mark_disclosure_entered_in_error, record_disclosure
from records.errors import UnknownClient
from tests.clinic import StaffedClinic, make_clinic

CLERK, OFFICER = Role.RECORDS_CLERK, Role.PRIVACY_OFFICER
NASTY = '<script>alert("Robin")</script>'


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def clinic(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[StaffedClinic]:
    """A clinic on each engine."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    made = make_clinic(tmp_path / "clinic", database_url=url)
    yield made
    made.close()


def disclose(clinic: StaffedClinic, client: UUID, *, by: Role = CLERK, **more: Any) -> UUID:
    """Record a disclosure to a court."""
    disclosure = uuid4()
    facts = {
        "recipient_kind": "court",
        "recipient": "County Court",
        "recipient_address": "1 Court Street",
        "description": "Dates of attendance.",
        "purpose": "A hearing.",
        "basis": "court-order",
        "authorised_by": clinic.staff[Role.THERAPIST].id,
        **more,
    }
    clinic.do(client, record_disclosure, by=by, disclosure_id=disclosure, **facts)
    return disclosure


def account(clinic: StaffedClinic, client: UUID, by: Role = CLERK, **asked: Any) -> DisclosurePage:
    """Return a page of the account."""
    page: DisclosurePage = clinic.see(DISCLOSURES, client, by=by, **asked)
    return page


def letter(clinic: StaffedClinic, client: UUID) -> AccountingLetter:
    """Return the letter."""
    written: AccountingLetter = clinic.see(ACCOUNTING, client, by=CLERK)
    return written


def in_error(clinic: StaffedClinic, client: UUID, disclosure: UUID) -> None:
    """Mark a disclosure as entered in error."""
    version = clinic.service.client(client).disclosures[disclosure].version
    told = {"disclosure_id": disclosure, "reason": "Was not sent."}
    clinic.do(client, mark_disclosure_entered_in_error, by=CLERK, if_match=version, **told)


def test_the_account_tells_who_answers_for_each(clinic: StaffedClinic) -> None:
    client = clinic.register()
    disclosure = disclose(clinic, client)
    (item,) = account(clinic, client).items
    assert (item.id, item.recipient, item.basis, item.breach) == (disclosure, "County Court", "court-order", False)
    assert (item.authorised_by_name, item.entered_by_name) == ("Jo Lind", "Remy Clark")
    assert item == clinic.see(CLIENT_VIEW, client).disclosures[0]


def test_the_privacy_officer_sees_that_and_why_and_no_text(clinic: StaffedClinic) -> None:
    client = clinic.register()
    canary = "canary-5d3a"
    texts = ("recipient", "recipient_address", "description", "purpose", "reason")
    disclosure = disclose(clinic, client, **dict.fromkeys(texts, canary))
    in_error(clinic, client, disclosure)
    page = account(clinic, client, OFFICER)
    assert canary not in msgspec.json.encode(page).decode()
    assert "Was not sent" not in msgspec.json.encode(page).decode()
    (item,) = page.items
    assert (item.basis, item.authorised_by_name, item.entered_in_error) == ("court-order", "Jo Lind", True)
    assert canary in msgspec.json.encode(account(clinic, client)).decode()


def test_pages_follow_one_another_without_loss(clinic: StaffedClinic) -> None:
    client = clinic.register()
    made = [disclose(clinic, client) for _ in range(7)]
    in_error(clinic, client, made[0])
    found, after = [], None
    while True:
        page = account(clinic, client, limit=3, after=after)
        assert page.total == 7
        found += [item.id for item in page.items]
        after = page.next
        if after is None:
            break
    assert found == made[::-1]
    view = clinic.see(CLIENT_VIEW, client)
    assert [item.id for item in view.disclosures] == made[:1:-1]


def test_the_history_marks_what_was_entered_in_error(clinic: StaffedClinic) -> None:
    client = clinic.register()
    in_error(clinic, client, disclose(clinic, client))
    marked = {item.topic: item.entered_in_error for item in clinic.see(TIMELINE, client).items}
    assert (marked["disclosure.made"], marked["disclosure.entered_in_error"]) == (True, False)


def test_the_letter_says_what_the_law_asks_for(clinic: StaffedClinic) -> None:
    client = clinic.register(family="Marsh", given="Robin", address="5 Fen Lane")
    other = clinic.register(family="Quillfeather")
    disclose(clinic, other, recipient="Somebody else")
    disclose(clinic, client, occurred_at=datetime(2025, 7, 3, 23, 30, tzinfo=UTC))
    disclose(clinic, client, recipient="My GP", recipient_address=None, occurred_at=datetime(2024, 1, 9, 9, tzinfo=UTC))
    disclose(clinic, client, basis="unauthorised", reason="A wrong address.", occurred_at=now() - timedelta(days=1))
    written = letter(clinic, client)
    assert written.count == 3
    for said in ("Hill Clinic", "For: Robin Marsh", "5 Fen Lane", "this should not have happened", "A wrong address."):
        assert said in written.text
    first = "1. 9 January 2024\nTo: My GP\nAddress: not known\nWhat: Dates of attendance.\nPurpose: A hearing.\n"
    assert first in written.text
    second = "2. 4 July 2025\nTo: County Court\nAddress: 1 Court Street\n"
    assert second in written.text
    assert "Somebody else" not in written.text + written.html
    for line in written.text.split("\n"):
        assert line.partition(": ")[2] in written.html


def test_the_letter_goes_back_as_far_as_the_clinic_says(clinic: StaffedClinic) -> None:
    client = clinic.register(birth_date="1980")
    disclose(clinic, client, recipient="Just within", occurred_at=now() - timedelta(days=6 * 365))
    disclose(clinic, client, recipient="Long ago", occurred_at=now() - timedelta(days=6 * 365 + 3))
    written = letter(clinic, client)
    assert (written.count, "Just within" in written.text, "Long ago" in written.text) == (1, True, False)
    assert account(clinic, client).total == 2


def test_the_letter_leaves_out_and_counts_what_was_entered_in_error(clinic: StaffedClinic) -> None:
    client = clinic.register()
    in_error(clinic, client, disclose(clinic, client))
    written = letter(clinic, client)
    assert (written.count, written.left_out) == (0, 1)
    assert "No disclosure of your record was recorded in this period." in written.text
    assert "1 entry was recorded by mistake and left out." in written.text
    assert "County Court" not in written.text


def test_every_word_in_the_page_is_escaped(clinic: StaffedClinic) -> None:
    client = clinic.register(family=NASTY, given="Robin", address=NASTY)
    page = letter(clinic, client).html
    assert page.count("<br>") == page.count("<p>") + 1
    texts = ("recipient", "recipient_address", "description", "purpose", "reason")
    disclose(clinic, client, **dict.fromkeys(texts, NASTY))
    written = letter(clinic, client)
    assert "<script" not in written.html
    assert written.html.count("&lt;script&gt;") == 7
    assert written.text.count(NASTY) == 7


def test_nobody_unknown_has_an_account(clinic: StaffedClinic) -> None:
    with pytest.raises(UnknownClient):
        account(clinic, uuid4())
    with pytest.raises(UnknownClient):
        letter(clinic, uuid4())
