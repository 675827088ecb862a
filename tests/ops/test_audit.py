"""The audit by command: every reading once, filters, three forms, and its own entry."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from ops.wiring import open_clinic
from projections.client_view import CLIENT_VIEW
from records.actors import Actor, Purpose, Role
from records.registration import Identity, register_client
from records.request import Request
from tests.ops.running import add_user, data_of, init, run

READINGS = 60
"""More than one page of the report."""


class Seen:
    """A clinic in which one therapist read one client's record often, and another therapist was refused."""

    def __init__(self, data: Path) -> None:
        self.data = data
        init(data)
        self.therapist, _ = add_user(data, "therapist", "Ada Fennimarsh")
        self.other, self.token = add_user(data, "therapist", "Bo Quillowby")
        self.client, self.second = uuid.uuid4(), uuid.uuid4()
        with closing(open_clinic(data)) as clinic:
            ada = Request(Actor(self.therapist, Role.THERAPIST), "r1")
            bo = Request(Actor(self.other, Role.THERAPIST), "r2")
            for client in (self.client, self.second):
                identity = Identity(family="Zacanary", given="Zed")
                clinic.service.transact(client, register_client, ada, identity=identity)
            for _ in range(READINGS):
                clinic.service.view(CLIENT_VIEW, ada, Purpose.TREAT, self.client)
            clinic.service.view(CLIENT_VIEW, ada, Purpose.TREAT, self.second)
            with pytest.raises(Exception, match="permitted"):
                clinic.service.view(CLIENT_VIEW, bo, Purpose.TREAT, self.client)

    def audit(self, *arguments: str) -> list[dict[str, Any]]:
        result = run("audit", "--data", str(self.data), "--json", *arguments)
        assert result.exit_code == 0, result.stderr
        assert "Zacanary" not in result.stdout
        return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    return Seen(tmp_path / "clinic")


def views(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in entries if entry["action"] == "client.view"]


def test_every_reading_and_refusal_is_there_once_and_the_report_ends(seen: Seen) -> None:
    entries = seen.audit()
    assert len({entry["index"] for entry in entries}) == len(entries)
    assert [entry["index"] for entry in entries] == sorted(entry["index"] for entry in entries)
    assert len(views(entries)) == READINGS + 2
    (refused,) = [entry for entry in entries if entry["outcome"] == "deny"]
    assert (refused["actor"], refused["actor_name"], refused["reason"]) == (seen.other, "Bo Quillowby", "relation")
    assert all(entry["purpose"] == "TREAT" and entry["text"] for entry in views(entries))


def test_the_report_is_a_reading_and_shows_in_the_next_one(seen: Seen) -> None:
    seen.audit()
    audits = [entry for entry in seen.audit() if entry["action"] == "audit.view"]
    assert {entry["role"] for entry in audits} == {"operator"}
    assert str(seen.client) in {entry["client_id"] for entry in audits}


def test_filters_leave_what_was_asked_for(seen: Seen) -> None:
    assert len(views(seen.audit("--client", str(seen.second)))) == 1
    assert {entry["actor"] for entry in seen.audit("--actor", seen.other)} == {seen.other}
    past, future = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    assert seen.audit("--to", past.isoformat()) == []
    assert seen.audit("--from", future.isoformat()) == []
    assert len(views(seen.audit("--from", past.isoformat(), "--to", future.isoformat()))) == READINGS + 2
    assert views(seen.audit("--from", past.date().isoformat()))


def test_csv_and_text_hold_the_same_entries(seen: Seen) -> None:
    readings = ("--client", str(seen.second), "--source", "access")
    count = len(seen.audit(*readings))
    arguments = ("--data", str(seen.data), *readings, "--actor", seen.therapist)
    rows = list(csv.DictReader(io.StringIO(run("audit", *arguments, "--format", "csv").stdout)))
    text = run("audit", *arguments).stdout.splitlines()
    assert len(rows) == len(text) == count
    assert (rows[0]["actor_name"], rows[0]["action"], rows[0]["purpose"]) == ("Ada Fennimarsh", "client.view", "TREAT")
    assert "Ada Fennimarsh" in text[0]


def test_fhir_is_one_bundle_of_the_same_entries(seen: Seen) -> None:
    readings = ("--client", str(seen.client), "--source", "access", "--actor", seen.therapist)
    indexes = [entry["index"] for entry in seen.audit(*readings)]
    found = Bundle.model_validate_json(run("audit", "--data", str(seen.data), *readings, "--format", "fhir").stdout)
    assert [each.resource.id for each in found.entry] == [f"entry-{index}" for index in indexes]
    assert len(indexes) == READINGS
    empty = run("audit", "--data", str(seen.data), "--client", str(uuid.uuid4()), "--format", "fhir")
    assert not Bundle.model_validate_json(empty.stdout).entry


def test_more_filters_sorting_and_sentences(seen: Seen) -> None:
    outside = seen.audit("--outside-team", "--role", "therapist")
    assert [(entry["actor"], entry["outcome"]) for entry in outside] == [(seen.other, "deny")]
    assert [entry["actor"] for entry in seen.audit("--outcome", "deny")] == [seen.other]
    assert {entry["action"] for entry in seen.audit("--action", "client.view")} == {"client.view"}
    assert {entry["kind"] for entry in seen.audit("--source", "changes")} == {"change"}
    asked = ("--client", str(seen.client), "--action", "client.view")
    by_outcome = seen.audit(*asked, "--sort", "-outcome")
    assert [entry["outcome"] for entry in by_outcome] == ["permit"] * READINGS + ["deny"]
    times = [entry["index"] for entry in seen.audit(*asked, "--sort", "-at")]
    assert times == sorted(times, reverse=True)
    grouped = seen.audit(*asked, "--grouped", "--sort", "-at")
    assert sum(entry["count"] for entry in grouped) == READINGS + 1
    assert len(grouped) < READINGS / 4
    told = run("audit", "--data", str(seen.data), *asked, "--grouped").stdout
    assert f"client {seen.client}: Ada Fennimarsh (therapist, care team) read the current view" in told


def test_what_is_not_known_is_said_and_never_looks_like_nobody(seen: Seen) -> None:
    assert run("audit", "--data", str(seen.data), "--action", "client.veiw").exit_code != 0
    for wrong in (("--purpose", "FUN"), ("--sort", "text"), ("--grouped", "--sort", "actor")):
        assert run("audit", "--data", str(seen.data), *wrong).exit_code == 2


def test_a_name_that_a_spreadsheet_would_run_is_defused(tmp_path: Path) -> None:
    init(tmp_path / "clinic")
    user, _ = add_user(tmp_path / "clinic", "therapist", "=HYPERLINK(1)")
    with closing(open_clinic(tmp_path / "clinic")) as clinic:
        clinic.service.refuse("client.view", uuid.uuid4(), Request(Actor(user, Role.THERAPIST), "r"), "relation")
    result = run("audit", "--data", str(tmp_path / "clinic"), "--format", "csv")
    assert "'=HYPERLINK(1)" in result.stdout
    assert ",=HYPERLINK" not in result.stdout


@pytest.mark.parametrize("moment", ["yesterday", "2026-13-01", "2026-03-01T09:00:00"])
def test_a_time_without_a_zone_is_a_usage_error(tmp_path: Path, moment: str) -> None:
    assert run("audit", "--data", str(tmp_path), "--from", moment).exit_code == 2


def test_a_therapist_may_not_audit_or_rebuild_and_that_is_recorded(seen: Seen, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(seen.token)
    for command in ("audit", "rebuild"):
        assert run(command, "--data", str(seen.data), WELLKEPT_TOKEN_FILE=str(file)).exit_code == 6
    refused = [entry for entry in seen.audit("--actor", seen.other) if entry["outcome"] == "deny"]
    assert [entry["action"] for entry in refused] == ["client.view", "audit.view", "views.rebuild"]


def test_views_are_rebuilt_and_show_the_same(seen: Seen) -> None:
    before = views(seen.audit())
    everything = data_of(run("rebuild", "--data", str(seen.data), "--json"))
    assert [each["views"] for each in everything] == [["client_view", "roster"], ["audit_index"]]
    assert (everything[0]["clients"], everything[0]["rows"], everything[0]["unreadable"]) == (2, 4, 0)
    assert views(seen.audit()) == before
    (roster,) = data_of(run("rebuild", "roster", "--data", str(seen.data), "--json"))
    assert (roster["views"], roster["rows"]) == (["roster"], 2)
    assert run("rebuild", "draft", "--data", str(seen.data)).exit_code == 2
