"""The bundle of a record gets its one answer: sound ones pass, and each thing that can be wrong is found and named."""

from __future__ import annotations

import json
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops import verify
from ops.verifier import bundle as record_bundle
from ops.verifier.record import RecordVerifier, verify_record
from tests.ops.record_defects import Defect
from tests.ops.released_defects import DEFECTS
from tests.ops.written_log import WrittenWitness, pack, write
from tests.ops.written_record import Files, SmallRecord, WrittenRecord

NOW = 1_750_000_100
PASSES = {"ok", "unanchored", "restored"}


@pytest.fixture(scope="module")
def log() -> SmallRecord:
    return SmallRecord()


@pytest.fixture(scope="module")
def sound(log: SmallRecord) -> Files:
    return log.files()


def asked(log: WrittenRecord, *outside: bytes, **more: Any) -> verify.Policy:
    kept = tuple(verify.parse_checkpoint(note, "The kept checkpoint") for note in outside)
    return verify.Policy(genesis=log.fingerprint, outside=kept, now=NOW, **more)


def ended_by(path: Path, policy: verify.Policy) -> verify.VerificationError:
    """The error that verification ends with; the test fails where there is none."""
    with pytest.raises(verify.VerificationError) as raised:
        RecordVerifier(path, policy).run()
    return raised.value


# --- what is wrong


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_is_found_and_named(defect: Defect, log: SmallRecord, tmp_path: Path) -> None:
    error = ended_by(write(defect.make(log.copy()), tmp_path), asked(log))
    assert (type(error).__name__, error.index) == (defect.leaf, defect.index), str(error)


def test_every_leaf_of_its_own_is_met_by_a_defect() -> None:
    own = {leaf.__name__ for leaf in vars(record_bundle).values() if _is_leaf(leaf)}
    assert own - {defect.leaf for defect in DEFECTS} == set()


def _is_leaf(value: Any) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, verify.VerificationError)
        and value.__module__ == record_bundle.__name__
    )


def test_the_sentence_names_file_and_place(log: SmallRecord, tmp_path: Path) -> None:
    defect = next(each for each in DEFECTS if each.name == "word-of-the-page-altered")
    report = verify_record(write(defect.make(log.copy()), tmp_path), asked(log))
    said = "record.html: the text of entry 7 (sections/summary) is not what the record holds."
    assert (report.status, report.sentence, report.exit) == ("tampered", said, 3)


def zip_twice(path: Path, files: Files) -> None:
    pack(files, path)
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("record.json", files["record.json"])


def zip_bomb(path: Path, files: Files) -> None:
    pack(files | {"record.pdf": bytes(1 << 20)}, path)


def zip_leading_out(path: Path, files: Files) -> None:
    pack(files | {"../record.pdf": b"?"}, path)


def zip_cut(path: Path, files: Files) -> None:
    path.write_bytes(pack(files, path).read_bytes()[:-30])


@pytest.mark.parametrize("spoil", [zip_twice, zip_bomb, zip_leading_out, zip_cut])
def test_a_defect_of_the_zip_is_found(spoil: Any, log: SmallRecord, sound: Files, tmp_path: Path) -> None:
    spoil(tmp_path / "bundle.zip", sound)
    assert isinstance(ended_by(tmp_path / "bundle.zip", asked(log)), verify.MalformedBundle)


def test_a_link_in_a_folder_is_refused(log: SmallRecord, sound: Files, tmp_path: Path) -> None:
    path = write(sound, tmp_path)
    (path / "record.pdf").symlink_to(path / "record.html")
    assert isinstance(ended_by(path, asked(log)), verify.MalformedBundle)


def test_a_file_larger_than_it_can_be_is_refused(log: SmallRecord, sound: Files, tmp_path: Path) -> None:
    path = write(sound, tmp_path)
    with (path / "README.txt").open("r+b") as file:
        file.truncate(record_bundle.MAX_FILE_BYTES + 1)
    assert isinstance(ended_by(path, asked(log)), verify.MalformedBundle)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_byte_can_be_altered(log: SmallRecord, sound: Files, tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(sound)))
    at = data.draw(st.integers(0, len(sound[name]) - 1))
    flip = data.draw(st.integers(1, 255))
    altered = sound[name][:at] + bytes([sound[name][at] ^ flip]) + sound[name][at + 1 :]
    report = verify_record(write(sound | {name: altered}, tmp_path / "bundle"), asked(log))
    assert report.status not in PASSES, (name, at, flip)


# --- what is right


def test_a_sound_bundle_is_unanchored(log: SmallRecord, sound: Files, tmp_path: Path) -> None:
    report = verify_record(write(sound, tmp_path), asked(log))
    assert (report.status, report.exit, report.first_bad_index) == ("unanchored", 0, None)
    assert {"events": 6, "readings": 4, "withheld": 2, "epochs": 3}.items() <= report.counts.items()
    assert report.freshness["complete_below"] == 14
    assert report.warnings == []


def test_an_anchor_may_be_required(log: SmallRecord, sound: Files, tmp_path: Path) -> None:
    report = verify_record(write(sound, tmp_path), asked(log, require_anchor=True))
    assert (report.status, report.exit) == ("unanchored", 3)


def test_without_a_fingerprint_it_is_unpinned(sound: Files, tmp_path: Path) -> None:
    report = verify_record(write(sound, tmp_path), verify.Policy(now=NOW))
    assert (report.status, report.exit) == ("unpinned", 3)


def test_another_fingerprint_is_another_clinics(sound: Files, tmp_path: Path) -> None:
    error = ended_by(write(sound, tmp_path), verify.Policy(genesis="00" * 32, now=NOW))
    assert (type(error), error.index) == (verify.WrongGenesis, 0)


def test_a_whole_bundle_of_a_forger_is_not_the_clinics(log: SmallRecord, tmp_path: Path) -> None:
    forged = write(SmallRecord("forger").files(), tmp_path)
    assert verify_record(forged, verify.Policy(now=NOW)).status == "unpinned"
    assert verify_record(forged, asked(log)).status == "tampered"


def test_a_zip_gets_the_answer_of_its_folder(log: SmallRecord, sound: Files, tmp_path: Path) -> None:
    zipped = verify_record(pack(sound, tmp_path / "bundle.zip"), asked(log))
    assert zipped == verify_record(write(sound, tmp_path / "folder"), asked(log))


def test_a_paper_copy_may_be_in_it(log: SmallRecord, tmp_path: Path) -> None:
    files = log.files(swap={"record.pdf": b"%PDF-"})
    assert verify_record(write(files, tmp_path), asked(log)).status == "unanchored"


@pytest.mark.parametrize("size", [9, 14, 20])
def test_a_kept_checkpoint_that_agrees_is_an_anchor(size: int, log: SmallRecord, sound: Files, tmp_path: Path) -> None:
    kept = sound["proof/checkpoint"] if size == 20 else log.checkpoint(size)
    report = verify_record(write(sound, tmp_path), asked(log, kept))
    assert (report.status, report.freshness["outside_size"], report.exit) == ("ok", size, 0)


def test_a_kept_checkpoint_between_epochs_is_no_anchor(log: SmallRecord, sound: Files, tmp_path: Path) -> None:
    report = verify_record(write(sound, tmp_path), asked(log, log.checkpoint(12)))
    assert report.status == "unanchored"
    assert report.warnings == ["The kept checkpoint is of size 12, which cannot be compared with this bundle."]


def test_a_newer_kept_checkpoint_is_no_anchor(log: SmallRecord, sound: Files, tmp_path: Path) -> None:
    longer = log.copy()
    for _ in range(5):
        longer.other()
    assert verify_record(write(sound, tmp_path), asked(log, longer.checkpoint())).status == "unanchored"
    longer.turn()
    assert verify_record(tmp_path, asked(log, longer.checkpoint())).status == "unanchored"


def test_a_kept_checkpoint_over_another_history_is_a_fork(log: SmallRecord, sound: Files, tmp_path: Path) -> None:
    other = log.copy(13)
    other.reading()
    error = ended_by(write(sound, tmp_path), asked(log, other.checkpoint()))
    assert (type(error), error.index) == (verify.Forked, 10)
    for _ in range(8):
        other.reading()
    error = ended_by(tmp_path, asked(log, other.checkpoint()))
    assert (type(error), error.index) == (verify.Forked, 10)


def test_a_kept_checkpoint_of_another_log_is_refused(log: SmallRecord, sound: Files, tmp_path: Path) -> None:
    error = ended_by(write(sound, tmp_path), asked(log, SmallRecord("other").checkpoint()))
    assert isinstance(error, verify.MalformedCheckpoint)


def test_a_witness_is_an_anchor(log: SmallRecord, sound: Files, tmp_path: Path) -> None:
    witness = WrittenWitness()
    trusted = (verify.parse_witness(witness.vkey),)
    path = write(sound, tmp_path)
    assert isinstance(ended_by(path, asked(log, witnesses=trusted, quorum=1)), verify.NotWitnessed)
    (path / "proof" / "checkpoint").write_bytes(witness.cosign(sound["proof/checkpoint"]))
    assert verify_record(path, asked(log, witnesses=trusted, quorum=1)).status == "ok"


def test_a_declared_restore_is_said(log: SmallRecord, tmp_path: Path) -> None:
    other = log.copy()
    other.turn(restore=30)
    kept = other.checkpoint()
    files = other.bundle(other.AT)
    report = verify_record(write(files, tmp_path), asked(log))
    assert (report.status, report.exit, report.counts["restores"]) == ("restored", 0, 1)
    assert verify_record(tmp_path, asked(log, kept, require_anchor=True)).exit == 3
    assert verify_record(tmp_path, asked(log, files["proof/checkpoint"], require_anchor=True)).exit == 0


def test_epochs_after_the_place_are_followed(log: SmallRecord, tmp_path: Path) -> None:
    other = log.copy()
    other.turn()
    files = other.bundle(other.AT, then=lambda: other.turn() and None)
    report = verify_record(write(files, tmp_path), asked(log))
    assert (report.status, report.counts["epochs"], report.freshness["complete_below"]) == ("unanchored", 5, 18)


def test_a_record_younger_than_the_last_epoch_has_no_head(tmp_path: Path) -> None:
    log = WrittenRecord()
    log.other()
    log.turn()
    log.write("client.registered", identity={})
    report = verify_record(write(log.bundle(len(log.entries)), tmp_path), asked(log))
    assert report.status == "unanchored"
    assert report.warnings == ["No reading is shown; without one it cannot be shown that there was none."]


def test_events_between_the_last_shown_and_the_release_are_said(log: SmallRecord, tmp_path: Path) -> None:
    other = log.copy()
    other.write("note.signed", {"text": "Signed while it was exported."})
    other.told.pop()
    (warning,) = verify_record(write(other.bundle(other.AT), tmp_path), asked(log)).warnings
    assert warning.startswith("1 events were logged after the last that is shown")


def test_a_long_record_is_verified_in_two_seconds(tmp_path: Path) -> None:
    log = WrittenRecord()
    for _ in range(50):
        for _ in range(70):
            log.write("note.signed", {"sections/plan": "Call the GP & wait. " * 5, "sections/summary": "Slept well."})
        for _ in range(100):
            log.reading()
        log.turn()
    files = log.bundle(len(log.entries))
    path = pack(files, tmp_path / "bundle.zip")
    started = time.process_time()
    report = verify_record(path, asked(log, files["proof/checkpoint"]))
    taken = time.process_time() - started
    assert (report.status, report.counts["events"], report.counts["readings"]) == ("ok", 3500, 5000)
    assert taken <= 2


def test_a_report_can_be_written(log: SmallRecord, sound: Files, tmp_path: Path) -> None:
    report = verify_record(write(sound, tmp_path), asked(log))
    assert json.loads(verify.render_json(report))["status"] == "unanchored"
    assert "complete_below 14" in verify.render(report)
