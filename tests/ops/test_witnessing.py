"""The clinic and its witness: by files, over HTTP, and what shows when the clinic's log was rolled back or altered."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ops.settings import Bind
from ops.witness.folder import WitnessFolder
from ops.witness.server import WitnessServer
from records.checkpoint import WitnessKey, cosign, parse_signed_checkpoint, verify_cosignature
from records.epoch import format_fingerprint
from records.signed_note import encode_vkey, parse_note, parse_vkey
from records.witness import encode_answer, parse_request
from tests.ops.running import add_user, data_of, init, run, served

NAME = "witness.example/hill"


class Pair(NamedTuple):
    """A clinic, its witness, and a stick to carry files between them."""

    data: Path
    folder: Path
    stick: Path
    vkey: str
    fingerprint: str

    def at_clinic(self, *arguments: str) -> Any:
        return run(*arguments, "--data", str(self.data), "--json")

    def grow(self) -> None:
        """Let the log grow."""
        add_user(self.data, "therapist")

    def request(self, name: str = "request", *more: str) -> Path:
        path = self.stick / name
        data_of(self.at_clinic("witness", "request", "--witness", self.vkey, "-o", str(path), *more))
        return path

    def cosign(self, request: Path, name: str = "answer") -> Path:
        path = self.stick / name
        data_of(run("witness", "cosign", "--dir", str(self.folder), str(request), "-o", str(path), "--json"))
        return path

    def accept(self, request: Path, answer: Path) -> Any:
        return self.at_clinic("witness", "accept", "--witness", self.vkey, str(request), str(answer))

    def checkpoint(self, name: str) -> bytes:
        path = self.stick / name
        data_of(self.at_clinic("checkpoint", "-o", str(path)))
        return path.read_bytes()


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    data, folder, stick = tmp_path / "clinic", tmp_path / "witness", tmp_path / "stick"
    stick.mkdir()
    fingerprint = init(data)["fingerprint"]
    told = data_of(run("genesis", "--data", str(data), "--json"))
    assert format_fingerprint(told["fingerprint"]) == fingerprint
    vkey = data_of(run("witness", "init", "--dir", str(folder), "--name", NAME, "--json"))["vkey"]
    added = data_of(run("witness", "add-log", "--dir", str(folder), told["log_vkey"], "--json"))
    assert added == {"origin": told["origin"], "size": 0}
    return Pair(data, folder, stick, vkey, fingerprint)


@contextlib.contextmanager
def listening(folder: Path) -> Iterator[str]:
    with WitnessServer(Bind("127.0.0.1", 0), WitnessFolder(folder, lambda: 1_800_000_000)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def is_cosigned(pair: Pair, note: bytes) -> bool:
    parsed, witness = parse_note(note), parse_vkey(pair.vkey)
    of_it = [line for line in parsed.signatures if line.name == NAME]
    return [verify_cosignature(parsed, line, witness) for line in of_it] != []


def test_a_signature_is_fetched_by_files_and_kept_with_the_checkpoint(pair: Pair) -> None:
    assert not is_cosigned(pair, pair.checkpoint("before"))
    request = pair.request()
    taken = data_of(pair.accept(request, pair.cosign(request)))

    assert taken["witness"] == NAME
    note = pair.checkpoint("after")
    assert is_cosigned(pair, note)
    assert parse_signed_checkpoint(note)[0].size == taken["size"]


def test_the_next_request_goes_on_from_there_even_when_the_log_grew_meanwhile(pair: Pair) -> None:
    first = pair.request()
    size = parse_signed_checkpoint(parse_request(first.read_bytes()).note)[0].size
    pair.grow()
    answer = pair.cosign(first)
    pair.grow()

    assert data_of(pair.accept(first, answer))["size"] == size
    second = pair.request("second")
    assert parse_request(second.read_bytes()).old_size == size
    assert data_of(pair.accept(second, pair.cosign(second, "second-answer")))["size"] > size


def test_an_answer_that_was_lost_is_asked_for_again(pair: Pair) -> None:
    lost = pair.request()
    size = parse_signed_checkpoint(parse_request(lost.read_bytes()).note)[0].size
    pair.cosign(lost)
    pair.grow()

    request = pair.request("again")
    refused = run("witness", "cosign", "--dir", str(pair.folder), str(request), "-o", str(pair.stick / "no"))
    assert refused.exit_code == 1
    assert f"--old {size}" in refused.stderr
    right = pair.request("right", "--old", str(size))
    assert data_of(pair.accept(right, pair.cosign(right, "right-answer")))["size"] > size


def test_over_http_it_is_one_command(pair: Pair) -> None:
    with listening(pair.folder) as url:
        first = data_of(pair.at_clinic("witness", "submit", "--witness", pair.vkey, url))
        pair.grow()
        # What was signed is asked from its own size; then an answer that was lost, from what the witness says.
        second = data_of(pair.at_clinic("witness", "submit", "--witness", pair.vkey, url))
        WitnessFolder(pair.folder, lambda: 1).add_checkpoint(pair.request("lost").read_bytes())
        pair.grow()
        lost = pair.request("lost-too")
        WitnessFolder(pair.folder, lambda: 1).add_checkpoint(lost.read_bytes())
        pair.grow()
        third = data_of(pair.at_clinic("witness", "submit", "--witness", pair.vkey, url))

    assert first["size"] < second["size"] < third["size"]
    assert is_cosigned(pair, pair.checkpoint("now"))


def test_a_served_clinic_takes_a_signature_in(pair: Pair) -> None:
    with served(pair.data), listening(pair.folder) as url:
        taken = data_of(pair.at_clinic("witness", "submit", "--witness", pair.vkey, url))
    assert taken["size"] > 0
    assert any(is_cosigned(pair, row[0]) for row in _rows(pair.data, "SELECT note FROM checkpoints"))


def test_a_restored_yesterday_is_said_to_be_one(pair: Pair, tmp_path: Path) -> None:
    for name in ("clinic", "clinic.keys"):
        shutil.copytree(tmp_path / name, tmp_path / f"yesterday.{name}")
    pair.grow()
    with listening(pair.folder) as url:
        data_of(pair.at_clinic("witness", "submit", "--witness", pair.vkey, url))
        for name in ("clinic", "clinic.keys"):
            shutil.rmtree(tmp_path / name)
            (tmp_path / f"yesterday.{name}").rename(tmp_path / name)
        rolled_back = pair.at_clinic("witness", "submit", "--witness", pair.vkey, url)
        assert rolled_back.exit_code == 3
        assert "shorter than what the witness signed" in rolled_back.stderr
        # Grown beyond that size again, it is another history, and the witness does not sign it.
        for _ in range(3):
            pair.grow()
        other = pair.at_clinic("witness", "submit", "--witness", pair.vkey, url)
    assert other.exit_code == 3
    assert "not the one that the witness signed" in other.stderr


def test_a_signature_is_taken_in_only_where_all_of_it_is_right(pair: Pair, tmp_path: Path) -> None:
    request = pair.request()
    answer = pair.cosign(request)
    note = parse_note(parse_request(request.read_bytes()).note)
    thief = WitnessKey(NAME, b"t" * 32)
    for name, data in (
        ("by-another-key", encode_answer([cosign(note, thief, 1)])),
        ("nonsense", b"nonsense"),
        ("altered", answer.read_bytes()[:-8] + b"AAAAAA=\n"),
    ):
        (pair.stick / name).write_bytes(data)
        assert pair.accept(request, pair.stick / name).exit_code == 3, name
    other = tmp_path / "other"
    init(other)
    of_other = pair.stick / "of-other"
    data_of(run("witness", "request", "--witness", pair.vkey, "-o", str(of_other), "--data", str(other), "--json"))
    asked = parse_note(parse_request(of_other.read_bytes()).note)
    (pair.stick / "stolen").write_bytes(encode_answer([cosign(asked, thief, 1)]))
    stolen = run(
        "witness", "accept", "--witness", encode_vkey(thief.verifier), str(of_other), str(pair.stick / "stolen"),
        "--data", str(pair.data),
    )  # fmt: skip
    assert stolen.exit_code == 3
    assert not is_cosigned(pair, pair.checkpoint("after"))


def test_a_signature_over_entries_that_are_gone_is_not_taken_in(pair: Pair, tmp_path: Path) -> None:
    for name in ("clinic", "clinic.keys"):
        shutil.copytree(tmp_path / name, tmp_path / f"yesterday.{name}")
    pair.grow()
    request = pair.request()
    answer = pair.cosign(request)
    for name in ("clinic", "clinic.keys"):
        shutil.rmtree(tmp_path / name)
        (tmp_path / f"yesterday.{name}").rename(tmp_path / name)

    refused = pair.accept(request, answer)
    assert refused.exit_code == 3
    assert "shorter than what was signed" in refused.stderr
    for _ in range(3):
        pair.grow()
    refused = pair.accept(request, answer)
    assert refused.exit_code == 3
    assert "does not lead to what was signed" in refused.stderr


def test_a_ledger_that_is_not_what_was_signed_asks_nobody(pair: Pair) -> None:
    pair.checkpoint("good")
    with contextlib.closing(sqlite3.connect(pair.data / "records.db", isolation_level=None)) as outside:
        outside.execute("DROP TRIGGER entries_stand")
        # The padding of a key's entry means nothing to anyone, so that only the tree notices.
        outside.execute("UPDATE ledger SET entry = substr(entry, 1, 125) || zeroblob(31) || x'07' WHERE idx = 1")
    for arguments in (
        ("checkpoint", "-o", str(pair.stick / "bad")),
        ("witness", "request", "--witness", pair.vkey, "-o", str(pair.stick / "bad")),
    ):
        assert pair.at_clinic(*arguments).exit_code == 3
    assert not (pair.stick / "bad").exists()


def test_evidence_is_never_overwritten(pair: Pair) -> None:
    pair.checkpoint("kept")
    pair.grow()
    again = pair.at_clinic("checkpoint", "-o", str(pair.stick / "kept"))
    assert again.exit_code == 1
    assert "already" in again.stderr


def test_usage(pair: Pair) -> None:
    log_vkey = data_of(pair.at_clinic("genesis"))["log_vkey"]
    for wrong in ("nonsense", log_vkey):
        assert pair.at_clinic("witness", "submit", "--witness", wrong, "http://127.0.0.1:1").exit_code == 2
    assert pair.at_clinic("witness", "submit", "--witness", pair.vkey, "file:///etc/passwd").exit_code == 2
    assert pair.at_clinic("witness", "submit", "--witness", pair.vkey, "http://127.0.0.1:1").exit_code == 1


def _rows(data: Path, statement: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(data / "records.db")) as outside:
        return outside.execute(statement).fetchall()
