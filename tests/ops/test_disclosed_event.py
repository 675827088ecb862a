"""One entry is disclosed: it is checked by anybody, each alteration is found, and nothing else of the record opens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops import verify
from ops.verifier import bundle as record_bundle
from ops.verifier.event import EventVerifier
from ops.verifier.record import verify_given, verify_record
from projections.client_view import CLIENT_VIEW
from projections.disclosures import DISCLOSURES
from records.actors import Role
from records.disclosures import mark_disclosure_entered_in_error
from records.ledger import KeyClass
from records.notes import mark_note_entered_in_error, sign_note
from tests.clinic import StaffedClinic, make_clinic
from tests.ops.disclosed import (
    Files,
    disclosed,
    edited,
    fetch,
    fingerprint_of,
    index_of,
    opens,
    refusal,
    release,
    released_lie,
    with_manifest,
)
from tests.ops.written_log import write
from tests.projections.releases import written_record
from tests.projections.test_sealed_rows import outside

PASSES = {"ok", "unanchored", "restored"}
NOTE = "note.signed"


class Record:
    """A record with several notes beside another client's, and the bundle of its first note."""

    def __init__(self, path: Path, database_url: str | None = None) -> None:
        self.clinic: StaffedClinic = make_clinic(path, database_url=database_url)
        self.client, self.notes = written_record(self.clinic)
        self.other, _ = written_record(self.clinic)
        self.clinic.note(self.other, "words of another client")
        self.clinic.see(CLIENT_VIEW, self.client)
        self.index = index_of(self.clinic, self.client, NOTE)
        self.files = disclosed(self.clinic, self.client, self.index)

    def answer(self, files: Files, folder: Path) -> verify.Report:
        return verify_given(write(files, folder), verify.Policy(genesis=fingerprint_of(self.files)))

    def failure(self, files: Files, folder: Path) -> tuple[str, int | None]:
        """What the check of altered files ends with."""
        with pytest.raises(verify.VerificationError) as raised:
            EventVerifier(write(files, folder), verify.Policy(genesis=fingerprint_of(self.files))).run()
        return type(raised.value).__name__, raised.value.index


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Record]:
    made = Record(tmp_path_factory.mktemp("disclosed") / "clinic")
    yield made
    made.clinic.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def on_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Record]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    made = Record(tmp_path / "clinic", url)
    yield made
    made.clinic.close()


# --- what it proves


def test_it_is_verified_and_says_what_was_written(on_engine: Record, tmp_path: Path) -> None:
    report = on_engine.answer(on_engine.files, tmp_path / "bundle")
    assert (report.status, report.exit, report.counts["opened"]) == ("unanchored", 0, 1), report.sentence
    assert report.freshness["complete_below"] is None
    told = json.loads(on_engine.files["event.json"])
    assert (told["client_id"], told["index"], told["topic"]) == (str(on_engine.client), on_engine.index, NOTE)
    assert [each["content"] for each in told["segments"][1:]] == ["words of kept"]
    (row,) = [row for row in on_engine.clinic.reader.rows(on_engine.client) if row.position == on_engine.index]
    assert on_engine.files["payload"] == row.state


def test_without_a_fingerprint_it_is_unpinned_and_a_kept_checkpoint_is_an_anchor(
    record: Record, tmp_path: Path
) -> None:
    path = write(record.files, tmp_path)
    assert verify_given(path, verify.Policy()).status == "unpinned"
    kept = verify.parse_checkpoint(record.files["proof/checkpoint"], "The kept checkpoint")
    report = verify_given(path, verify.Policy(genesis=fingerprint_of(record.files), outside=(kept,)))
    assert (report.status, report.exit) == ("ok", 0)
    assert verify_given(path, verify.Policy(genesis="00" * 32)).status == "tampered"


def test_the_release_is_told_and_so_is_the_reading(record: Record) -> None:
    clinic, client = record.clinic, record.client
    before = len(clinic.reader.access_rows(client))
    disclosure_id = release(clinic, client, record.index)
    fetch(clinic, client, disclosure_id)
    assert len(clinic.reader.access_rows(client)) == before + 2
    page = clinic.see(DISCLOSURES, client, by=Role.RECORDS_CLERK)
    item = next(each for each in page.items if each.id == disclosure_id)
    assert (item.recipient, item.description) == ("County Court", "One entry of the record.")


def test_it_is_fetched_again_as_it_was(record: Record) -> None:
    disclosure_id = release(record.clinic, record.client, record.index)
    first = fetch(record.clinic, record.client, disclosure_id)
    assert fetch(record.clinic, record.client, disclosure_id) == first


@pytest.mark.parametrize("topic", ["client.registered", "note.amended", "disclosure.made"])
def test_any_event_of_a_record_can_be_given(record: Record, topic: str, tmp_path: Path) -> None:
    index = index_of(record.clinic, record.client, topic)
    assert record.answer(disclosed(record.clinic, record.client, index), tmp_path).status == "unanchored"


def test_it_is_never_taken_for_a_whole_record(record: Record, tmp_path: Path) -> None:
    report = verify_record(write(record.files, tmp_path), verify.Policy(genesis=fingerprint_of(record.files)))
    assert (report.status, report.exit) == ("tampered", 3), report.sentence


# --- nothing else opens


def test_its_key_opens_no_other_ciphertext_of_the_clinic(on_engine: Record) -> None:
    told = json.loads(on_engine.files["event.json"])
    key, deployment = bytes.fromhex(told["key"]), UUID(told["clinic"]["deployment_id"])
    reader, store = on_engine.clinic.reader, on_engine.clinic.store
    opened, tried = [], 0
    for index, entry in store.entries(-1, reader.position() + 1):
        version = int.from_bytes(entry[32:40], "big")
        if entry[7] not in (1, 2):
            continue
        (row,) = store.history(UUID(bytes=entry[16:32]), version - 1, version)
        tried += 1
        own = next(row.entry for row in reader.rows(on_engine.client) if row.position == on_engine.index)
        # In its own place, and as if it stood in the place of the one that was disclosed.
        if opens(key, deployment, entry, row.state) or (opens(key, deployment, own, row.state) and entry != own):
            opened.append(index)
    assert opened == [on_engine.index]
    assert tried > 30


def test_no_sealed_row_opens_under_it(record: Record) -> None:
    told = json.loads(record.files["event.json"])
    key, deployment = bytes.fromhex(told["key"]), UUID(told["clinic"]["deployment_id"])
    row = record.clinic.reader.sealed_row("view:client", record.client)
    own = next(each for each in record.clinic.reader.rows(record.client) if each.position == record.index)
    assert row is not None
    assert opens(key, deployment, own.entry, own.state)
    for place in (b"event", b"view:client"):
        assert not opens(key, deployment, own.entry, row.state, place)


def test_two_events_of_one_record_have_two_keys(record: Record) -> None:
    keys = {record.clinic.reader.event_key(record.client, row) for row in record.clinic.reader.rows(record.client)}
    assert len(keys) == len(record.clinic.reader.rows(record.client))


def test_nothing_of_anything_else_is_in_it(record: Record) -> None:
    clinic = record.clinic
    log = json.loads(record.files["proof/log.json"])
    given_index = json.loads(record.files["proof/release.json"])["index"]
    bodies = {int(name.rsplit("/", 1)[1]) for name in record.files if name.startswith("proof/bodies/")}
    assert {int(index) for index in log["entries"]} == bodies | {record.index, given_index}
    streams = {entry[16:32] for _, entry in clinic.store.entries(-1, clinic.reader.position() + 1)}
    streams -= {record.client.bytes, clinic.reader.deployment_id.bytes}
    words = [b"words of amended", b"words of wrong", b"better words", b"Kim Vance", b"words of another client"]
    ids = [form for raw in streams for form in (raw, raw.hex().encode(), str(UUID(bytes=raw)).encode())]
    ids += [str(record.notes[name]).encode() for name in ("amended", "wrong")]
    # Whoever wrote the entry and whoever released it stand in these two events, as staff and not as streams of a log.
    named = {str(clinic.staff[role].id).encode() for role in (Role.THERAPIST, Role.RECORDS_CLERK)}
    entries = b"".join(record_bundle.from_base64(each, verify.ENTRY_BYTES, "") for each in log["entries"].values())
    for name, data in (record.files | {"entries": entries}).items():
        assert [each for each in (*words, *ids) if each not in named and each in data] == [], name
    assert set(record.files) - {f"proof/bodies/{each}" for each in bodies} == {
        "README.txt", "event.json", "payload", "manifest.json", "verify.py",
        "proof/checkpoint", "proof/log.json", "proof/release.json",
    }  # fmt: skip


# --- what is refused


def test_what_was_entered_in_error_is_not_given(record: Record) -> None:
    wrong = index_of(record.clinic, record.client, NOTE, 2)
    said_so = index_of(record.clinic, record.client, "note.entered_in_error")
    before = len(record.clinic.service.client(record.client).disclosures)
    for index in (wrong, said_so):
        assert refusal(partial(release, record.clinic, record.client, index)) == "entered-in-error"
    assert len(record.clinic.service.client(record.client).disclosures) == before


def test_what_is_found_to_be_an_error_later_is_not_given_again(record: Record) -> None:
    clinic, client, note = record.clinic, record.client, uuid4()
    clinic.do(client, sign_note, note_id=note, kind="progress", format="free", sections={"text": "not hers"})
    disclosure_id = release(clinic, client, index_of(clinic, client, NOTE, -1))
    version = clinic.service.client(client).notes[note].version
    clinic.do(client, mark_note_entered_in_error, note_id=note, reason="Another's.", if_match=version)
    assert refusal(lambda: fetch(clinic, client, disclosure_id)) == "entered-in-error"


def test_a_release_that_was_an_error_is_not_given_as_an_entry(record: Record) -> None:
    clinic, client = record.clinic, record.client
    disclosure_id = release(clinic, client, record.index)
    index = index_of(clinic, client, "disclosure.made", -1)
    version = clinic.service.client(client).disclosures[disclosure_id].version
    clinic.do(
        client,
        mark_disclosure_entered_in_error,
        by=Role.RECORDS_CLERK,
        disclosure_id=disclosure_id,
        reason="Never sent.",
        if_match=version,
    )
    assert refusal(lambda: release(clinic, client, index)) == "entered-in-error"


def test_what_does_not_open_is_not_given(tmp_path: Path) -> None:
    damaged = Record(tmp_path / "clinic")
    outside(damaged.clinic, "DROP TRIGGER events_stand")
    update = "UPDATE stored_events SET state = zeroblob(600) WHERE originator_id = ? AND originator_version = ?"
    version = json.loads(damaged.files["event.json"])["version"]
    outside(damaged.clinic, update, damaged.client.hex, version)
    assert refusal(partial(release, damaged.clinic, damaged.client, damaged.index)) == "event-unreadable"
    damaged.clinic.close()


def test_nothing_is_given_of_a_client_who_was_erased(tmp_path: Path) -> None:
    erased = Record(tmp_path / "clinic")
    disclosure_id = release(erased.clinic, erased.client, erased.index)
    erased.clinic.erase(erased.client)
    assert refusal(partial(fetch, erased.clinic, erased.client, disclosure_id)) == "Erased"
    assert refusal(partial(release, erased.clinic, erased.client, erased.index)) == "Erased"
    erased.clinic.close()


def test_what_is_no_event_of_this_record_is_not_found(record: Record) -> None:
    entries = dict(record.clinic.store.entries(-1, record.clinic.reader.position() + 1))
    reading = next(index for index, entry in entries.items() if entry[7] == 2)
    staff = next(index for index, entry in entries.items() if entry[7] == 1 and entry[88] == KeyClass.CLINIC)
    others = index_of(record.clinic, record.other, NOTE)
    for index in (0, 1, reading, staff, others, 10**9, -1):
        assert refusal(partial(release, record.clinic, record.client, index)) == "UnknownItem", index


@pytest.mark.parametrize("role", [Role.THERAPIST, Role.SUPERVISOR, Role.PRIVACY_OFFICER, Role.FRONT_DESK])
def test_nobody_but_the_clerk_gives_one(record: Record, role: Role) -> None:
    assert refusal(lambda: release(record.clinic, record.client, record.index, role)) == "NotPermitted"


# --- what is found


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_byte_can_be_altered(record: Record, tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(record.files)))
    at = data.draw(st.integers(0, len(record.files[name]) - 1))
    flip = data.draw(st.integers(1, 255))
    old = record.files[name]
    altered = old[:at] + bytes([old[at] ^ flip]) + old[at + 1 :]
    report = record.answer(record.files | {name: altered}, tmp_path / "bundle")
    assert report.status not in PASSES, (name, at, flip)


def test_each_file_altered_is_found(record: Record, tmp_path: Path) -> None:
    for place, (name, data) in enumerate(record.files.items()):
        altered = record.files | {name: data + b"?"}
        assert record.answer(altered, tmp_path / str(place)).status not in PASSES, name
        left = {each: data for each, data in record.files.items() if each != name}
        assert record.answer(left, tmp_path / f"without-{place}").status not in PASSES, name


def test_a_file_too_many_is_found(record: Record, tmp_path: Path) -> None:
    for place, name in enumerate(("proof/heads.json", "record.json", "notes.txt")):
        more = record.files | {name: b"{}"}
        assert record.failure(more, tmp_path / str(place)) == ("MalformedBundle", None)


def test_altered_files_with_a_manifest_made_anew_are_not_those_that_were_released(
    record: Record, tmp_path: Path
) -> None:
    release_index = json.loads(record.files["proof/release.json"])["index"]
    files = with_manifest(record.files | {"README.txt": b"Read something else."})
    assert record.failure(files, tmp_path) == ("WrongRelease", release_index)


def another(record: Record) -> Files:
    """The bundle of another event of the same record."""
    return disclosed(record.clinic, record.client, index_of(record.clinic, record.client, NOTE, 1))


def lied(record: Record, edit: Any) -> Files:
    return released_lie(record.clinic, record.client, edited(record.files, edit), record.index)


def test_the_key_of_another_event_does_not_open_it(record: Record, tmp_path: Path) -> None:
    key = json.loads(another(record)["event.json"])["key"]
    files = lied(record, lambda event: event.update(key=key))
    assert record.failure(files, tmp_path) == ("KeyDoesNotOpen", record.index)


def test_the_payload_of_another_event_is_not_the_one_that_was_logged(record: Record, tmp_path: Path) -> None:
    files = with_manifest(record.files | {"payload": another(record)["payload"]})
    files = released_lie(record.clinic, record.client, files, record.index)
    assert record.failure(files, tmp_path) == ("AlteredPayload", record.index)


def test_key_and_payload_of_another_event_are_not_those_of_this_place(record: Record, tmp_path: Path) -> None:
    theirs = another(record)
    key = json.loads(theirs["event.json"])["key"]
    files = edited(record.files | {"payload": theirs["payload"]}, lambda event: event.update(key=key))
    files = released_lie(record.clinic, record.client, files, record.index)
    assert record.failure(files, tmp_path) == ("AlteredPayload", record.index)


def reworded(event: Any) -> None:
    event["segments"][1]["content"] = "words we kept"


def segment_left_out(event: Any) -> None:
    event["segments"].pop()


def segment_withheld(event: Any) -> None:
    told = event["segments"][1]
    path, content = told["path"].encode(), told["content"].encode()
    parts = (len(path).to_bytes(2, "big"), path, len(content).to_bytes(4, "big"), content)
    digest = hashlib.sha256(b"wkseg\x01" + bytes.fromhex(told["salt"]) + b"".join(parts)).hexdigest()
    event["segments"][1] = {"digest": digest, "withheld": "entered-in-error"}


def another_topic(event: Any) -> None:
    event["topic"] = "note.amended"


def another_time(event: Any) -> None:
    event["recorded_at"] = "2020-01-01T00:00:00Z"


def another_salt(event: Any) -> None:
    event["segments"][1]["salt"] = "00" * 32


def more_said(event: Any) -> None:
    event["opinion"] = "Guilty."


def another_log(event: Any) -> None:
    event["clinic"]["fingerprint"] = "00" * 32


def another_clinic(event: Any) -> None:
    event["clinic"]["name"] = "Dale Clinic"


def key_cut_short(event: Any) -> None:
    event["key"] = event["key"][:62]


@pytest.mark.parametrize(
    ("edit", "leaf", "of_entry"),
    [
        (reworded, "AlteredText", True),
        (segment_left_out, "AlteredText", True),
        (segment_withheld, "FilesDisagree", True),
        (another_topic, "FilesDisagree", True),
        (another_time, "WrongPlace", True),
        (another_salt, "AlteredText", True),
        (more_said, "MalformedRecord", False),
        (another_log, "FilesDisagree", False),
        (another_clinic, "FilesDisagree", False),
        (key_cut_short, "MalformedRecord", True),
    ],
)
def test_a_lie_that_the_clinic_released_is_found(
    edit: Any, leaf: str, of_entry: bool, record: Record, tmp_path: Path
) -> None:
    assert record.failure(lied(record, edit), tmp_path) == (leaf, record.index if of_entry else None)


@pytest.mark.parametrize("key", ["index", "version", "client_id"])
def test_an_event_in_the_place_of_another_is_found(key: str, record: Record, tmp_path: Path) -> None:
    theirs = json.loads(another(record)["event.json"])
    value = str(record.other) if key == "client_id" else theirs[key]
    files = with_manifest(edited(record.files, lambda event: event.update({key: value})), **{key: value})
    files = released_lie(record.clinic, record.client, files, record.index, theirs["index"])
    assert record.failure(files, tmp_path) == ("WrongPlace", theirs["index"] if key == "index" else record.index)


def test_an_entry_that_was_slipped_in_is_found(record: Record, tmp_path: Path) -> None:
    beside = index_of(record.clinic, record.client, NOTE, 1)
    files = released_lie(record.clinic, record.client, record.files, record.index, beside)
    assert record.failure(files, tmp_path) == ("WrongPlace", beside)


def test_the_release_of_another_client_is_none(record: Record, tmp_path: Path) -> None:
    files = released_lie(record.clinic, record.other, record.files, record.index)
    assert record.failure(files, tmp_path)[0] == "WrongRelease"
