"""Everything that can be wrong with a bundle of the small clinic, each with the answer that it must get.

A defect is a function from a sound log to the files of a bundle. Its name says what is wrong; it names the leaf of
`VerificationError` and the first index that must be told (None where no entry is at fault).

`python -m tests.ops.defects` writes them as zips to tests/golden/bad-bundles, with `expected.json` beside them.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.ops.written_log import NOTHING, Pair, SmallClinic, lp, pack, sha, tree

Files = dict[str, bytes]
CORPUS = Path(__file__).parent.parent / "golden" / "bad-bundles"
FORGER = Pair(b"forger")


class Defect(NamedTuple):
    """What is wrong, and what must be said of it."""

    name: str
    leaf: str
    index: int | None
    make: Callable[[SmallClinic], Files]


DEFECTS: list[Defect] = []


def defect(leaf: str, index: int | None) -> Callable[[Callable[[SmallClinic], Files]], Callable[[SmallClinic], Files]]:
    def add(make: Callable[[SmallClinic], Files]) -> Callable[[SmallClinic], Files]:
        DEFECTS.append(Defect(make.__name__.replace("_", "-"), leaf, index, make))
        return make

    return add


def with_entries(log: SmallClinic, entries: list[bytes], *, tiles: bool = False, **options: bool) -> Files:
    """The log's own bundle, with other entries in it; published hashes, where there are any, stay those of the log."""
    files = log.files(tiles=tiles, **options)
    files[f"tile/entries/000.p/{len(log.entries)}"] = b"".join(map(lp, entries))
    return files


def edited(log: SmallClinic, index: int, at: int, new: bytes) -> list[bytes]:
    entry = log.entries[index]
    return [*log.entries[:index], entry[:at] + new + entry[at + len(new) :], *log.entries[index + 1 :]]


# --- entries


@defect("AlteredEntry", 9)
def entry_edited(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 9, 130, b"\xff\xff"), tiles=True)


@defect("BrokenChain", 6)
def entry_edited_without_published_hashes(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 6, 130, b"\xff\xff"))


@defect("WrongRoot", 11)
def last_entry_edited_without_published_hashes(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 17, 130, b"\xff\xff"))


@defect("AlteredEntry", 12)
def entries_reordered(log: SmallClinic) -> Files:
    entries = list(log.entries)
    entries[12:14] = reversed(entries[12:14])
    return with_entries(log, entries, tiles=True)


@defect("TimesFall", 13)
def entries_reordered_without_published_hashes(log: SmallClinic) -> Files:
    entries = list(log.entries)
    entries[12:14] = reversed(entries[12:14])
    return with_entries(log, entries, payloads=False)


@defect("TimesFall", 10)
def time_stands_still(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 10, 8, log.entries[9][8:16]))


@defect("AlteredEntry", 9)
def entry_taken_out(log: SmallClinic) -> Files:
    return with_entries(log, log.entries[:9] + log.entries[10:], payloads=False, tiles=True)


@defect("MalformedTile", 17)
def last_entry_taken_out(log: SmallClinic) -> Files:
    return with_entries(log, log.entries[:-1])


@defect("AlteredEntry", 9)
def entry_put_in(log: SmallClinic) -> Files:
    return with_entries(log, [*log.entries[:9], log.entries[8], *log.entries[9:17]], tiles=True)


@defect("MalformedTile", 17)
def tile_with_bytes_left_over(log: SmallClinic) -> Files:
    return with_entries(log, [*log.entries, log.entries[-1]])


@defect("MalformedEntry", 9)
def entry_of_another_length(log: SmallClinic) -> Files:
    return with_entries(log, [*log.entries[:9], log.entries[9] + b"\0", *log.entries[10:]])


@defect("MalformedEntry", 9)
def entry_of_another_format(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 9, 6, b"\2"))


@defect("MalformedEntry", 9)
def entry_of_unknown_kind(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 9, 7, b"\x08"))


@defect("MalformedEntry", 4)
def key_entry_with_content(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 4, 125, b"\1"))


@defect("MalformedEntry", 4)
def key_entry_of_unknown_class(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 4, 88, b"\7"))


@defect("MalformedEntry", 4)
def key_entry_with_a_version(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 4, 39, b"\1"))


@defect("MalformedEntry", 11)
def epoch_entry_with_a_key(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 11, 72, b"\1"))


@defect("MalformedEntry", 4)
def key_entry_with_a_digest_of_nothing(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 4, 93, b"\1"))


@defect("MalformedEntry", 15)
def purge_with_a_length(log: SmallClinic) -> Files:
    return with_entries(log, edited(log, 15, 92, b"\1"))


@defect("AlteredTile", 9)
def published_hash_altered(log: SmallClinic) -> Files:
    files = log.files()
    tile = files["tile/0/000.p/18"]
    return files | {"tile/0/000.p/18": tile[: 32 * 9] + NOTHING + tile[32 * 10 :]}


@defect("MalformedTile", None)
def published_hashes_cut_short(log: SmallClinic) -> Files:
    files = log.files()
    return files | {"tile/0/000.p/18": files["tile/0/000.p/18"][:-1]}


@defect("Incomplete", 0)
def tile_missing(log: SmallClinic) -> Files:
    files = log.files()
    del files["tile/entries/000.p/18"]
    return files


# --- streams and keys, by someone who signs


@defect("BrokenChain", 18)
def version_left_out(log: SmallClinic) -> Files:
    log.heads[log.ann] = (log.heads[log.ann][0] + 1, log.heads[log.ann][1])
    log.note("four")
    return log.files()


@defect("BrokenChain", 18)
def version_given_twice(log: SmallClinic) -> Files:
    log.heads[log.ann] = (log.heads[log.ann][0] - 1, log.heads[log.ann][1])
    log.note("three again")
    return log.files()


@defect("BrokenChain", 12)
def another_entry_named_as_the_one_before(log: SmallClinic) -> Files:
    log.heads[log.ann] = (log.heads[log.ann][0], sha(b"another"))
    log.note("four")
    return log.files()


@defect("BrokenChain", 18)
def first_of_a_stream_names_one_before(log: SmallClinic) -> Files:
    log.heads[log.id()] = (0, sha(b"another"))
    log.event(list(log.heads)[-1], log.ann_key)
    return log.files()


@defect("KeyIsDestroyed", 18)
def event_under_a_destroyed_key(log: SmallClinic) -> Files:
    log.event(log.ben, log.ben_key, "from beyond")
    return log.files()


@defect("UnknownKey", 18)
def event_under_a_key_never_created(log: SmallClinic) -> Files:
    log.event(log.ann, log.id(), "whose?")
    return log.files()


@defect("UnknownKey", 18)
def event_under_a_key_of_another_class(log: SmallClinic) -> Files:
    log.event(log.ann, log.ann_key, "whose?", 2)
    return log.files()


@defect("UnknownKey", 18)
def key_created_twice(log: SmallClinic) -> Files:
    log.enter(3, log.ann, 0, NOTHING, log.ann_key, 1)
    return log.files()


@defect("UnknownKey", 18)
def key_destroyed_twice(log: SmallClinic) -> Files:
    log.destroy(log.ben, log.ben_key)
    return log.files()


@defect("UnknownKey", 18)
def key_of_another_client_destroyed(log: SmallClinic) -> Files:
    log.destroy(log.ben, log.ann_key)
    return log.files()


# --- payloads


@defect("AlteredPayload", 9)
def payload_edited(log: SmallClinic) -> Files:
    files = log.files()
    return files | {"payloads/9": files["payloads/9"][:-1] + b"\0"}


@defect("AlteredPayload", 8)
def payloads_swapped_across_streams(log: SmallClinic) -> Files:
    files = log.files()
    return files | {"payloads/8": files["payloads/9"], "payloads/9": files["payloads/8"]}


@defect("AlteredPayload", 12)
def older_version_in_its_place(log: SmallClinic) -> Files:
    files = log.files()
    return files | {"payloads/12": files["payloads/9"]}


@defect("PurgeUnsaid", 9)
def payload_purged_without_an_entry(log: SmallClinic) -> Files:
    files = log.files()
    return files | {"payloads/9": b"\0" + log.entries[9][72:88] + log.entries[9][93:125]}


@defect("AlteredPayload", 9)
def payload_purged_with_another_digest(log: SmallClinic) -> Files:
    files = log.files()
    return files | {"payloads/9": b"\0" + log.entries[9][72:88] + NOTHING}


@defect("PurgeUnsaid", 15)
def purge_entry_with_another_digest(log: SmallClinic) -> Files:
    again = log.copy(15)
    again.purge(6)
    again.entries[15] = again.entries[15][:93] + sha(b"another") + NOTHING
    return again.files()


@defect("PurgeUnsaid", 18)
def purge_of_what_was_never_there(log: SmallClinic) -> Files:
    log.enter(6, log.ann, 9, NOTHING, log.ann_key, 1, 0, sha(b"another"))
    return log.files()


@defect("MalformedBundle", None)
def payload_of_no_entry(log: SmallClinic) -> Files:
    return log.files() | {"payloads/18": b"x"}


@defect("MalformedBundle", None)
def payload_named_in_two_ways(log: SmallClinic) -> Files:
    return log.files() | {"payloads/09": b"x"}


# --- genesis, epochs and restores


@defect("WrongGenesis", 0)
def genesis_of_a_forger(log: SmallClinic) -> Files:
    return SmallClinic("forger").files()


@defect("WrongGenesis", 0)
def genesis_missing(log: SmallClinic) -> Files:
    log.entries = log.entries[1:]
    return log.files(payloads=False)


@defect("WrongEpoch", 18)
def genesis_twice(log: SmallClinic) -> Files:
    body = log.bodies[0]
    log.bodies[18] = body
    log.enter(5, log.deployment.bytes, 2, log.last_turn, bytes(16), 0, len(body), sha(body))
    return log.files()


@defect("WrongRoot", 0)
def sealed_epoch_rewritten_and_signed_again(log: SmallClinic) -> Files:
    entries, body = log.entries, log.bodies[11]
    again = log.copy(9)
    again.note("not what was written")
    again.reading()
    again.entries.append(entries[11])
    again.bodies[11] = body
    again.read_again()
    again.reading()
    return again.files()


@defect("BadSignature", 18)
def epoch_forged_from_a_public_checkpoint(log: SmallClinic) -> Files:
    log.turn(signer=FORGER)
    return log.files()


@defect("BadSignature", 18)
def epoch_signed_by_the_classic_key_alone(log: SmallClinic) -> Files:
    half = Pair(b"half")
    half.classic = log.pair(1).classic
    log.turn(signer=half)
    return log.files()


@defect("BadSignature", 18)
def epoch_signed_by_the_quantum_key_alone(log: SmallClinic) -> Files:
    half = Pair(b"half")
    half.quantum = log.pair(1).quantum
    log.turn(signer=half)
    return log.files()


@defect("BadSignature", 18)
def restore_declared_without_the_recovery_key(log: SmallClinic) -> Files:
    log.turn(restore=30, signer=log.pair(1))
    return log.files()


@defect("WrongEpoch", 18)
def epoch_number_left_out(log: SmallClinic) -> Files:
    log.epoch = 2
    log.turn(signer=log.pair(1))
    return log.files()


@defect("WrongEpoch", 18)
def epoch_names_another_one_before(log: SmallClinic) -> Files:
    log.last_turn = NOTHING
    log.turn()
    return log.files()


@defect("WrongEpoch", 19)
def epoch_of_another_size(log: SmallClinic) -> Files:
    early = log.copy()
    early.turn()
    log.reading()
    body = early.bodies[18]
    log.bodies[19] = body
    log.enter(5, log.deployment.bytes, 2, log.last_turn, bytes(16), 0, len(body), sha(body))
    return log.files()


@defect("WrongRoot", 11)
def epoch_seals_another_root(log: SmallClinic) -> Files:
    other = log.copy(17)
    other.note("another history")
    other.turn()
    body = other.bodies[18]
    log.bodies[18] = body
    log.enter(5, log.deployment.bytes, 2, log.last_turn, bytes(16), 0, len(body), sha(body))
    return log.files()


@defect("WrongHeads", 18)
def epoch_counts_other_versions(log: SmallClinic) -> Files:
    log.heads[log.ann_readings] = (2, NOTHING)
    log.turn()
    return log.files()


@defect("SignatureMissing", None)
def checkpoint_within_an_epoch_is_unsigned(log: SmallClinic) -> Files:
    log.turn(checkpoint=b"\n".join(log.checkpoint().split(b"\n")[:5]) + b"\n")
    return log.files()


@defect("WrongEpoch", 18)
def checkpoint_within_an_epoch_is_older(log: SmallClinic) -> Files:
    log.turn(checkpoint=log.checkpoint(17))
    return log.files()


@defect("Incomplete", 11)
def body_missing(log: SmallClinic) -> Files:
    files = log.files()
    del files["bodies/11"]
    return files


@defect("MalformedBody", 11)
def body_altered(log: SmallClinic) -> Files:
    files = log.files()
    return files | {"bodies/11": files["bodies/11"][:-1] + b"\0"}


def _with_body(log: SmallClinic, change: Callable[[bytes], bytes], kind: int = 5) -> Files:
    log.turn(restore=None if kind == 5 else 30)
    body = change(log.bodies[18])
    log.bodies[18] = body
    entry = log.entries[18]
    log.entries[18] = entry[:89] + struct.pack(">I", len(body)) + sha(body) + entry[125:]
    return log.files()


@defect("MalformedBody", 18)
def body_with_bytes_left_over(log: SmallClinic) -> Files:
    return _with_body(log, lambda body: body + b"\0")


@defect("MalformedBody", 18)
def body_cut_short(log: SmallClinic) -> Files:
    return _with_body(log, lambda body: body[:-1])


@defect("MalformedBody", 18)
def body_of_another_format(log: SmallClinic) -> Files:
    return _with_body(log, lambda body: b"WKEPOCH\2" + body[8:])


@defect("MalformedBody", 18)
def restore_in_the_words_of_an_epoch(log: SmallClinic) -> Files:
    return _with_body(log, lambda body: b"WKEPOCH\1" + body[10:], kind=7)


# --- checkpoints


def _with_checkpoint(log: SmallClinic, change: Callable[[bytes], bytes]) -> Files:
    files = log.files()
    return files | {"checkpoint": change(files["checkpoint"])}


def _without_line(note: bytes, number: int) -> bytes:
    lines = note.split(b"\n")
    del lines[4 + number]
    return b"\n".join(lines)


@defect("SignatureMissing", None)
def signature_of_the_log_key_stripped(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: _without_line(note, 0))


@defect("SignatureMissing", None)
def classic_signature_of_the_epoch_stripped(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: _without_line(note, 1))


@defect("SignatureMissing", None)
def quantum_signature_of_the_epoch_stripped(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: _without_line(note, 2))


@defect("BadSignature", None)
def checkpoint_signed_by_a_forger(log: SmallClinic) -> Files:
    return log.files() | {"checkpoint": log.checkpoint(pair=FORGER)}


@defect("SignatureMissing", None)
def checkpoint_signed_by_the_epoch_before(log: SmallClinic) -> Files:
    return log.files() | {"checkpoint": log.checkpoint(epoch=0)}


@defect("BadSignature", None)
def checkpoint_signed_with_another_log_key(log: SmallClinic) -> Files:
    log.log_key = FORGER.classic
    return log.files()


@defect("BadSignature", None)
def log_signature_of_another_checkpoint(log: SmallClinic) -> Files:
    other = log.checkpoint(17).split(b"\n")
    return _with_checkpoint(log, lambda note: b"\n".join([*note.split(b"\n")[:4], other[4], *note.split(b"\n")[5:]]))


@defect("BadSignature", None)
def classic_signature_of_another_checkpoint(log: SmallClinic) -> Files:
    other = log.checkpoint(17).split(b"\n")
    return _with_checkpoint(log, lambda note: b"\n".join([*note.split(b"\n")[:5], other[5], *note.split(b"\n")[6:]]))


@defect("BadSignature", None)
def quantum_signature_of_another_checkpoint(log: SmallClinic) -> Files:
    other = log.checkpoint(17).split(b"\n")
    return _with_checkpoint(log, lambda note: b"\n".join([*note.split(b"\n")[:6], other[6], b""]))


@defect("WrongRoot", 11)
def signed_root_of_another_history(log: SmallClinic) -> Files:
    return log.files() | {"checkpoint": log.checkpoint(root=tree([NOTHING]))}


@defect("WrongRoot", 0)
def older_checkpoint_of_another_history(log: SmallClinic) -> Files:
    return log.files() | {"checkpoints/9": log.checkpoint(9, root=NOTHING)}


@defect("RolledBack", 18)
def older_checkpoint_is_newer(log: SmallClinic) -> Files:
    newer = log.copy()
    newer.reading()
    return log.files() | {"checkpoints/19": newer.checkpoint()}


@defect("MalformedCheckpoint", None)
def checkpoint_with_an_extension_line(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note.replace(b"=\n\n", b"=\nextension\n\n", 1))


@defect("MalformedCheckpoint", None)
def checkpoint_size_with_a_leading_zero(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note.replace(b"\n18\n", b"\n018\n", 1))


@defect("MalformedCheckpoint", None)
def checkpoint_root_of_wrong_length(log: SmallClinic) -> Files:
    return log.files() | {"checkpoint": log.checkpoint(root=b"short")}


@defect("MalformedNote", None)
def checkpoint_root_written_in_another_way(log: SmallClinic) -> Files:
    def change(note: bytes) -> bytes:
        lines = note.split(b"\n")
        alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        last = lines[2][-2]
        lines[2] = lines[2][:-2] + alphabet[alphabet.index(last) + 1 :][:1] + b"="
        return b"\n".join(lines)

    return _with_checkpoint(log, change)


@defect("MalformedNote", None)
def checkpoint_with_carriage_returns(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note.replace(b"\n", b"\r\n"))


@defect("MalformedNote", None)
def checkpoint_without_its_last_newline(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note[:-1])


@defect("MalformedNote", None)
def checkpoint_that_is_not_utf_8(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note.replace(b"wellkept", b"wellkep\xff", 1))


@defect("MalformedNote", None)
def checkpoint_with_too_many_signatures(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note + "— w AAAAAAA=\n".encode() * 30)


@defect("MalformedNote", None)
def checkpoint_with_a_line_that_is_no_signature(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note + b"- w AAAAAAA=\n")


@defect("MalformedBundle", None)
def checkpoint_too_large(log: SmallClinic) -> Files:
    return _with_checkpoint(log, lambda note: note + bytes(range(32, 127)) * 800)


@defect("Incomplete", None)
def checkpoint_missing(log: SmallClinic) -> Files:
    files = log.files()
    del files["checkpoint"]
    return files


# --- disclosed keys


@defect("KeyDoesNotOpen", 9)
def disclosed_key_of_another_event(log: SmallClinic) -> Files:
    return log.files(keys=(9,)) | {"keys/9": log.event_keys[12]}


@defect("KeyDoesNotOpen", 9)
def disclosed_key_of_wrong_length(log: SmallClinic) -> Files:
    return log.files(keys=(9,)) | {"keys/9": log.event_keys[9][:-1]}


@defect("AlteredText", 18)
def text_is_not_the_one_committed_to(log: SmallClinic) -> Files:
    index = log.note("reworded before it was exported")
    log.entries[index] = log.entries[index][:125] + sha(b"the root of the true text")
    log.read_again()
    log.reading()
    return log.files(keys=(index,))


@defect("Incomplete", 9)
def key_disclosed_without_its_payload(log: SmallClinic) -> Files:
    return log.files(payloads=False, keys=(9,))


@defect("Incomplete", 6)
def key_disclosed_of_a_purged_payload(log: SmallClinic) -> Files:
    return log.files(keys=(6,))


@defect("ReadingUnlogged", 18)
def disclosed_without_a_reading_after_it(log: SmallClinic) -> Files:
    index = log.note("the newest")
    return log.files(keys=(index,))


# --- the bundle itself


@defect("MalformedBundle", None)
def json_with_a_key_twice(log: SmallClinic) -> Files:
    text = log.files()["bundle.json"]
    return log.files() | {"bundle.json": text[:-1] + b', "format": "wellkept-bundle/1"}'}


@defect("MalformedBundle", None)
def json_with_nan(log: SmallClinic) -> Files:
    return log.files() | {"bundle.json": log.files()["bundle.json"][:-1] + b', "n": NaN}'}


@defect("MalformedBundle", None)
def json_with_an_integer_over_2_to_the_53(log: SmallClinic) -> Files:
    return log.files() | {"bundle.json": log.files()["bundle.json"][:-1] + b', "n": 9007199254740993}'}


@defect("MalformedBundle", None)
def json_nested_too_deep(log: SmallClinic) -> Files:
    deep = b"[" * 100_000 + b"]" * 100_000
    return log.files() | {"bundle.json": log.files()["bundle.json"][:-1] + b', "n": ' + deep + b"}"}


@defect("MalformedBundle", None)
def json_that_is_no_object(log: SmallClinic) -> Files:
    return log.files() | {"bundle.json": b"[]"}


@defect("MalformedBundle", None)
def bundle_of_another_format(log: SmallClinic) -> Files:
    return log.files() | {"bundle.json": log.files()["bundle.json"].replace(b"bundle/1", b"bundle/2")}


@defect("MalformedBundle", None)
def bundle_names_another_log(log: SmallClinic) -> Files:
    return log.files() | {"bundle.json": log.files()["bundle.json"].replace(b"/log/", b"/log/0")}


@defect("Incomplete", None)
def bundle_without_its_json(log: SmallClinic) -> Files:
    files = log.files()
    del files["bundle.json"]
    return files


KEPT = [
    each for each in DEFECTS if each.leaf.startswith("Malformed") or each.leaf in ("Incomplete", "SignatureMissing")
]
"""Those whose files are kept: what no parser may pass. The others need a log that is signed anew."""


def write_corpus() -> None:
    """Write each defect, and those that only a zip can have, with what must be said of them."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    log = SmallClinic()
    expected: dict[str, object] = {"genesis": log.fingerprint}
    for name, leaf, index, make in KEPT:
        pack(make(log.copy()), CORPUS / f"{name}.zip")
        expected[name] = {"leaf": leaf, "first_bad_index": index}
    for name, change in ZIP_DEFECTS.items():
        change(pack(log.files(), CORPUS / f"{name}.zip"))
        expected[name] = {"leaf": "MalformedBundle", "first_bad_index": None}
    (CORPUS / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def _add(name: str, data: bytes, *, link: bool = False) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        if link:
            info.create_system, info.external_attr = 3, 0o120777 << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(info, data)

    return change


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _damage(path: Path) -> None:
    """Alter packed bytes of the checkpoint, which the zip's own sum then finds."""
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("checkpoint").header_offset + 200
    data = path.read_bytes()
    path.write_bytes(data[:at] + bytes(8) + data[at + 8 :])


ZIP_DEFECTS: dict[str, Callable[[Path], None]] = {
    "zip-name-that-leads-out": _add("../escaped", b"x"),
    "zip-name-that-is-absolute": _add("/etc/escaped", b"x"),
    "zip-name-with-a-backslash": _add("payloads\\9", b"x"),
    "zip-name-twice": _add("keys/9", b"x" * 32),
    "zip-with-a-link": _add("checkpoints/9", b"/etc/passwd", link=True),
    "zip-bomb": _add("checkpoints/9", bytes(1 << 20)),
    "zip-cut-short": _cut,
    "zip-damaged": _damage,
}
_twice = ZIP_DEFECTS["zip-name-twice"]


def _add_twice(path: Path) -> None:
    import warnings

    _twice(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile warns of what is meant here
        _twice(path)


ZIP_DEFECTS["zip-name-twice"] = _add_twice


if __name__ == "__main__":
    write_corpus()
