"""Access entries: one for each client, under the audit key of its year, which is there before it is needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from records.access_log import reason_of
from records.actors import Purpose
from records.errors import (
    ConsentMissing,
    IdempotencyKeyReused,
    InvalidContent,
    NotPermitted,
    NotStored,
    Refused,
    RuleBroken,
    StaleRecord,
    UnknownClient,
    UnknownItem,
    VersionRequired,
)
from records.ledger import KeyClass, Kind, decode_entry
from tests.doors import Doors


def audit_keys(doors: Doors) -> list[int]:
    """Return the years whose audit key the ledger names, in its order."""
    versions = {held.key_id: held.version for held in doors.keyring.held() if held.key_class == KeyClass.AUDIT_YEAR}
    entries = [decode_entry(raw) for _, raw in doors.store.key_entries()]
    return [versions[entry.key_id] for entry in entries if entry.key_class is KeyClass.AUDIT_YEAR]


def test_each_client_has_one_access_stream_that_nobody_can_tell_from_its_id(checked: Doors) -> None:
    one, other = checked.client(), checked.client()
    for client in (one, other, one):
        checked.read(client)

    entries = [decode_entry(raw) for _, raw in checked.store.entries(-1, 1000)]
    readings = [entry for entry in entries if entry.kind is Kind.ACCESS]
    assert [entry.version for entry in readings if entry.stream == checked.service.streams.access(one)] == [1, 2]
    assert [entry.version for entry in readings if entry.stream == checked.service.streams.access(other)] == [1]
    assert {entry.key_class for entry in readings} == {KeyClass.AUDIT_YEAR}
    assert not {entry.stream for entry in readings} & {one, other}


def test_the_key_of_the_year_stands_in_the_ledger_before_its_first_entry(checked: Doors) -> None:
    client = checked.client()
    checked.read(client)

    entries = [decode_entry(raw) for _, raw in checked.store.entries(-1, 1000)]
    first = next(entry for entry in entries if entry.kind is Kind.ACCESS)
    created = [entry.key_id for entry in entries[: entries.index(first)] if entry.kind is Kind.KEY_CREATED]
    assert first.key_id in created
    assert audit_keys(checked) == [checked.watch().year]


def test_the_key_of_the_next_year_is_made_a_day_ahead(checked: Doors) -> None:
    client = checked.client()
    checked.read(client)
    year = checked.watch().year
    checked.watch.ahead = datetime(year, 12, 31, 12, tzinfo=UTC) - checked.watch()
    checked.read(client)
    checked.read(client)

    assert audit_keys(checked) == [year, year + 1]


def test_a_crash_between_key_and_ledger_entry_is_made_good(checked: Doors) -> None:
    scope, year = checked.service.streams.deployment_id, checked.watch().year
    checked.keyring.ensure(scope, KeyClass.AUDIT_YEAR, year)
    assert audit_keys(checked) == []
    client = checked.client()
    checked.read(client)

    assert audit_keys(checked) == [year]


def test_a_restart_makes_no_key_again(checked: Doors) -> None:
    client = checked.client()
    checked.read(client)
    before = audit_keys(checked)
    checked.reopen()
    checked.read(client)
    checked.read(client, service=checked.second())

    assert audit_keys(checked) == before
    assert len(checked.access(client)) == 3


def test_a_key_that_cannot_be_logged_lets_nothing_be_read(checked: Doors) -> None:
    client = checked.client()
    service, store = checked.faulty()
    store.fails = NotStored
    with pytest.raises(NotStored):
        checked.read(client, service=service)

    store.fails = None
    checked.read(client, service=service)
    assert len(audit_keys(checked)) == 1


def test_what_names_no_client_goes_to_the_clinics_own_stream(checked: Doors) -> None:
    service = checked.service
    service.refuse("client.list", None, checked.ask(), "malformed", purpose=Purpose.TREAT)

    [entry] = checked.access(None)
    assert (entry.client_id, entry.relation, entry.outcome, entry.reason) == (None, "none", "deny", "malformed")


def test_entries_hold_codes_and_ids_only(checked: Doors) -> None:
    client = checked.client(family="Canary", given="Zed")
    checked.read(client)
    checked.service.refuse("client.view", client, checked.ask(), "malformed")

    from records.payload import to_segments

    for entry in checked.access(client):
        [segment] = to_segments(entry)
        assert b"Canary" not in segment.content
        assert b"Zed" not in segment.content


def test_readings_of_one_client_never_conflict(checked: Doors) -> None:
    import threading

    client = checked.client()
    services = [checked.service, checked.second()] * 3
    start = threading.Barrier(len(services))

    def work(service: object) -> None:
        start.wait()
        for _ in range(5):
            checked.read(client, service=service)

    threads = [threading.Thread(target=work, args=(service,)) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(checked.access(client)) == 30
    # Two processes that begin a year at one moment may both say that its key was made; it is one key.
    assert set(audit_keys(checked)) == {checked.watch().year}


def test_the_entry_keeps_the_relation_of_its_moment(checked: Doors) -> None:
    client = checked.client()
    checked.read(client)
    checked.place(client, checked.stranger, "team")
    checked.watch.ahead = timedelta(hours=1)
    checked.read(client, checked.ask(checked.stranger))

    assert [entry.relation for entry in checked.access(client)] == ["team", "team"]
    assert checked.access(client)[1].occurred_at - checked.access(client)[0].occurred_at >= timedelta(hours=1)


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (ConsentMissing("treatment"), "consent-missing"),
        (RuleBroken("note-already-signed", "…"), "note-already-signed"),
        (UnknownItem("note"), "unknown-item"),
        (UnknownClient(""), "unknown-client"),
        (InvalidContent("/x", ""), "invalid-content"),
        (StaleRecord(""), "stale-record"),
        (VersionRequired(""), "version-required"),
        (IdempotencyKeyReused(""), "idempotency-key-reused"),
        (NotPermitted("role"), "not-permitted"),
    ],
)
def test_a_refusal_is_kept_as_a_code(refusal: Refused, code: str) -> None:
    assert reason_of(refusal) == code
