"""Where things belong: a stream of each kind for each client, and the key that is its own."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from records.errors import KeyMissing
from records.event import StreamKind
from records.ledger import KeyClass, to_microseconds
from tests.doors import Doors


def test_each_stream_of_each_client_has_an_id_of_its_own(doors: Doors) -> None:
    streams, clients = doors.service.streams, [uuid4() for _ in range(20)]
    ids = [streams.of(kind, client) for client in clients for kind in (StreamKind.TEAM, StreamKind.ACCESS)]
    ids += [*clients, streams.clinic, streams.clinic_access]

    assert len(set(ids)) == len(ids) == 62
    assert streams.of(StreamKind.CLIENT, clients[0]) == clients[0] == streams.of(StreamKind.STAFF, clients[0])
    assert streams.of(StreamKind.CLINIC, clients[0]) == streams.clinic


def test_ids_are_the_same_after_a_restart_and_need_the_clinics_secret(doors: Doors) -> None:
    client, before = uuid4(), doors.service.streams
    ids = (before.team(client), before.access(client), before.clinic, before.clinic_access)
    doors.reopen()
    after = doors.service.streams
    assert ids == (after.team(client), after.access(client), after.clinic, after.clinic_access)

    from tests.doors import Doors as Another

    other = Another(doors.data.with_name("elsewhere"))
    try:
        assert not {other.service.streams.team(client), other.service.streams.access(client)} & set(ids)
    finally:
        other.close()


def test_each_kind_is_sealed_with_the_key_that_dies_with_its_owner(doors: Doors) -> None:
    streams, client = doors.service.streams, uuid4()

    assert streams.scope(StreamKind.CLIENT, client) == (client, KeyClass.RECORD)
    assert streams.scope(StreamKind.ACCESS, streams.access(client)) == (streams.deployment_id, KeyClass.AUDIT_YEAR)
    for kind in (StreamKind.TEAM, StreamKind.STAFF, StreamKind.CLINIC):
        assert streams.scope(kind, client) == (streams.deployment_id, KeyClass.CLINIC)


def test_a_reading_is_sealed_under_the_year_that_the_writer_gave(doors: Doors) -> None:
    doors.read(doors.client())
    at = doors.watch()
    streams = doors.service.streams
    stream = streams.access(uuid4())
    key = streams.key_for(StreamKind.ACCESS, stream, to_microseconds(at))

    assert streams.key_of(StreamKind.ACCESS, stream, key.key_id) == key
    with pytest.raises(KeyMissing):
        streams.key_for(StreamKind.ACCESS, stream, to_microseconds(at.replace(year=at.year - 1, day=1)))


def test_one_clients_key_opens_no_stream_of_another(doors: Doors) -> None:
    one, other = doors.client(), doors.client()
    streams = doors.service.streams
    key = streams.key_for(StreamKind.CLIENT, one)

    assert streams.key_of(StreamKind.CLIENT, one, key.key_id) == key
    for kind, stream in ((StreamKind.CLIENT, other), (StreamKind.STAFF, one), (StreamKind.ACCESS, one)):
        with pytest.raises(KeyMissing):
            streams.key_of(kind, stream, key.key_id)


def test_reading_keys_makes_none(doors: Doors) -> None:
    held = list(doors.keyring.held())
    with pytest.raises(KeyMissing):
        doors.service.streams.key_for(StreamKind.CLIENT, UUID(int=77))

    assert list(doors.keyring.held()) == held


def test_each_use_of_the_service_key_is_apart(doors: Doors) -> None:
    streams = doors.service.streams

    assert len({streams.service_key(label) for label in ("token", "idempotency", "clinic-secret", "cursor")}) == 4
