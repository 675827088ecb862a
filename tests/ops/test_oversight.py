"""What the privacy officer and the records clerk do by command: patterns, ties, spot checks, the accounting letter."""

from __future__ import annotations

import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ops.wiring import open_clinic
from projections.client_view import CLIENT_VIEW
from records.actors import Actor, Purpose, Role
from records.disclosures import record_disclosure
from records.errors import NotPermitted
from records.registration import Identity, register_client
from records.request import Request
from tests.ops.running import add_user, data_of, init, run


class Watched:
    """A clinic in which a therapist opened a record, and another asked for it in vain."""

    def __init__(self, data: Path) -> None:
        self.data, self.client = data, uuid.uuid4()
        init(data)
        self.therapist, self.token = add_user(data, "therapist", "Ada Fennimarsh")
        self.other, _ = add_user(data, "therapist", "Bo Quillowby")
        self.officer, officer = add_user(data, "privacy_officer", "Pat Oakes")
        _, clerk = add_user(data, "records_clerk", "Remy Clark")
        self.files = {name: data.with_name(name) for name in ("officer", "clerk", "therapist")}
        for name, token in (("officer", officer), ("clerk", clerk), ("therapist", self.token)):
            self.files[name].write_text(token)
        with closing(open_clinic(data)) as clinic:
            ada = Request(Actor(self.therapist, Role.THERAPIST), "r1")
            bo = Request(Actor(self.other, Role.THERAPIST), "r2")
            identity = Identity(family="Zacanary", given="Zed", address="4 Mill Lane")
            clinic.service.transact(self.client, register_client, ada, identity=identity)
            for _ in range(12):
                clinic.service.view(CLIENT_VIEW, ada, Purpose.TREAT, self.client)
            with pytest.raises(NotPermitted):
                clinic.service.view(CLIENT_VIEW, bo, Purpose.TREAT, self.client)
            clinic.service.transact(
                self.client,
                record_disclosure,
                ada,
                disclosure_id=uuid.uuid4(),
                recipient_kind="court",
                recipient="County <Court>",
                description="Dates.",
                purpose="A hearing.",
                basis="court-order",
                authorised_by=self.therapist,
            )

    def run(self, *arguments: str, by: str | None = None) -> Any:
        settings = {} if by is None else {"WELLKEPT_TOKEN_FILE": str(self.files[by])}
        return run(*arguments, "--data", str(self.data), **settings)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "clinic")


def test_patterns_are_told_in_sentences_and_as_data_without_the_client(watched: Watched) -> None:
    told = watched.run("patterns", by="officer")
    assert told.exit_code == 0, told.stderr
    whose = "Bo Quillowby opened, or asked for, the record of a client who was not theirs: once, 1 client"
    assert f"outside-care-team  {whose}, 1 of them refused.  entries" in told.stdout
    assert "13 readings from" in told.stderr
    found = data_of(watched.run("patterns", "--json", "--actor", watched.other))
    assert {item["staff"] for item in found["items"]} == {watched.other}
    for secret in ("Zacanary", str(watched.client)):
        assert secret not in told.stdout + told.stderr + str(found)
    assert data_of(watched.run("patterns", "--json", "--to", "2026-01-01"))["readings"] == 0
    assert watched.run("patterns", "--from", "2026-01-01", "--to", "2025-01-01").exit_code != 0
    assert watched.run("patterns", by="therapist").exit_code == 6


def test_ties_are_found_and_the_address_is_not_kept(watched: Watched, tmp_path: Path) -> None:
    address = tmp_path / "address"
    address.write_text("4, MILL lane\n")
    tied = data_of(watched.run("user", "ties", watched.therapist, "--address-file", str(address), "--json"))
    assert tied == {"id": watched.therapist, "client": False, "address": True}
    found = data_of(watched.run("patterns", "--json"))
    of_rule = [item for item in found["items"] if item["rule"] == "same-surname-or-address"]
    assert [(item["staff"], item["count"]) for item in of_rule] == [(watched.therapist, 12)]
    for path in watched.data.rglob("*"):
        assert b"mill lane" not in path.read_bytes().lower() if path.is_file() else True
    assert watched.run("user", "ties", watched.officer, "--json", by="officer").exit_code == 1


def test_readings_are_drawn_listed_and_decided_on(watched: Watched) -> None:
    draw = data_of(watched.run("spot-checks", "draw", "--json", by="officer"))["id"]
    listed = data_of(watched.run("spot-checks", "list", "--open", "--json"))
    assert (listed["open"], listed["items"][0]["id"]) == (10, draw)
    index = str(listed["items"][0]["checks"][0]["index"])
    assert watched.run("spot-checks", "decide", draw, index, "in-order", "care").exit_code == 6
    decided = watched.run("spot-checks", "decide", draw, index, "in-order", "care", by="officer")
    assert decided.exit_code == 0, decided.stderr
    text = watched.run("spot-checks", "list", by="officer")
    assert f"{index}" in text.stdout
    assert "in-order  care" in text.stdout
    assert "9 open" in text.stderr
    assert watched.run("spot-checks", "draw", by="therapist").exit_code == 6
    assert watched.run("spot-checks", "draw", by="officer").exit_code == 1


def test_the_accounting_letter_is_the_clerks_as_text_and_as_a_page(watched: Watched) -> None:
    client = str(watched.client)
    text = watched.run("disclosures", "letter", client, by="clerk")
    assert text.exit_code == 0, text.stderr
    assert "For: Zed Zacanary\n4 Mill Lane" in text.stdout
    assert "To: County <Court>" in text.stdout
    assert text.stderr == "1 disclosure.\n"
    page = watched.run("disclosures", "letter", client, "--format", "html", by="clerk")
    assert "County &lt;Court&gt;" in page.stdout
    assert data_of(watched.run("disclosures", "letter", client, "--json", by="clerk"))["count"] == 1
    for by in (None, "officer", "therapist"):
        assert watched.run("disclosures", "letter", client, by=by).exit_code == 6
