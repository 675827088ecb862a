"""A row is opened only where the ledger vouches for it; for a view, what does not open is a gap and an alarm."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from records.errors import IntegrityFailure, KeyMissing, LedgerMismatch, SealBroken
from records.event import Recorded, StreamKind
from records.ledger import NO_LEAF, encode_entry
from records.notes import NoteSigned
from records.sealing import content_root
from records.store.mapper import Unreadable
from records.store.unit import StoredRow
from tests.doors import Doors


def rows(doors: Doors, client: UUID) -> list[StoredRow]:
    return doors.store.history(client)


def opened(doors: Doors, client: UUID, stored: list[StoredRow], **how: Any) -> list[Recorded]:
    return doors.service.mapper.open(StreamKind.CLIENT, client, stored, **how)


@pytest.fixture
def client(doors: Doors) -> UUID:
    made = doors.client()
    for text in ("one", "two", "three"):
        doors.note(made, sections={"text": text})
    return made


def entry(row: StoredRow, **changes: Any) -> bytes:
    """Return the row's entry with some fields put differently."""
    from records.ledger import decode_entry

    old = decode_entry(row.entry)
    fields: dict[str, Any] = {name: getattr(old, name) for name in old.__struct_fields__}
    fields.update(changes)
    fields["stream"] = fields["stream"].bytes
    return encode_entry(**fields)


def test_what_was_written_is_what_opens(doors: Doors, client: UUID) -> None:
    stored = opened(doors, client, rows(doors, client))

    assert [recorded.version for recorded in stored] == [1, 2, 3, 4]
    texts = [recorded.event.sections["text"] for recorded in stored if isinstance(recorded.event, NoteSigned)]
    assert texts == ["one", "two", "three"]
    assert [recorded.index for recorded in stored] == sorted(recorded.index for recorded in stored)
    assert doors.alarms == []


WRONG = ["state altered", "state of another row", "another stream", "another version", "cut chain", "longer"]


def damaged(what: str, stored: list[StoredRow]) -> list[StoredRow]:
    third = stored[2]
    state = bytearray(third.state)
    state[-1] ^= 1
    return [
        *stored[:2],
        {
            "state altered": third._replace(state=bytes(state)),
            "state of another row": third._replace(state=stored[1].state),
            "another stream": third._replace(entry=entry(third, stream=uuid4())),
            "another version": third._replace(entry=entry(third, version=9)),
            "cut chain": third._replace(entry=entry(third, prev_stream_leaf=NO_LEAF)),
            "longer": third._replace(state=third.state + b"\x00"),
        }[what],
        *stored[3:],
    ]


@pytest.mark.parametrize("what", WRONG)
def test_a_row_that_is_not_what_was_logged_is_an_error_for_a_decision(doors: Doors, client: UUID, what: str) -> None:
    with pytest.raises(LedgerMismatch):
        opened(doors, client, damaged(what, rows(doors, client)))

    [(code, facts)] = doors.alarms
    assert code == "seal-broken"
    assert set(facts) == {"index", "error"}


@pytest.mark.parametrize("what", WRONG)
def test_it_is_a_gap_for_a_view_and_the_rest_is_served(doors: Doors, client: UUID, what: str) -> None:
    found = opened(doors, client, damaged(what, rows(doors, client)), gaps=True)

    kinds = [type(recorded.event).__name__ for recorded in found]
    # The entry after an altered one no longer names its leaf, which is a gap too.
    after = "NoteSigned" if what in ("state altered", "state of another row", "longer") else "Unreadable"
    assert kinds == ["ClientRegistered", "NoteSigned", "Unreadable", after]
    assert [recorded.version for recorded in found] == [1, 2, 3, 4]
    assert len(doors.alarms) == kinds.count("Unreadable")


def test_a_seal_that_fits_its_digest_but_not_its_place_is_a_broken_seal(doors: Doors, client: UUID) -> None:
    import hashlib

    stored = rows(doors, client)
    moved = stored[1].state
    third = stored[2]
    vouched = third._replace(state=moved, entry=entry(third, payload_sha256=hashlib.sha256(moved).digest()))

    with pytest.raises(SealBroken):
        opened(doors, client, [*stored[:2], vouched])
    [gap] = opened(doors, client, [vouched], gaps=True)
    assert isinstance(gap.event, Unreadable)


def test_a_missing_key_is_never_a_gap(doors: Doors, client: UUID) -> None:
    stored = rows(doors, client)
    other = doors.client()
    for gaps in (False, True):
        with pytest.raises(KeyMissing):
            opened(doors, other, [stored[0]._replace(entry=entry(stored[0], stream=other))], gaps=gaps)


def test_an_event_of_another_kind_of_stream_does_not_open_there(doors: Doors, client: UUID) -> None:
    mapper, streams = doors.service.mapper, doors.service.streams
    account = UUID(doors.therapist.id)
    [first, *_] = doors.store.history(account)
    with pytest.raises(IntegrityFailure):
        mapper.open(StreamKind.CLIENT, client, [first])
    assert mapper.open(StreamKind.STAFF, account, [first])[0].version == 1
    assert streams.scope(StreamKind.STAFF, account) == streams.scope(StreamKind.TEAM, account)


def test_a_chain_is_followed_from_wherever_a_view_begins(doors: Doors, client: UUID) -> None:
    assert len(opened(doors, client, doors.store.history(client, 2))) == 2
    assert opened(doors, client, []) == []


def test_the_exact_segments_answer_to_the_content_root(doors: Doors, client: UUID) -> None:
    from records.ledger import decode_entry
    from records.sealing import EVENT_SCHEMA, Place, _context, _event_key

    row = rows(doors, client)[1]
    segments = doors.service.mapper.segments(StreamKind.CLIENT, client, row)
    key = doors.service.streams.key_for(StreamKind.CLIENT, client)
    place = Place(doors.service.streams.deployment_id, "event", client, row.version)
    event_key = _event_key(key.secret, _context(place, key.key_class, EVENT_SCHEMA, key.key_id, row.state[20:36]))

    assert [segment.path for segment in segments] == ["v1", "sections/text"]
    assert content_root(event_key, segments) == decode_entry(row.entry).content_root
    with pytest.raises(SealBroken):
        doors.service.mapper.segments(StreamKind.CLIENT, client, row._replace(version=3))


def test_one_flipped_byte_hides_one_event_and_stops_changes(doors: Doors, client: UUID) -> None:
    where = f"WHERE originator_id = '{client.hex}' AND originator_version = 3"
    altered = "CAST(substr(state, 1, 99) || zeroblob(8) || substr(state, 108) AS BLOB)"
    doors.outside(f"UPDATE stored_events SET state = {altered} {where}")
    doors.reopen()

    kinds = [type(recorded.event).__name__ for recorded in doors.read(client)]
    assert kinds == ["ClientRegistered", "NoteSigned", "Unreadable", "NoteSigned"]
    with pytest.raises(LedgerMismatch):
        doors.note(client)
    # One when the clinic was opened, one for each of the two.
    assert [code for code, _ in doors.alarms] == ["seal-broken", "seal-broken", "seal-broken"]
