"""The bytes of attachments: stored with their event or not at all, of one client, and never shown altered."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from projections.attachment_view import ATTACHMENT_VIEW
from projections.client_view import CLIENT_VIEW
from records.actors import Actor, Purpose
from records.attachment_files import PART_BYTES, PLACE, AttachmentFiles, sealed_file
from records.attachments import MAX_BYTES
from records.errors import (
    Erased,
    IdempotencyKeyReused,
    InvalidContent,
    KeyMissing,
    NotPermitted,
    NotStored,
    OutcomeUnknown,
    RuleBroken,
    SealBroken,
    UnknownItem,
)
from records.keyring import Keyring
from records.ledger import KeyClass
from records.store.unit import CreatedKey, Unit
from tests.clinic import make_clinic
from tests.doors import Doors
from tests.records.pictures import CANARY, exif, jpeg

FILE, OTHER = UUID(int=201), UUID(int=202)
LETTER = b"Dear colleague, " + CANARY + b"\n"
TOLD = {"kind": "letter", "made_by": "third-party", "title": "Referral letter"}


def add(doors: Doors, client: UUID, content: bytes = LETTER, file: UUID = FILE, **rest: Any) -> Any:
    request = rest.pop("request", None) or doors.ask()
    files = AttachmentFiles(rest.pop("service", doors.service))
    return files.add(client, file, content, request, **{**TOLD, **rest})


def opened(doors: Doors, client: UUID, file: UUID = FILE, actor: Actor | None = None, **rest: Any) -> bytes:
    purpose = rest.pop("purpose", Purpose.TREAT)
    found = doors.service.view(ATTACHMENT_VIEW, doors.ask(actor), purpose, client, resource=file)
    content: bytes = found.content
    return content


def rows(doors: Doors) -> int:
    return len(doors.store.rows(PLACE))


def test_a_file_is_opened_as_it_was_added_and_the_reading_is_recorded(checked: Doors) -> None:
    client = checked.client()
    outcome = add(checked, client)
    assert outcome.subject == FILE
    assert opened(checked, client) == LETTER
    [entry] = checked.access(client)
    assert (entry.action, entry.outcome, entry.resource) == ("attachment.view", "permit", FILE)
    checked.reopen()
    assert opened(checked, client) == LETTER


def test_what_is_kept_of_a_picture_is_the_cleaned_one(checked: Doors) -> None:
    client = checked.client()
    add(checked, client, jpeg(exif(6)), kind="writing", alternative_text="A poem.")
    kept = opened(checked, client)
    assert CANARY not in kept
    [item] = checked.service.view(CLIENT_VIEW, checked.ask(), Purpose.TREAT, client).attachments
    assert (item.media_type, item.size, item.cleaned) == ("image/jpeg", len(kept), True)
    assert item.sha256 == hashlib.sha256(kept).hexdigest()


def test_another_clients_file_is_unknown(checked: Doors) -> None:
    client, other = checked.client(), checked.client()
    add(checked, client)
    for whose, file in ((other, FILE), (client, OTHER)):
        with pytest.raises(UnknownItem):
            opened(checked, whose, file)
    add(checked, other, b"Another letter.")
    assert (opened(checked, client), opened(checked, other)) == (LETTER, b"Another letter.")


def test_who_is_not_of_the_team_neither_adds_nor_opens(checked: Doors) -> None:
    client = checked.client(supervised_by=checked.supervisor)
    add(checked, client)
    for actor, purpose in ((checked.stranger, Purpose.TREAT), (checked.supervisor, Purpose.TREAT)):
        with pytest.raises(NotPermitted):
            opened(checked, client, actor=actor, purpose=purpose)
    for actor in (checked.stranger, checked.supervisor):
        with pytest.raises(NotPermitted):
            add(checked, client, file=OTHER, request=checked.ask(actor))
    with pytest.raises(NotPermitted):
        opened(checked, uuid4())
    assert rows(checked) == 1
    assert {entry.outcome for entry in checked.access(client)} == {"deny"}


@pytest.mark.parametrize("content", [b"", b"a" * (MAX_BYTES + 1), b"\x00", jpeg()[:-1]])
def test_what_is_not_taken_is_refused_and_recorded(checked: Doors, content: bytes) -> None:
    client = checked.client()
    with pytest.raises(InvalidContent):
        add(checked, client, content)
    [entry] = checked.access(client)
    assert (entry.action, entry.reason, entry.resource) == ("attachment.add", "invalid-content", FILE)
    assert rows(checked) == 0


def test_a_request_that_is_sent_again_stores_once(checked: Doors) -> None:
    client = checked.client()
    first = add(checked, client, request=checked.ask(key="k"))
    # The same id, and one that was made anew: the first answer both times.
    for file in (FILE, OTHER):
        again = add(checked, client, file=file, request=checked.ask(key="k"))
        assert (again.replayed, again.subject, again.version) == (True, FILE, first.version)
    with pytest.raises(IdempotencyKeyReused):
        add(checked, client, b"Other bytes.", OTHER, request=checked.ask(key="k", body=b"other"))
    assert (rows(checked), opened(checked, client)) == (1, LETTER)


def test_a_file_never_changes(checked: Doors) -> None:
    client = checked.client()
    add(checked, client)
    with pytest.raises(RuleBroken, match="already-added"):
        add(checked, client, b"Another version.")
    assert (rows(checked), opened(checked, client)) == (1, LETTER)


def test_of_two_at_once_one_is_kept_whole(checked: Doors) -> None:
    client = checked.client()
    service, store = checked.faulty()

    def meanwhile(_: Unit) -> None:
        store.before = None
        add(checked, client)

    store.before = meanwhile
    with pytest.raises(RuleBroken):
        add(checked, client, b"Later bytes.", service=service)
    assert (rows(checked), opened(checked, client)) == (1, LETTER)


def test_a_commit_that_fails_leaves_neither_event_nor_row(checked: Doors) -> None:
    client = checked.client()
    service, store = checked.faulty()
    store.fails = NotStored
    with pytest.raises(NotStored):
        add(checked, client, service=service)
    assert (checked.topics(client), rows(checked)) == (["ClientRegistered"], 0)


def test_a_refusal_leaves_no_row(checked: Doors) -> None:
    client = checked.client()
    with pytest.raises(InvalidContent):
        add(checked, client, title=" ")
    assert rows(checked) == 0


def test_an_answer_that_was_lost_leaves_both(checked: Doors) -> None:
    client = checked.client()
    service, store = checked.faulty()
    store.fails, store.stored = OutcomeUnknown, True
    with pytest.raises(OutcomeUnknown):
        add(checked, client, service=service, request=checked.ask(key="k"))
    assert (checked.topics(client), rows(checked)) == (["ClientRegistered", "AttachmentAdded"], 1)
    assert add(checked, client, request=checked.ask(key="k")).replayed
    assert opened(checked, client) == LETTER


_OTHERS = "(SELECT state FROM was WHERE was.row_id <> sealed_rows.row_id)"


@pytest.mark.parametrize("whose", ["same", "another"])
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM sealed_rows WHERE place = 'attachment'",
        "UPDATE sealed_rows SET state = substr(state, 1, length(state) - 1) || x'00' WHERE place = 'attachment'",
        "UPDATE sealed_rows SET state = x'' WHERE place = 'attachment'",
        f"UPDATE sealed_rows SET state = {_OTHERS} WHERE place = 'attachment'",
        "UPDATE sealed_rows SET stream_id = zeroblob(16) WHERE place = 'attachment'",
    ],
)
def test_a_file_that_is_missing_or_another_one_is_never_shown(doors: Doors, whose: str, statement: str) -> None:
    client, other = doors.client(), doors.client()
    add(doors, client)
    add(doors, client if whose == "same" else other, b"Another.", OTHER)
    before = "CREATE TEMP TABLE was AS SELECT row_id, state FROM sealed_rows WHERE place = 'attachment'"
    doors.outside(before, statement)
    doors.reopen()
    # Another client's row names a key that this client never had.
    with pytest.raises((SealBroken, KeyMissing)):
        opened(doors, client)


def test_a_file_that_was_sealed_for_this_place_by_a_key_holder_is_still_another_one(doors: Doors) -> None:
    """Whoever has the keys may seal a row; the digest in the event, which the ledger proves, is what it is held to."""
    client = doors.client()
    add(doors, client)
    reader = doors.service.reader
    (put,) = sealed_file(reader.deployment_id, reader.record_key(client), client, FILE, LETTER[::-1])
    doors.store.commit(Unit(puts=(put._replace(only_forward=False),)))
    with pytest.raises(SealBroken, match="another one"):
        opened(doors, client)


def test_it_opens_after_the_clients_key_was_turned(checked: Doors) -> None:
    client = checked.client()
    add(checked, client)

    def told(keys: Any, _: bool) -> None:
        checked.store.commit(Unit(keys=tuple(CreatedKey(*key, KeyClass.RECORD) for key in keys)))

    keyring: Keyring = checked.keyring
    keyring.turn(client, KeyClass.RECORD, told)
    add(checked, client, b"Sealed with the new key.", OTHER)
    assert (opened(checked, client), opened(checked, client, OTHER)) == (LETTER, b"Sealed with the new key.")


def test_a_large_file_is_kept_in_parts_that_go_nowhere_else(checked: Doors) -> None:
    client = checked.client()
    large = b"%PDF-" + os.urandom(2 * PART_BYTES)
    add(checked, client, large)
    assert opened(checked, client) == large
    assert len(checked.store.rows(PLACE)) == 3
    first = "state = (SELECT max(state) FROM sealed_rows WHERE place = 'attachment' AND length(state) > 1000000)"
    checked.outside(f"UPDATE sealed_rows SET {first} WHERE place = 'attachment' AND length(state) > 1000000")
    checked.reopen()
    with pytest.raises(SealBroken, match="in its place"):
        opened(checked, client)


def test_no_view_may_drop_it(checked: Doors) -> None:
    client = checked.client()
    add(checked, client)
    with pytest.raises(ValueError, match="anew"):
        checked.store.drop_rows(PLACE)
    assert opened(checked, client) == LETTER


@pytest.mark.parametrize("engine", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_nothing_of_it_is_left_after_an_erasure(tmp_path: Path, engine: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres_url") if engine == "postgres" else None
    clinic = make_clinic(tmp_path / "clinic", database_url=url)
    gone, kept = clinic.register(), clinic.register()
    for client in (gone, kept):
        clinic.opened.attachments.add(client, FILE, LETTER, clinic.request(), **TOLD)
        assert clinic.see(ATTACHMENT_VIEW, client, resource=FILE).content == LETTER
    clinic.erase(gone)

    assert [row.stream for row in clinic.store.rows(PLACE)] == [kept]
    with pytest.raises(Erased):
        clinic.see(ATTACHMENT_VIEW, gone, resource=FILE)
    with pytest.raises(Erased):
        clinic.opened.attachments.add(gone, OTHER, LETTER, clinic.request(), **TOLD)
    assert clinic.see(ATTACHMENT_VIEW, kept, resource=FILE).content == LETTER
    clinic.close()
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert CANARY not in path.read_bytes(), path
