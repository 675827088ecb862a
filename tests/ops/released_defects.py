"""Defects of a record's bundle that the clinic itself released, and those of its proof; see `record_defects`."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.ops.record_defects import DEFECTS as DEFECTS
from tests.ops.record_defects import defect, edited
from tests.ops.written_log import sha
from tests.ops.written_record import Files, Json, SmallRecord, b64, digest_of, plain, uuid

# --- record.json, by a clinic that lies and releases the lie


def lies(leaf: str, index: int | None = None) -> Callable[[Callable[[Json], object]], None]:
    def add(lie: Callable[[Json], object]) -> None:
        def make(log: SmallRecord) -> Files:
            return log.files(lie=lie)

        make.__name__ = lie.__name__
        defect(leaf, index)(make)

    return add


def segment(record: Json, version: int, place: int) -> Json:
    found: Json = record["events"][version - 1]["segments"][place]
    return found


@lies("AlteredText", 16)
def note_reworded(record: Json) -> None:
    segment(record, 6, 1)["content"] += " Indeed."


@lies("AlteredText", 7)
def segments_swapped(record: Json) -> None:
    texts = record["events"][1]["segments"]
    texts[1], texts[2] = texts[2], texts[1]


@lies("AlteredText", 7)
def text_moved_to_another_place(record: Json) -> None:
    segment(record, 2, 1)["path"] = "sections/history"


@lies("AlteredText", 7)
def segment_left_out(record: Json) -> None:
    record["events"][1]["segments"].pop()


@lies("AlteredText", 16)
def salt_altered(record: Json) -> None:
    segment(record, 6, 1)["salt"] = "00" * 32


@lies("MalformedRecord", 16)
def salt_in_capitals(record: Json) -> None:
    segment(record, 6, 1)["salt"] = segment(record, 6, 1)["salt"].upper()


@lies("AlteredText", 11)
def withheld_digest_altered(record: Json) -> None:
    segment(record, 4, 1)["digest"] = "00" * 32


@lies("AlteredText", 10)
def event_of_another(record: Json) -> None:
    record["events"][2]["segments"] = record["events"][1]["segments"]


@lies("MalformedRecord", 7)
def segment_twice(record: Json) -> None:
    record["events"][1]["segments"].append(segment(record, 2, 1))


@lies("MalformedRecord", 4)
def header_that_is_no_json(record: Json) -> None:
    segment(record, 1, 0)["content"] = '{"topic":1,"topic":2}'


@lies("FilesDisagree")
def shown_text_counted_as_left_out(record: Json) -> None:
    record["left_out"][0]["count"] += 1


@lies("FilesDisagree")
def left_out_and_not_counted(record: Json) -> None:
    record["left_out"].clear()


@lies("FilesDisagree", 16)
def topic_altered(record: Json) -> None:
    record["events"][5]["topic"] = "risk.assessed"


@lies("WrongPlace", 16)
def recorded_at_altered(record: Json) -> None:
    record["events"][5]["recorded_at"] = "2024-01-01T00:00:00Z"


@lies("WrongPlace", 10)
def recorded_at_of_the_log_where_another_system_had_it_first(record: Json) -> None:
    record["events"][2]["recorded_at"] = record["as_of"]


@lies("MalformedRecord", 16)
def recorded_at_that_is_no_time(record: Json) -> None:
    record["events"][5]["recorded_at"] = "yesterday"


@lies("BrokenChain", 10)
def event_dropped_in_the_middle(record: Json) -> None:
    record["events"].pop(1)


@lies("WrongPlace", 10)
def event_dropped_in_the_middle_and_the_others_renumbered(record: Json) -> None:
    record["events"].pop(1)
    for version, event in enumerate(record["events"], 1):
        event["version"] = version


@lies("WrongPlace", 15)
def newest_event_dropped_with_the_one_before(record: Json) -> None:
    del record["events"][4:]
    record["left_out"].pop()


@lies("EntriesMissing", 8)
def events_below_the_epoch_dropped(record: Json) -> None:
    del record["events"][2:]
    record["left_out"].clear()


@lies("EntriesMissing", 9)
def readings_below_the_epoch_dropped(record: Json) -> None:
    del record["readings"][2:]


@lies("EntriesMissing")
def readings_all_dropped(record: Json) -> None:
    record["readings"].clear()


@lies("BrokenChain", 8)
def reading_dropped(record: Json) -> None:
    record["readings"].pop(0)


@lies("WrongPlace", 17)
def newest_reading_dropped(record: Json) -> None:
    record["readings"].pop()


@lies("WrongPlace", 7)
def event_told_as_a_reading(record: Json) -> None:
    record["readings"] = [{"version": 1, "index": 7}]


@lies("WrongPlace", 8)
def reading_told_as_an_event(record: Json) -> None:
    record["events"][1]["index"] = 8


@lies("Incomplete", 6)
def event_of_another_client(record: Json) -> None:
    record["events"][1]["index"] = 6


@lies("WrongPlace", 16)
def place_below_what_is_shown(record: Json) -> None:
    record["at"] = 16


@lies("WrongRelease", 19)
def place_above_the_release(record: Json) -> None:
    record["at"] = 20


@lies("Incomplete")
def no_event(record: Json) -> None:
    record["events"].clear()


@lies("FilesDisagree")
def of_another_time(record: Json) -> None:
    record["as_of"] = "2035-01-01T00:00:00Z"


@lies("FilesDisagree")
def fingerprint_of_another_clinic(record: Json) -> None:
    record["clinic"]["fingerprint"] = "00" * 32


@lies("MalformedRecord")
def key_too_many(record: Json) -> None:
    record["note"] = "x"


@lies("MalformedRecord")
def version_that_is_a_text(record: Json) -> None:
    record["events"][0]["version"] = "1"


@lies("MalformedRecord")
def staff_without_a_name(record: Json) -> None:
    record["staff"]["x"] = 1


@lies("WrongPlace", 4)
def of_another_client(record: Json) -> None:
    record["client_id"] = "5d0b7b4e-0a67-4c9c-8d1c-1f6a5e5b8a11"


# --- the proof


def in_log(leaf: str, index: int | None, edit: Callable[[Json], object], name: str) -> None:
    def make(log: SmallRecord) -> Files:
        return edited(log.files(), "proof/log.json", edit)

    make.__name__ = name
    defect(leaf, index)(make)


in_log("MalformedProof", None, lambda log: log["hashes"].pop(), "proof cut short")
in_log("MalformedProof", None, lambda log: log["hashes"].append(b64(bytes(32))), "proof padded")
in_log("WrongRoot", None, lambda log: log["hashes"].reverse(), "proof in another order")
in_log("MalformedRecord", None, lambda log: log["hashes"].append(b64(bytes(31))), "proof with a short hash")
in_log("FilesDisagree", None, lambda log: log.update(size=21), "proof of another size")
in_log("MalformedRecord", None, lambda log: log.update(format="x"), "proof of another format")
in_log(
    "MalformedRecord", None, lambda log: log["entries"].update({"04": log["entries"].pop("4")}), "entry without index"
)
in_log(
    "MalformedProof", None, lambda log: log["entries"].update({"40": log["entries"]["4"]}), "entry outside of the tree"
)
in_log("WrongRoot", None, lambda log: log["entries"].update({"7": log["entries"]["10"]}), "entry of another place")
in_log("WrongRoot", None, lambda log: log["entries"].pop("7"), "entry left out of the proof")


@defect("MalformedEntry", 7)
def entry_of_another_format(log: SmallRecord) -> Files:
    text = b64(b"X" + log.entries[7][1:])
    return edited(log.files(), "proof/log.json", lambda told: told["entries"].update({"7": text}))


@defect("WrongRoot")
def entry_of_another_content(log: SmallRecord) -> Files:
    text = b64(log.entries[7][:-1] + bytes([log.entries[7][-1] ^ 1]))
    return edited(log.files(), "proof/log.json", lambda told: told["entries"].update({"7": text}))


@defect("WrongPlace", 6)
def entry_too_many_in_the_proof(log: SmallRecord) -> Files:
    log = log.copy()
    log.other()
    files = log.bundle(log.AT)
    wanted = {int(name) for name in json.loads(files["proof/log.json"])["entries"]}
    return files | {"proof/log.json": plain(log.log_file(wanted | {6}))}


@defect("TimesFall", 17)
def times_that_fall(log: SmallRecord) -> Files:
    log = log.copy(17)
    log.at_us -= 3_000_000
    log.reading()
    return log.files()


@defect("WrongGenesis", 0)
def proof_of_another_log(log: SmallRecord) -> Files:
    other = SmallRecord("other").files()
    return log.files() | {name: data for name, data in other.items() if name[:6] == "proof/"}


@defect("FilesDisagree")
def proof_of_another_export_of_the_record(log: SmallRecord) -> Files:
    log = log.copy()
    log.other()
    early, late = log.copy().bundle(9), log.bundle(log.AT)
    return late | {"proof/heads.json": early["proof/heads.json"]}


@defect("WrongHeads", 14)
def heads_of_another_number(log: SmallRecord) -> Files:
    return edited(log.files(), "proof/heads.json", lambda told: told["heads"].update({uuid(log.ann): 2}))


@defect("WrongHeads", 14)
def heads_in_another_order(log: SmallRecord) -> Files:
    def swap(told: Json) -> None:
        first, second = told["places"]
        told["places"] |= {first: told["places"][second], second: told["places"][first]}

    return edited(log.files(), "proof/heads.json", swap)


@defect("MalformedRecord")
def heads_in_one_place(log: SmallRecord) -> Files:
    return edited(log.files(), "proof/heads.json", lambda told: told["places"].update(dict.fromkeys(told["places"], 0)))


@defect("MalformedRecord")
def head_without_a_place(log: SmallRecord) -> Files:
    return edited(log.files(), "proof/heads.json", lambda told: told["places"].pop(uuid(log.ann)))


@defect("MalformedRecord")
def head_of_a_stream_in_capitals(log: SmallRecord) -> Files:
    def capitals(told: Json) -> None:
        for part in ("places", "heads"):
            told[part] = {stream.upper(): value for stream, value in told[part].items()}

    return edited(log.files(), "proof/heads.json", capitals)


@defect("EntriesMissing", 4)
def heads_left_out(log: SmallRecord) -> Files:
    log = log.copy()
    log.other()
    ann, log.ann = log.ann, bytes(16)
    heads = log.heads_file(log.AT)
    log.ann = ann
    return log.bundle(log.AT) | {"proof/heads.json": plain(heads)}


@defect("EntriesMissing")
def head_of_another_stream_too(log: SmallRecord) -> Files:
    def without_readings(record: Json) -> None:
        record["readings"].clear()

    log = log.copy()
    log.other()
    return log.bundle(log.AT, lie=without_readings)


# --- the release


@defect("WrongRelease", 19)
def release_of_another_manifest(log: SmallRecord) -> Files:
    return log.files(manifest_sha256="00" * 32)


@defect("WrongRelease", 19)
def release_without_a_manifest(log: SmallRecord) -> Files:
    return log.files(manifest_sha256=None)


@defect("WrongRelease", 19)
def release_that_is_no_disclosure(log: SmallRecord) -> Files:
    return log.files(topic="note.signed")


@defect("WrongRelease", 16)
def release_below_the_place(log: SmallRecord) -> Files:
    return edited(log.files(), "proof/release.json", lambda told: told.update(index=16))


@defect("Incomplete")
def release_that_is_not_in_the_proof(log: SmallRecord) -> Files:
    return edited(log.files(), "proof/release.json", lambda told: told.update(index=18))


@defect("AlteredText", 19)
def release_reworded(log: SmallRecord) -> Files:
    return edited(log.files(), "proof/release.json", lambda told: told["segments"][1].update(content="a court's order"))


@defect("WrongRelease", 19)
def release_whose_header_is_withheld(log: SmallRecord) -> Files:
    def withhold(told: Json) -> None:
        header = told["segments"][0]
        digest = digest_of(bytes.fromhex(header["salt"]), header["path"], header["content"])
        told["segments"][0] = {"digest": digest.hex(), "withheld": "?"}

    return edited(log.files(), "proof/release.json", withhold)


@defect("WrongRelease", 17)
def release_that_is_a_reading(log: SmallRecord) -> Files:
    return edited(log.files(), "proof/release.json", lambda told: told.update(index=17))


# --- epochs and checkpoints


@defect("BadSignature", 20)
def epoch_signed_by_others(log: SmallRecord) -> Files:
    log = log.copy()
    log.other()
    return log.bundle(log.AT, then=lambda: log.turn(signer=log.pair(7)) and None)


@defect("WrongEpoch", 20)
def epoch_with_the_checkpoint_of_another_size(log: SmallRecord) -> Files:
    log = log.copy()
    log.other()
    return log.bundle(log.AT, then=lambda: log.turn(checkpoint=log.checkpoint(19)) and None)


@defect("BadSignature")
def checkpoint_signed_by_an_older_epoch(log: SmallRecord) -> Files:
    log = log.copy()
    log.other()
    files = log.bundle(log.AT)
    return files | {"proof/checkpoint": log.checkpoint(pair=log.pair(1))}


@defect("SignatureMissing")
def checkpoint_named_after_an_older_epoch(log: SmallRecord) -> Files:
    log = log.copy()
    log.other()
    files = log.bundle(log.AT)
    return files | {"proof/checkpoint": log.checkpoint(epoch=1)}


@defect("WrongRoot")
def checkpoint_over_another_root(log: SmallRecord) -> Files:
    log = log.copy()
    log.other()
    files = log.bundle(log.AT)
    return files | {"proof/checkpoint": log.checkpoint(root=sha(b"?"))}


# --- a log that was signed though it does not hold together


def grown(log: SmallRecord) -> SmallRecord:
    log = log.copy()
    log.other()
    return log


@defect("BrokenChain", 17)
def reading_that_names_no_entry_before(log: SmallRecord) -> Files:
    log = log.copy(17)
    log.heads[log.ann_readings] = (3, bytes(32))
    log.reading()
    return log.files()


@defect("BrokenChain", 19)
def release_that_names_no_entry_before(log: SmallRecord) -> Files:
    log = grown(log)
    log.heads[log.ann] = (6, bytes(32))
    return log.bundle(log.AT)


@defect("WrongRelease", 19)
def release_of_a_version_that_is_shown(log: SmallRecord) -> Files:
    log = grown(log)
    log.heads[log.ann] = (5, log.heads[log.ann][1])
    return log.bundle(log.AT)


@defect("WrongEpoch", 19)
def epoch_that_names_no_epoch_before(log: SmallRecord) -> Files:
    log = grown(log)
    log.last_turn = bytes(32)
    log.turn()
    return log.bundle(log.AT)


@defect("WrongEpoch", 19)
def epoch_with_a_number_left_out(log: SmallRecord) -> Files:
    log = grown(log)
    log.epoch = 5
    log.turn(signer=log.pair(2))
    return log.bundle(log.AT)
