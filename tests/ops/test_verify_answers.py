"""What the offline verifier answers to a sound log, to what was kept outside, and to who asks on the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import verify
from ops.verifier.inclusion import verify_inclusion
from ops.verify import Bundle, Checkpoint, Policy, Report, parse_checkpoint, parse_witness
from tests.ops.written_log import SmallClinic, WrittenWitness, pack, sha, tree, write

NOW = 1_750_000_100
DIVIDER = "\n\n"


@pytest.fixture(scope="module")
def sound() -> SmallClinic:
    return SmallClinic()


@pytest.fixture
def log(sound: SmallClinic) -> SmallClinic:
    return sound.copy()


def kept(note: bytes) -> Checkpoint:
    return parse_checkpoint(note, "The checkpoint kept")


def answer(log: SmallClinic, to: Path, *outside: bytes, **policy: object) -> Report:
    settings = {"genesis": log.fingerprint, "now": NOW} | policy
    return verify.verify(Bundle(write(log.files(), to)), Policy(outside=tuple(map(kept, outside)), **settings))  # type: ignore[arg-type]  # each test names fields of its own


def told(report: Report) -> tuple[str, int | None, int]:
    return report.status, report.first_bad_index, report.exit


def test_a_whole_log_that_was_seen_outside_is_ok(log: SmallClinic, tmp_path: Path) -> None:
    report = answer(log, tmp_path, log.kept[11])
    assert told(report) == ("ok", None, 0)
    assert report.sentence == "All 18 entries are those that were signed."
    assert report.counts == {
        "entries": 18, "events": 6, "readings": 4, "streams": 4, "payloads": 9, "purged": 1, "missing": 0, "opened": 0,
        "epochs": 2, "restores": 0, "checkpoints": 2, "outside": 1, "unsigned": 0,
    }  # fmt: skip
    assert report.erased_streams == [str(verify.UUID(bytes=log.ben))]
    assert report.freshness == {
        "signed_size": 18, "signed_at": "2025-06-15T15:06:40Z", "age_seconds": 100, "outside_size": 11, "witnesses": 0,
        "witnessed_at": None,
    }  # fmt: skip


def test_without_payloads_it_is_as_whole_and_says_how_many_were_not_seen(log: SmallClinic, tmp_path: Path) -> None:
    bundle = Bundle(write(log.files(payloads=False), tmp_path))
    report = verify.verify(bundle, Policy(log.fingerprint, now=NOW))
    assert told(report) == ("unanchored", None, 0)
    assert report.counts["missing"] == 10


def test_without_a_fingerprint_it_is_never_a_pass(log: SmallClinic, tmp_path: Path) -> None:
    assert told(answer(log, tmp_path, log.kept[11], genesis=None)) == ("unpinned", None, 3)


def test_without_anything_from_outside_it_says_so(log: SmallClinic, tmp_path: Path) -> None:
    assert told(answer(log, tmp_path)) == ("unanchored", None, 0)
    assert told(answer(log, tmp_path, require_anchor=True)) == ("unanchored", None, 3)


def test_the_newest_checkpoint_is_one_kept_outside_too(log: SmallClinic, tmp_path: Path) -> None:
    assert told(answer(log, tmp_path, log.checkpoint())) == ("ok", None, 0)


def test_the_checkpoint_of_the_empty_log_proves_nothing_but_is_one_of_it(log: SmallClinic, tmp_path: Path) -> None:
    assert told(answer(log, tmp_path, log.checkpoint(0))) == ("unanchored", None, 0)


def test_a_fingerprint_is_read_as_it_is_printed() -> None:
    digits = sha(b"any").hex()
    groups = " ".join(digits.upper()[at : at + 4] for at in range(0, 64, 4))
    assert verify.parse_fingerprint(groups.replace(" ", "-", 3)) == digits
    for wrong in (digits[1:], digits + "0", "g" + digits[1:], ""):
        with pytest.raises(ValueError, match="64 hexadecimal"):
            verify.parse_fingerprint(wrong)


# --- rolled back, forked, restored


def test_a_log_set_back_is_rolled_back(log: SmallClinic, tmp_path: Path) -> None:
    assert told(answer(log.copy(15), tmp_path, log.checkpoint())) == ("rolled-back", 15, 3)


def test_a_log_set_back_before_the_last_epoch_is_rolled_back(log: SmallClinic, tmp_path: Path) -> None:
    assert told(answer(log.copy(9), tmp_path, log.checkpoint())) == ("rolled-back", 9, 3)


def test_a_log_set_back_that_goes_on_is_forked(log: SmallClinic, tmp_path: Path) -> None:
    other = log.copy(15)
    for _ in range(4):
        other.reading()
    report = answer(other, tmp_path, log.checkpoint())
    assert told(report) == ("forked", 12, 3)
    assert "over another history" in report.sentence


def test_a_log_rewritten_and_signed_again_with_the_current_key_is_forked(log: SmallClinic, tmp_path: Path) -> None:
    other = log.copy(12)
    other.note("not what was written")
    other.reading()
    other.reading()
    assert told(answer(other, tmp_path, log.checkpoint(15))) == ("forked", 12, 3)
    assert told(answer(other, tmp_path, log.kept[11])) == ("ok", None, 0), "only a later checkpoint can tell"


def test_two_histories_of_a_later_epoch_are_told_by_the_log_key(log: SmallClinic, tmp_path: Path) -> None:
    log.turn()
    other = log.copy(15)
    for _ in range(6):
        other.reading()
    assert told(answer(other, tmp_path, log.checkpoint())) == ("forked", 1, 3), "its epoch is not one of these"


def test_a_declared_restore_is_restored_and_never_ok(log: SmallClinic, tmp_path: Path) -> None:
    lost = log.checkpoint()
    restored = log.copy(15)
    restored.turn(restore=18)
    for _ in range(4):
        restored.reading()
    assert told(answer(restored, tmp_path, lost)) == ("restored", None, 0)
    assert told(answer(restored, tmp_path, log.kept[11])) == ("restored", None, 0)
    assert told(answer(restored, tmp_path, require_anchor=True)) == ("restored", None, 3)


def test_a_restore_declares_no_more_than_was_known(log: SmallClinic, tmp_path: Path) -> None:
    log.turn()
    lost = log.checkpoint()
    restored = log.copy(15)
    restored.turn(restore=18)
    assert told(answer(restored, tmp_path, lost)) == ("rolled-back", 16, 3)


def test_a_history_signed_after_a_restore_is_not_declared_by_it(log: SmallClinic, tmp_path: Path) -> None:
    restored = log.copy(15)
    restored.turn(restore=18)
    other = restored.copy()
    restored.reading()
    other.note("another")
    assert told(answer(restored, tmp_path, other.checkpoint())) == ("forked", 16, 3)


def test_a_checkpoint_of_another_log_is_no_proof_of_anything(log: SmallClinic, tmp_path: Path) -> None:
    report = answer(log, tmp_path, SmallClinic("another").checkpoint(17))
    assert told(report) == ("tampered", None, 3)
    assert "of another log" in report.sentence


@pytest.mark.parametrize("size", [11, 17, 18, 19])
def test_a_checkpoint_that_is_not_signed_by_the_log_says_nothing_of_it(
    log: SmallClinic, tmp_path: Path, size: int
) -> None:
    longer = log.copy()
    longer.reading()
    text = longer.checkpoint(size).decode().partition(DIVIDER)[0]
    note = f"{text}\n\n{longer.checkpoint(10).decode().partition(DIVIDER)[2]}".encode()
    verifier = verify.Verifier(Bundle(write(log.files(), tmp_path)), Policy(log.fingerprint, (kept(note),), now=NOW))
    with pytest.raises((verify.BadSignature, verify.SignatureMissing)):
        verifier.run()


# --- tiles


@pytest.fixture(scope="module")
def long() -> SmallClinic:
    log = SmallClinic("long")
    while len(log.entries) < 600:
        log.note("again")
        if len(log.entries) in (256, 300):
            log.turn()
    return log


@pytest.mark.parametrize("bad", [0, 255, 256, 299, 300, 301, 511, 512, 599])
def test_a_published_hash_is_named_wherever_it_stands_in_its_tile(long: SmallClinic, tmp_path: Path, bad: int) -> None:
    files = long.files()
    name = f"tile/0/{bad // 256:03}" + (".p/88" if bad >= 512 else "")
    hashes, at = bytearray(files[name]), 32 * (bad % 256)
    hashes[at : at + 32] = bytes(32)
    whole = verify.verify(Bundle(write(files, tmp_path / "whole")), Policy(long.fingerprint, now=NOW))
    files[name] = bytes(hashes)
    report = verify.verify(Bundle(write(files, tmp_path / "bad")), Policy(long.fingerprint, now=NOW))
    assert (told(whole), told(report)) == (("unanchored", None, 0), ("tampered", bad, 3))
    assert report.sentence == f"The published hash of entry {bad} is not its own."


# --- witnesses


def test_witnesses_anchor_the_newest_checkpoint(log: SmallClinic, tmp_path: Path) -> None:
    one, two = WrittenWitness(), WrittenWitness("witness.example/w2")
    both = (parse_witness(one.vkey), parse_witness(two.vkey))
    files = log.files()
    files["checkpoint"] = one.cosign(files["checkpoint"])
    bundle = Bundle(write(files, tmp_path))
    report = verify.verify(bundle, Policy(log.fingerprint, witnesses=both, quorum=1, now=NOW))
    assert told(report) == ("ok", None, 0)
    assert (report.freshness["witnesses"], report.freshness["witnessed_at"]) == (1, "2025-06-15T15:07:40Z")
    report = verify.verify(bundle, Policy(log.fingerprint, witnesses=both, quorum=2, now=NOW))
    assert told(report) == ("unanchored", None, 3)
    twice = (both[0], both[0])
    report = verify.verify(bundle, Policy(log.fingerprint, witnesses=twice, quorum=2, now=NOW))
    assert told(report) == ("unanchored", None, 3), "one witness named twice is one"


def test_a_cosignature_of_another_checkpoint_is_refused(log: SmallClinic, tmp_path: Path) -> None:
    witness = WrittenWitness()
    files = log.files()
    other = witness.cosign(log.checkpoint(17)).decode().rpartition("— ")[2]
    files["checkpoint"] += f"— {other}".encode()
    policy = Policy(log.fingerprint, witnesses=(parse_witness(witness.vkey),), quorum=1, now=NOW)
    with pytest.raises(verify.BadSignature):
        verify.Verifier(Bundle(write(files, tmp_path)), policy).run()


def test_a_witness_that_nobody_named_counts_for_nothing(log: SmallClinic, tmp_path: Path) -> None:
    files = log.files()
    files["checkpoint"] = WrittenWitness().cosign(files["checkpoint"])
    report = verify.verify(Bundle(write(files, tmp_path)), Policy(log.fingerprint, now=NOW))
    assert told(report) == ("unanchored", None, 0)


@pytest.mark.parametrize("wrong", ["", "w", "w+00000000+BAAA", "w+zz+!!", "+00000000+" + "A" * 44])
def test_a_key_of_no_witness_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_witness(wrong)


# --- disclosed keys


def test_disclosed_keys_open_what_they_should(log: SmallClinic, tmp_path: Path) -> None:
    long = log.event(log.ann, log.ann_key, "Slept badly. " * 4000)
    log.reading()
    report = verify.verify(Bundle(write(log.files(keys=(8, 9, 10, 12, long)), tmp_path)), Policy(log.fingerprint))
    assert told(report) == ("unanchored", None, 0)
    assert report.counts["opened"] == 5


# --- a live log


class Live:
    """The log as a live clinic shows it: everything must be there, and the newest may have no checkpoint yet."""

    whole = True
    disclosed: frozenset[int] = frozenset()

    def __init__(self, log: SmallClinic, signed: int | None) -> None:
        self.log, self.signed = log, signed

    def checkpoints(self) -> list[Checkpoint]:
        return [] if self.signed is None else [kept(self.log.checkpoint(self.signed))]

    def rows(self) -> Iterator[tuple[int, bytes, bytes | None]]:
        for index, entry in enumerate(self.log.entries):
            yield index, entry, self.log.states.get(index)

    def body(self, index: int) -> bytes | None:
        return self.log.bodies.get(index)

    def leaf_hashes(self, tile: int) -> bytes | None:
        return None

    def event_key(self, index: int) -> bytes:
        raise KeyError(index)


def live(log: SmallClinic, signed: int | None, now_us: int) -> Report:
    return verify.verify(Live(log, signed), Policy(log.fingerprint, now=now_us // 1_000_000))


def test_the_newest_entries_may_wait_a_moment_for_their_checkpoint(log: SmallClinic) -> None:
    report = live(log, 15, log.at_us + 30_000_000)
    assert told(report) == ("unanchored", None, 0)
    assert report.counts["unsigned"] == 3
    assert "All 15 entries are those that were signed (3 newer ones" in report.sentence


@pytest.mark.parametrize("signed", [15, None])
def test_entries_that_nobody_signed_are_not_passed(log: SmallClinic, signed: int | None) -> None:
    assert told(live(log, signed, log.at_us + 90_000_000)) == ("incomplete", signed or 0, 3)


def test_a_payload_that_is_gone_from_a_live_log_is_lost(log: SmallClinic) -> None:
    del log.states[9]
    assert told(live(log, 18, log.at_us)) == ("tampered", 9, 3)


def test_a_tail_cut_from_a_live_log_is_seen_by_its_own_checkpoint(log: SmallClinic) -> None:
    report = verify.verify(Cut(log, 18), Policy(log.fingerprint))
    assert told(report) == ("rolled-back", 15, 3)
    assert report.sentence == "The log ends at entry 14: entries 15 to 17, which were signed, are gone."


class Cut(Live):
    """Without its last three rows."""

    def rows(self) -> Iterator[tuple[int, bytes, bytes | None]]:
        yield from list(super().rows())[:-3]


@pytest.mark.parametrize(("indexes", "bad"), [([0, 1, 3], 2), ([0, 1, 1], 1), ([1, 2], 0)])
def test_an_index_that_is_missing_or_twice_is_named(log: SmallClinic, indexes: list[int], bad: int) -> None:
    rows = [(index, log.entries[index], log.states.get(index)) for index in indexes]

    class Some(Live):
        def rows(self) -> Iterator[tuple[int, bytes, bytes | None]]:
            yield from rows

    with pytest.raises(verify.NotDense) as raised:
        verify.Verifier(Some(log, 18), Policy(log.fingerprint)).run()
    assert raised.value.index == bad


def test_an_empty_log_is_not_whole(log: SmallClinic) -> None:
    log.entries = []
    assert told(verify.verify(Live(log, None), Policy(log.fingerprint or None))) == ("tampered", 0, 3)


# --- many tiles


@pytest.fixture(scope="module")
def long_log() -> SmallClinic:
    log = SmallClinic("long")
    for number in range(600):
        log.note("again")
        log.reading()
        if number % 200 == 100:
            log.keep()
            log.turn()
    return log


def test_a_log_of_many_tiles_is_whole(long_log: SmallClinic, tmp_path: Path) -> None:
    report = verify.verify(Bundle(write(long_log.files(), tmp_path)), Policy(long_log.fingerprint, now=NOW))
    assert told(report) == ("unanchored", None, 0)
    assert (report.counts["entries"], report.counts["epochs"]) == (1221, 5)


def test_the_altered_entry_of_many_is_named(long_log: SmallClinic, tmp_path: Path) -> None:
    files = long_log.files(payloads=False)
    tile = bytearray(files["tile/entries/003"])
    tile[44 * 159 + 60] ^= 1
    report = verify.verify(Bundle(write(files | {"tile/entries/003": bytes(tile)}, tmp_path)), Policy())
    assert told(report) == ("tampered", 812, 3)
    assert report.sentence == "Entry 812 is not the one that was signed."


def test_a_tile_that_hides_its_entry_s_change_still_fails_at_the_root(long_log: SmallClinic, tmp_path: Path) -> None:
    files = long_log.files(payloads=False)
    tile = bytearray(files["tile/entries/003"])
    tile[44 * 159 + 60] ^= 1
    hashes = bytearray(files["tile/0/003"])
    hashes[44 * 32 : 45 * 32] = sha(b"\0" + bytes(tile[44 * 159 + 2 : 45 * 159]))
    changed = {"tile/entries/003": bytes(tile), "tile/0/003": bytes(hashes)}
    assert told(verify.verify(Bundle(write(files | changed, tmp_path)), Policy()))[0] == "tampered"


def test_tiles_are_named_as_others_name_them() -> None:
    names = [(0, 256), (5, 7), (1234067, 256), (1000, 1)]
    paths = [verify.tile_path("entries", number, count) for number, count in names]
    assert paths == [
        "tile/entries/000", "tile/entries/005.p/7", "tile/entries/x001/x234/067", "tile/entries/x001/000.p/1",
    ]  # fmt: skip


# --- proofs


def path_to(index: int, leaves: list[bytes]) -> list[bytes]:
    """The inclusion proof of RFC 6962, by its recursive definition."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*path_to(index, leaves[:half]), tree(leaves[half:])]
    return [*path_to(index - half, leaves[half:]), tree(leaves[:half])]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 21])
def test_the_proof_of_each_entry_is_followed_and_no_other(size: int) -> None:
    leaves = [sha(bytes([number])) for number in range(size)]
    root = tree(leaves)
    for index in range(size):
        proof = path_to(index, leaves)
        verify_inclusion(index, size, leaves[index], proof, root)
        for wrong in (sha(b"another"), leaves[index - 1] if size > 1 else sha(b"")):
            with pytest.raises(verify.WrongRoot):
                verify_inclusion(index, size, wrong, proof, root)
        for longer in ([*proof, root], proof[:-1] if proof else [root], [*proof[:-1], b"short"]):
            with pytest.raises(verify.VerificationError):
                verify_inclusion(index, size, leaves[index], longer, root)
    with pytest.raises(verify.MalformedProof):
        verify_inclusion(size, size, leaves[0], [], root)


# --- the file alone


def alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of the one file, far from the rest of the product."""
    shutil.copy(verify.__file__, folder / "verify.py")
    command = [sys.executable, "-I", "verify.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_file_alone_verifies_a_bundle(log: SmallClinic, tmp_path: Path) -> None:
    write(log.files(), tmp_path)
    (tmp_path / "kept").write_bytes(log.kept[11])
    spaced = " ".join(log.fingerprint[at : at + 4] for at in range(0, 64, 4))
    run = alone(tmp_path, "--genesis", spaced, "--checkpoint", "kept")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("ok: All 18 entries are those that were signed.\n")


@pytest.mark.parametrize(
    ("option", "words"),
    [("--genesis", "a genesis fingerprint has 64 hexadecimal digits"), ("--witness", "no verifier key of a witness")],
)
def test_the_file_alone_says_what_is_wrong_with_an_option(tmp_path: Path, option: str, words: str) -> None:
    run = alone(tmp_path, option, "a+b+AAAA")
    assert run.returncode == 2
    assert run.stderr.endswith(f"verify.py: error: argument {option}: {words}\n")


def test_the_file_alone_answers_programs(log: SmallClinic, tmp_path: Path) -> None:
    pack(log.files() | {"payloads/9": b"altered"}, tmp_path / "bundle.zip")
    run = alone(tmp_path, "--json", "--genesis", log.fingerprint, "bundle.zip")
    found = json.loads(run.stdout)
    assert (run.returncode, found["status"], found["first_bad_index"]) == (3, "tampered", 9)
    assert set(found) == {
        "status", "sentence", "first_bad_index", "counts", "erased_streams", "freshness", "warnings",
    }  # fmt: skip


def test_the_file_alone_says_what_is_wrong_with_the_question(log: SmallClinic, tmp_path: Path) -> None:
    write(log.files(), tmp_path)
    for arguments in (["--genesis", "12"], ["--checkpoint", "nowhere"], ["--witness", "w"], ["nowhere"]):
        run = alone(tmp_path, *arguments)
        assert (run.returncode, run.stdout) == (2, ""), arguments
        assert "Traceback" not in run.stderr


def test_a_checkpoint_file_that_is_none_is_an_answer_too(log: SmallClinic, tmp_path: Path) -> None:
    write(log.files(), tmp_path)
    (tmp_path / "kept").write_text("no checkpoint")
    run = alone(tmp_path, "--json", "--genesis", log.fingerprint, "--checkpoint", "kept")
    assert (run.returncode, json.loads(run.stdout)["status"]) == (3, "tampered")
