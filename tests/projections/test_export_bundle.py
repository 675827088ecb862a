"""An export: the same record gives the same bytes, what was entered in error is a hash, a release stands in the log."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import jsonschema_rs
import pytest

from projections.disclosures import DISCLOSURES
from projections.export.record_schema import record_schema
from records.actors import Purpose, Role
from records.disclosures import Export, record_disclosure, release_export
from records.errors import InvalidContent, NotPermitted, RuleBroken, UnknownClient, UnknownItem
from records.ledger import decode_entry
from records.merkle import leaf_hash, node_hash, root
from records.payload import Segment
from records.sealing import segment_digest
from tests.clinic import StaffedClinic, make_clinic
from tests.projections.releases import TOLD, document, fetch, release, releasing, written_record


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StaffedClinic]:
    made = make_clinic(tmp_path_factory.mktemp("export") / "clinic")
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(clinic: StaffedClinic) -> UUID:
    return written_record(clinic)[0]


def digest_of(segment: dict[str, str]) -> bytes:
    if "digest" in segment:
        return bytes.fromhex(segment["digest"])
    return segment_digest(bytes.fromhex(segment["salt"]), Segment(segment["path"], segment["content"].encode()))


def shared_root(size: int, leaves: dict[int, bytes], hashes: list[bytes]) -> bytes:
    """The root that a shared proof leads to, by the rule of the decision."""
    left = iter(hashes)

    def walk(start: int, end: int) -> bytes:
        if not any(start <= index < end for index in leaves):
            return next(left)
        if end - start == 1:
            return leaves[start]
        half = 1
        while half * 2 < end - start:
            half *= 2
        return node_hash(walk(start, start + half), walk(start + half, end))

    found = walk(0, size)
    assert next(left, None) is None
    return found


def base64(text: str) -> bytes:
    import base64

    return base64.b64decode(text, validate=True)


def test_each_segment_opens_its_entry_and_each_entry_the_root_of_the_checkpoint(
    clinic: StaffedClinic, client: UUID
) -> None:
    bundle = fetch(clinic, client, release(clinic, client))
    record, log = document(bundle, "record.json"), document(bundle, "proof/log.json")
    entries = {int(index): base64(entry) for index, entry in log["entries"].items()}
    for event in record["events"]:
        entry = decode_entry(entries[event["index"]])
        assert (entry.stream, entry.version) == (client, event["version"])
        assert root([digest_of(segment) for segment in event["segments"]]) == entry.content_root
    leaves = {index: leaf_hash(entry) for index, entry in entries.items()}
    found = shared_root(log["size"], leaves, [base64(each) for each in log["hashes"]])
    lines = bundle.read("proof/checkpoint").decode().splitlines()
    assert (int(lines[1]), base64(lines[2])) == (log["size"], found)


def test_the_manifest_names_every_file_but_the_proof_and_the_release_names_the_manifest(
    clinic: StaffedClinic, client: UUID
) -> None:
    bundle = fetch(clinic, client, release(clinic, client))
    manifest = document(bundle, "manifest.json")
    named = {each["name"]: each["sha256"] for each in manifest["files"]}
    others = {name for name in bundle.namelist() if not name.startswith("proof/")} - {"manifest.json"}
    assert named == {name: hashlib.sha256(bundle.read(name)).hexdigest() for name in others}
    header = json.loads(document(bundle, "proof/release.json")["segments"][0]["content"])
    assert header["manifest_sha256"] == hashlib.sha256(bundle.read("manifest.json")).hexdigest()
    assert document(bundle, "proof/release.json")["index"] >= manifest["at"]


def test_two_exports_at_one_place_are_the_same_to_the_byte(clinic: StaffedClinic, client: UUID) -> None:
    first = fetch(clinic, client, release(clinic, client))
    at = document(first, "manifest.json")["at"]
    second = fetch(clinic, client, release(clinic, client, at=at))
    names = [name for name in first.namelist() if not name.startswith("proof/")]
    assert [(first.read(name), first.getinfo(name).date_time) for name in names] == [
        (second.read(name), second.getinfo(name).date_time) for name in names
    ]
    assert first.read("proof/release.json") != second.read("proof/release.json")


def test_nothing_at_or_above_the_place_is_in_it(clinic: StaffedClinic, client: UUID) -> None:
    before = document(fetch(clinic, client, release(clinic, client)), "manifest.json")
    bundle = fetch(clinic, client, release(clinic, client, at=before["at"]))
    record = document(bundle, "record.json")
    assert all(each["index"] < record["at"] for each in (*record["events"], *record["readings"]))
    assert (len(record["events"]), len(record["readings"])) == (before["events"], before["readings"])
    later = document(fetch(clinic, client, release(clinic, client)), "manifest.json")
    assert later["events"] > before["events"]
    assert later["readings"] > before["readings"]


def test_what_was_entered_in_error_is_a_hash_and_counted(clinic: StaffedClinic, client: UUID) -> None:
    bundle = fetch(clinic, client, release(clinic, client))
    for name in bundle.namelist():
        assert b"words of wrong" not in bundle.read(name), name
        assert b"Kim Vance" not in bundle.read(name), name
    record = document(bundle, "record.json")
    withheld = [each for event in record["events"] for each in event["segments"] if "withheld" in each]
    assert [each["withheld"] for each in withheld] == ["entered-in-error"] * 2
    assert [(each["reason"], each["count"]) for each in record["left_out"]] == [("entered-in-error", 2)]
    assert record["left_out"] == document(bundle, "manifest.json")["left_out"]
    assert "words of kept" in bundle.read("record.json").decode()


def test_the_record_fits_its_schema(clinic: StaffedClinic, client: UUID) -> None:
    bundle = fetch(clinic, client, release(clinic, client))
    schema, record = document(bundle, "record.schema.json"), document(bundle, "record.json")
    jsonschema_rs.validate(schema, record)
    for event in record["events"]:
        header = json.loads(event["segments"][0]["content"])
        whole = schema["$defs"]["headers"][event["topic"]] | {"$defs": schema["$defs"]}
        jsonschema_rs.validate(json.loads(json.dumps(whole)), header)
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(schema, record | {"more": 1})


def undescribed(schema: Any, place: str = "") -> Iterator[str]:
    if isinstance(schema, dict):
        for name, field in schema.get("properties", {}).items():
            if not field.get("description"):
                yield f"{place}/{name}"
        for name, part in schema.items():
            yield from undescribed(part, f"{place}/{name}")
    elif isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from undescribed(part, f"{place}/{number}")


def test_every_field_of_every_event_is_described() -> None:
    schema = json.loads(record_schema())
    assert list(undescribed(schema)) == []
    texts = [
        (topic, *each) for topic, cls in schema["$defs"]["headers"].items() for each in cls["x-free-texts"].items()
    ]
    assert [each for each in texts if not each[2]] == []
    assert len(texts) > 20


def test_a_release_stands_in_the_account_and_its_reading_among_the_readings(
    clinic: StaffedClinic, client: UUID
) -> None:
    disclosure_id = release(clinic, client)
    page = clinic.see(DISCLOSURES, client, by=Role.RECORDS_CLERK)
    item = next(each for each in page.items if each.id == disclosure_id)
    assert (item.recipient, item.basis) == ("Robin Marsh", "client-request")
    report = fetch(clinic, client, release(clinic, client)).read("access-report/report.txt").decode()
    assert re.search(r"prepared a copy of your record", report)


def test_a_bundle_that_cannot_be_made_as_it_was_released_is_not_given(clinic: StaffedClinic, client: UUID) -> None:
    request = clinic.request(Role.RECORDS_CLERK)
    other = uuid4()
    told = TOLD | {"disclosure_id": other, "authorised_by": request.actor.id, "manifest_sha256": "0" * 64}
    clinic.do(client, release_export, by=Role.RECORDS_CLERK, export=Export(at=20), **told)
    clinic.opened.signer.flush()
    with pytest.raises(RuleBroken) as refused:
        fetch(clinic, client, other)
    assert refused.value.rule == "export-changed"


def test_a_disclosure_that_is_no_export_and_one_of_another_client_are_not_found(
    clinic: StaffedClinic, client: UUID
) -> None:
    request = clinic.request(Role.RECORDS_CLERK)
    letter = uuid4()
    clinic.do(
        client,
        record_disclosure,
        by=Role.RECORDS_CLERK,
        **TOLD,
        disclosure_id=letter,
        authorised_by=request.actor.id,
    )
    released, another = release(clinic, client), clinic.register()
    for whose, which in ((client, letter), (another, released), (client, uuid4())):
        with pytest.raises(UnknownItem):
            fetch(clinic, whose, which)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.RECORDS_CLERK])
def test_nobody_but_the_clerk_exports(clinic: StaffedClinic, client: UUID, role: Role) -> None:
    actor = clinic.staff.get(role)
    if actor is None:
        assert role not in clinic.staff
        return
    told = TOLD | {"disclosure_id": uuid4(), "authorised_by": actor.id}
    before = len(clinic.service.client(client).disclosures)
    with pytest.raises(NotPermitted):
        releasing(clinic).release(client, clinic.request(role), Purpose.PATRQT, at=None, pdf=False, **told)
    assert len(clinic.service.client(client).disclosures) == before


def test_a_place_that_is_not_signed_or_below_the_record_is_refused(clinic: StaffedClinic, client: UUID) -> None:
    with pytest.raises(InvalidContent):
        release(clinic, client, at=10**9)
    with pytest.raises(UnknownClient):
        release(clinic, client, at=1)


def test_the_heads_show_how_many_there_were_at_the_last_epoch(clinic: StaffedClinic, client: UUID) -> None:
    clinic.opened.signer.turn_epoch()
    bundle = fetch(clinic, client, release(clinic, client))
    heads, record = document(bundle, "proof/heads.json"), document(bundle, "record.json")
    epoch = heads["index"]
    assert heads["heads"][str(client)] == max(each["version"] for each in record["events"] if each["index"] < epoch)
    (access,) = set(heads["heads"]) - {str(client)}
    assert heads["heads"][access] == max(each["version"] for each in record["readings"] if each["index"] < epoch)
    leaves = {
        place: leaf_hash(UUID(stream).bytes + heads["heads"][stream].to_bytes(8, "big"))
        for stream, place in heads["places"].items()
    }
    found = shared_root(heads["size"], leaves, [base64(each) for each in heads["hashes"]])
    body = bundle.read(f"proof/bodies/{epoch}")
    assert found in body


def test_what_is_held_for_the_fetching_is_given_once_and_forgotten_with_its_client(clinic: StaffedClinic) -> None:
    erased, exports = clinic.register(), clinic.opened.releasing.exports
    clinic.opened.signer.flush()
    view = exports.preparing
    for _ in range(2):
        prepared = clinic.see(view, erased, by=Role.RECORDS_CLERK, at=None, pdf=False)
    assert exports.take(uuid4(), prepared.manifest_sha256) is None
    assert exports.take(erased, "0" * 64) is None
    assert exports.take(erased, prepared.manifest_sha256) is not None
    assert exports.take(erased, prepared.manifest_sha256) is None
    prepared = clinic.see(view, erased, by=Role.RECORDS_CLERK, at=None, pdf=False)
    clinic.erase(erased)
    assert exports.take(erased, prepared.manifest_sha256) is None
