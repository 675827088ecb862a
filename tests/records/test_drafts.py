"""Drafts: their author's alone, bound to their note, moved forward only, and gone when the note is signed."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from records.actors import Actor, Purpose
from records.care_team import remove_member
from records.drafts import DRAFT_VIEW, PLACE, Draft
from records.errors import (
    InvalidContent,
    NotPermitted,
    NotStored,
    RuleBroken,
    SealBroken,
    StaleRecord,
    UnknownItem,
    VersionRequired,
)
from records.notes import NoteSigned, text_digest
from tests.doors import Doors

NOTE = UUID("00000000-0000-4000-8000-0000000000d1")


def draft(text: str = "Seen, and heard.", **facts: Any) -> Draft:
    return Draft(**{"kind": "progress", "format": "free", "sections": {"text": text}, **facts})


def read(doors: Doors, client: UUID, actor: Actor | None = None, note: UUID = NOTE) -> dict[str, Any]:
    document: dict[str, Any] = doors.service.view(DRAFT_VIEW, doors.ask(actor), Purpose.TREAT, client, resource=note)
    return document


def test_an_author_reads_their_draft_and_the_reading_is_recorded(checked: Doors) -> None:
    client = checked.client()
    saved = checked.drafts.save(client, NOTE, draft(), checked.ask())

    document = read(checked, client)
    assert document["sections"] == {"text": "Seen, and heard."}
    assert (document["id"], document["revision"]) == (NOTE, saved.revision) == (NOTE, 1)
    assert document["text_sha256"] == saved.text_sha256 == text_digest({"text": "Seen, and heard."})
    [entry] = checked.access(client)
    assert (entry.action, entry.outcome, entry.resource) == ("note.draft.view", "permit", NOTE)


def test_nobody_else_sees_it_or_learns_that_it_is_there(checked: Doors) -> None:
    client = checked.client(supervised_by=checked.supervisor)
    checked.place(client, checked.stranger, "team")
    checked.drafts.save(client, NOTE, draft(), checked.ask())

    for note in (NOTE, uuid4()):
        with pytest.raises(UnknownItem) as caught:
            read(checked, client, checked.stranger, note)
        assert str(caught.value) == "unknown draft"
    with pytest.raises(NotPermitted):
        checked.service.view(DRAFT_VIEW, checked.ask(checked.supervisor), Purpose.HQUALIMP, client, resource=NOTE)
    assert checked.topics(client) == ["ClientRegistered"]
    assert checked.alarms == []


def test_nobody_else_saves_over_it_or_signs_it(checked: Doors) -> None:
    client = checked.client()
    checked.place(client, checked.stranger, "team")
    saved = checked.drafts.save(client, NOTE, draft(), checked.ask())

    with pytest.raises(UnknownItem):
        checked.drafts.save(client, NOTE, draft("Mine now."), checked.ask(checked.stranger, if_match=saved.revision))
    with pytest.raises(UnknownItem):
        checked.drafts.sign(client, NOTE, saved.text_sha256, checked.ask(checked.stranger))
    assert read(checked, client)["sections"] == {"text": "Seen, and heard."}
    assert [entry.reason for entry in checked.access(client)][:2] == ["unknown-item", "unknown-item"]


def test_a_draft_is_its_clients(checked: Doors) -> None:
    client, other = checked.client(), checked.client()
    checked.drafts.save(client, NOTE, draft(), checked.ask())

    with pytest.raises(UnknownItem):
        read(checked, other)
    with pytest.raises(UnknownItem):
        checked.drafts.save(other, NOTE, draft(), checked.ask())
    assert read(checked, client)["revision"] == 1


def test_saving_builds_on_the_revision_that_was_read(checked: Doors) -> None:
    client = checked.client()
    checked.drafts.save(client, NOTE, draft("one"), checked.ask())
    with pytest.raises(VersionRequired):
        checked.drafts.save(client, NOTE, draft("two"), checked.ask())
    second = checked.drafts.save(client, NOTE, draft("two"), checked.ask(if_match=1))
    with pytest.raises(StaleRecord):
        checked.drafts.save(client, NOTE, draft("three"), checked.ask(if_match=1))

    assert second.revision == 2
    assert read(checked, client)["sections"] == {"text": "two"}


def test_of_two_first_saves_at_one_moment_one_is_told_that_it_lost(checked: Doors) -> None:
    client = checked.client()
    service, store = checked.faulty()
    from records.drafts import Drafts

    slow = Drafts(service, store)  # type: ignore[arg-type]  # a wrapped store is a store
    store.before = lambda unit: checked.drafts.save(client, NOTE, draft("first"), checked.ask()) if unit.puts else None

    with pytest.raises(StaleRecord):
        slow.save(client, NOTE, draft("second"), checked.ask())
    assert read(checked, client)["sections"] == {"text": "first"}


def test_signing_puts_the_text_into_the_log_and_deletes_the_draft_in_one_commit(checked: Doors) -> None:
    client = checked.client()
    saved = checked.drafts.save(client, NOTE, draft(), checked.ask())
    service, store = checked.faulty()
    from records.drafts import Drafts

    signing = Drafts(service, store)  # type: ignore[arg-type]  # a wrapped store is a store
    store.fails = NotStored
    with pytest.raises(NotStored):
        signing.sign(client, NOTE, saved.text_sha256, checked.ask())
    assert checked.store.row(PLACE, NOTE) is not None
    assert checked.topics(client) == ["ClientRegistered"]

    store.fails = None
    outcome = signing.sign(client, NOTE, saved.text_sha256, checked.ask())
    assert checked.store.row(PLACE, NOTE) is None
    signed = checked.service.reader.events(client)[-1].event
    assert isinstance(signed, NoteSigned)
    assert (signed.note_id, signed.sections, outcome.subject) == (NOTE, {"text": "Seen, and heard."}, NOTE)


def test_only_the_text_that_was_seen_is_signed(checked: Doors) -> None:
    client = checked.client()
    seen = checked.drafts.save(client, NOTE, draft("seen"), checked.ask())
    checked.drafts.save(client, NOTE, draft("changed elsewhere"), checked.ask(if_match=1))

    with pytest.raises(StaleRecord):
        checked.drafts.sign(client, NOTE, seen.text_sha256, checked.ask())
    assert checked.topics(client) == ["ClientRegistered"]
    assert [entry.reason for entry in checked.access(client)] == ["stale-record"]


def test_a_signed_note_has_no_draft_again(checked: Doors) -> None:
    client = checked.client()
    saved = checked.drafts.save(client, NOTE, draft(), checked.ask())
    checked.drafts.sign(client, NOTE, saved.text_sha256, checked.ask())

    with pytest.raises(RuleBroken) as caught:
        checked.drafts.save(client, NOTE, draft(), checked.ask())
    assert caught.value.rule == "note-already-signed"
    with pytest.raises(UnknownItem):
        checked.drafts.sign(client, NOTE, saved.text_sha256, checked.ask())


def test_signing_again_with_the_same_key_gives_the_first_answer(checked: Doors) -> None:
    client = checked.client()
    saved = checked.drafts.save(client, NOTE, draft(), checked.ask())
    first = checked.drafts.sign(client, NOTE, saved.text_sha256, checked.ask(key="k"))
    before = checked.stored()

    assert checked.drafts.sign(client, NOTE, saved.text_sha256, checked.ask(key="k")) == first._replace(replayed=True)
    assert checked.stored() == before


@pytest.mark.parametrize("facts", [{"format": "prose"}, {"sections": {"plan": "x"}}, {"sections": {"text": " "}}])
def test_a_draft_fits_its_format(checked: Doors, facts: dict[str, Any]) -> None:
    client = checked.client()
    with pytest.raises(InvalidContent):
        checked.drafts.save(client, NOTE, draft(**facts), checked.ask())
    assert checked.store.row(PLACE, NOTE) is None
    assert [entry.reason for entry in checked.access(client)] == ["invalid-content"]


def test_a_draft_is_about_a_session_of_its_own_client(checked: Doors) -> None:
    client = checked.client()
    with pytest.raises(UnknownItem):
        checked.drafts.save(client, NOTE, draft(session_id=uuid4()), checked.ask())


def test_only_who_treats_the_client_drafts(checked: Doors) -> None:
    client = checked.client()
    checked.drafts.save(client, NOTE, draft(), checked.ask())
    for actor, who in ((checked.stranger, client), (checked.therapist, uuid4())):
        with pytest.raises(NotPermitted):
            checked.drafts.save(who, uuid4(), draft(), checked.ask(actor))
    checked.service.transact(client, remove_member, checked.operator, staff_id=checked.therapist.id)
    with pytest.raises(NotPermitted):
        read(checked, client)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE sealed_rows SET version = version + 1",
        "UPDATE sealed_rows SET state = CAST(substr(state, 1, 100) || zeroblob(8) || substr(state, 109) AS BLOB)",
        "UPDATE sealed_rows SET row_id = x'000000000000400080000000000000d2'",
    ],
)
def test_a_draft_that_was_altered_or_moved_opens_for_nobody(checked: Doors, damage: str) -> None:
    client = checked.client()
    checked.drafts.save(client, NOTE, draft(), checked.ask())
    checked.outside(damage)

    note = NOTE if "row_id" not in damage else UUID("00000000-0000-4000-8000-0000000000d2")
    with pytest.raises(SealBroken):
        read(checked, client, note=note)


def test_a_draft_leaves_no_text_on_disk(checked: Doors) -> None:
    client = checked.client()
    checked.drafts.save(client, NOTE, draft("canary in a draft"), checked.ask())

    for file in checked.data.iterdir():
        assert b"canary" not in file.read_bytes(), file.name
