"""`wellkept retention`: who is due, to whom that is told, and by which profile it is counted."""

from __future__ import annotations

import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ops.wiring import open_clinic
from records.actors import Actor, Role
from records.episodes import close_episode, open_episode
from records.legal_hold import place_legal_hold
from records.registration import Identity, register_client
from records.request import Request
from records.retention_profiles import PROFILES
from tests.ops.running import add_user, data_of, init, run


class Kept:
    """A clinic with 52 clients whose treatment is over; one of them has a legal hold, and one has no birth date."""

    def __init__(self, data: Path) -> None:
        self.data = data
        init(data)
        therapist, _ = add_user(data, "therapist", "Ada Fennimarsh")
        officer, token = add_user(data, "privacy_officer", "Pat Oakes")
        self.officer = data.with_name("officer")
        self.officer.write_text(token)
        self.clients = [uuid.uuid4() for _ in range(52)]
        self.held, self.unborn = self.clients[0], self.clients[1]
        with closing(open_clinic(data)) as clinic:
            ada, pat = Actor(therapist, Role.THERAPIST), Actor(officer, Role.PRIVACY_OFFICER)
            for client in self.clients:
                born = None if client == self.unborn else "1980-05-17"
                who = Identity(family="Zacanary", birth_date=born)
                clinic.service.transact(client, register_client, Request(ada, "r1"), identity=who)
                plan: dict[str, Any] = {"format": "individual", "modality": "DIT", "protocol": "own"}
                episode = uuid.uuid4()
                opened = clinic.service.transact(client, open_episode, Request(ada, "r2"), episode_id=episode, **plan)
                end = Request(ada, "r3", opened.version)
                clinic.service.transact(client, close_episode, end, episode_id=episode, reason="46")
            told = {"authority": "court", "requested_by": "Zacourt", "reason": "Zareason"}
            hold = uuid.uuid4()
            clinic.service.transact(self.held, place_legal_hold, Request(pat, "r4"), hold_id=hold, **told)

    def run(self, *arguments: str, officer: bool = False) -> Any:
        settings = {"WELLKEPT_TOKEN_FILE": str(self.officer)} if officer else {}
        return run(*arguments, "--data", str(self.data), **settings)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("retention") / "clinic")


def test_who_is_due_is_listed_over_all_pages_without_a_name(kept: Kept) -> None:
    told = data_of(kept.run("retention", "due", "--on", "2090-01-01", "--json", officer=True))
    assert (told["total"], len(told["items"]), told["unreadable"], told["profile"]) == (52, 52, 0, "uk-mental-health")
    assert {item["id"] for item in told["items"]} == {str(client) for client in kept.clients}
    assert [item["id"] for item in told["items"] if item["stopped"]] == [str(kept.held)]
    assert [item["id"] for item in told["items"] if item["missing"]] == [str(kept.unborn)]
    read = kept.run("audit", "--client", str(kept.held), "--action", "retention.due")
    assert "saw the client in a list of records that are due" in read.stdout


def test_who_is_due_is_told_in_sentences(kept: Kept) -> None:
    told = kept.run("retention", "due", "--on", "2090-01-01")
    assert told.exit_code == 0, told.stderr
    assert f"{kept.held}  stopped" in told.stdout
    assert "legal-hold" in told.stdout
    assert "the record is kept for 20 years, until" in told.stdout
    assert "52 due on 2090-01-01" in told.stderr
    for secret in ("Zacanary", "Zacourt", "Zareason"):
        assert secret not in told.stdout + told.stderr


def test_nobody_is_due_today_and_days_have_bounds(kept: Kept) -> None:
    assert data_of(kept.run("retention", "due", "--json"))["items"] == []
    assert kept.run("retention", "due", "--within", "3661").exit_code == 2
    assert kept.run("retention", "due", "--on", "tomorrow").exit_code == 2


def test_only_who_may_is_told(kept: Kept, tmp_path: Path) -> None:
    _, token = add_user(kept.data, "records_clerk", "Remy Clark")
    clerk = tmp_path / "clerk"
    clerk.write_text(token)
    for command in (("due",), ("profile",)):
        refused = run("retention", *command, "--data", str(kept.data), WELLKEPT_TOKEN_FILE=str(clerk))
        assert refused.exit_code == 6


def test_the_profile_is_shown_chosen_by_name_and_taken_from_a_file(tmp_path: Path) -> None:
    data = tmp_path / "clinic"
    init(data)

    def profile(*arguments: str) -> Any:
        return run("retention", "profile", *arguments, "--data", str(data))

    shown = profile()
    assert shown.stdout.startswith("uk-mental-health: ")
    assert "aged 17 to 17: until the 26th birthday" in shown.stdout
    assert data_of(profile("us", "--json"))["name"] == "us"
    own = msgspec.structs.replace(PROFILES["eu"], name="own")
    file = tmp_path / "own.json"
    file.write_bytes(msgspec.json.encode(own))
    assert data_of(profile("--file", str(file), "--json"))["name"] == "own"
    assert profile().stdout.startswith("own: ")
    file.write_bytes(msgspec.json.encode(msgspec.structs.replace(own, rules=())))
    assert profile("--file", str(file)).exit_code == 1
    file.write_text('{"name": "own"}')
    assert profile("--file", str(file)).exit_code == 2
    assert profile("us", "--file", str(file)).exit_code == 2
    assert profile("nowhere").exit_code == 2
    assert profile().stdout.startswith("own: ")
