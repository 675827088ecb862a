"""The threats of the design, each performed against a real clinic, and what `wellkept verify` says of it.

Source: CRYPTO 8. What alters rows of the log itself is in tests/ops/test_live_tables.py, where each attack is made on
both engines against a log that was written by hand; what forges or damages a bundle is in tests/ops/defects.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from projections.client_view import CLIENT_VIEW
from records.ledger import encode_entry, entry_hash, read_entry
from tests.faults.attacked_clinic import AttackedClinic

KEPT = (("entries_are_kept", "ledger"), ("events_are_kept", "stored_events"))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def clinic(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AttackedClinic]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    attacked = AttackedClinic(tmp_path / "clinic", url)
    yield attacked
    attacked.clinic.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[AttackedClinic]:
    """On SQLite, where a copy of a machine is a copy of files. The test closes it."""
    attacked = AttackedClinic(tmp_path / "clinic", None)
    yield attacked
    attacked.clinic.opened.abandon()


def test_a_clinic_that_nobody_attacked_is_whole_while_it_is_open(clinic: AttackedClinic) -> None:
    assert clinic.answer() == (0, "unanchored", None)
    assert clinic.answer("--require-anchor") == (3, "unanchored", None)
    assert clinic.answer("--checkpoint", clinic.keep(clinic.sign())) == (0, "ok", None)
    clinic.work()
    code, said = clinic.verify("--client", str(clinic.clients[0]))
    assert (code, said["status"]) == (0, "unanchored")
    assert (said["counts"]["client_readings"], said["counts"]["client_events"]) == (5, 5)
    assert said["counts"]["unsigned"] > 0


def test_a_fingerprint_of_another_clinic_is_told(clinic: AttackedClinic) -> None:
    assert clinic.answer("--genesis", "ab" * 32) == (3, "tampered", 0)


# --- restored copies and other histories


def test_yesterday_s_database_is_told_by_the_signer(embedded: AttackedClinic) -> None:
    copy = embedded.copy("yesterday", keys=False)
    size = len(embedded.outside("SELECT idx FROM ledger"))
    embedded.work()
    embedded.set_back(copy, keys=False)
    assert embedded.answer() == (3, "rolled-back", size)


def test_yesterday_s_machine_is_told_by_what_was_kept_elsewhere(embedded: AttackedClinic) -> None:
    copy = embedded.copy("yesterday", keys=True)
    size = len(embedded.outside("SELECT idx FROM ledger"))
    embedded.work()
    kept = embedded.keep(embedded.sign())
    embedded.set_back(copy, keys=True)
    assert embedded.answer() == (0, "unanchored", None), "nothing on the machine itself can tell"
    assert embedded.answer("--checkpoint", kept) == (3, "rolled-back", size)


def test_a_history_written_and_signed_again_is_a_fork(embedded: AttackedClinic) -> None:
    """The thief of a machine's current keys rewrites what was signed since the copy, and signs it again."""
    copy = embedded.copy("before", keys=True)
    embedded.work()
    kept = embedded.keep(embedded.sign())
    embedded.set_back(copy, keys=True)
    embedded.clinic.opened = embedded.clinic._open()
    embedded.work()
    embedded.work()
    embedded.sign()
    code, status, index = embedded.answer("--checkpoint", kept)
    assert (code, status) == (3, "forked")
    assert index == 1, "both are signed by the keys of the first epoch, so they share its entry"


# --- readings


def test_the_newest_reading_is_swallowed(clinic: AttackedClinic) -> None:
    index, entry = clinic.entries(2)[-1]
    clinic.free(*KEPT)
    clinic.outside(
        f"DELETE FROM stored_events WHERE originator_version = {int.from_bytes(entry[32:40], 'big')}"
        f" AND REPLACE(CAST(originator_id AS text), '-', '') = '{entry[16:32].hex()}'",
        f"DELETE FROM ledger WHERE idx = {index}",
    )
    assert clinic.answer() == (3, "rolled-back", index)


def test_a_reading_is_swallowed_in_the_middle(clinic: AttackedClinic) -> None:
    index, _ = clinic.entries(2)[2]
    clinic.free(*KEPT)
    clinic.outside(f"DELETE FROM ledger WHERE idx = {index}")
    assert clinic.answer() == (3, "tampered", index)


def test_a_forged_reading_does_not_open(clinic: AttackedClinic) -> None:
    """A reading that nobody did, put at the end with everything right but the seal."""
    (last,) = clinic.outside("SELECT max(idx) FROM ledger")[0]
    stream = clinic.access_stream(clinic.clients[0]).bytes
    chain = [entry for _, entry in clinic.entries(2) if entry[16:32] == stream]
    before = read_entry(chain[-1])
    state = b"\x01" + bytes([before.key_class]) + b"\0\1" + before.key_id + bytes(600)
    (newest,) = clinic.outside("SELECT entry FROM ledger ORDER BY idx DESC LIMIT 1")[0]
    at_us = read_entry(bytes(newest)).logged_at_us + 1
    digest = hashlib.sha256(state).digest()
    forged = encode_entry(
        2, at_us, stream, before.version + 1, entry_hash(chain[-1]), before.key_id, before.key_class, len(state),
        digest, digest,
    )  # fmt: skip
    sqlite = clinic.database_url is None
    name = stream.hex() if sqlite else str(clinic.access_stream(clinic.clients[0]))
    blob = (lambda data: f"x'{data.hex()}'") if sqlite else (lambda data: f"'\\x{data.hex()}'")
    clinic.outside(
        f"INSERT INTO ledger (idx, entry) VALUES ({last + 1}, {blob(forged)})",
        "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
        f" VALUES ('{name}', {before.version + 1}, 'sealed', {blob(state)})",
    )
    assert clinic.answer() == (3, "tampered", last + 1)


def test_a_row_of_the_audit_index_is_gone(clinic: AttackedClinic) -> None:
    (index,) = clinic.outside("SELECT idx FROM audit_index ORDER BY idx LIMIT 1 OFFSET 2")[0]
    clinic.outside(f"DELETE FROM audit_index WHERE idx = {index}")
    assert clinic.answer() == (3, "tampered", index)


@pytest.mark.parametrize("column", ["actor = 'nobody'", "purpose = 'TREATX'", "at_us = at_us + 1", "client_id = NULL"])
def test_a_row_of_the_audit_index_says_something_else(clinic: AttackedClinic, column: str) -> None:
    (index,) = clinic.outside("SELECT idx FROM audit_index WHERE client_id IS NOT NULL ORDER BY idx LIMIT 1")[0]
    clinic.outside(f"UPDATE audit_index SET {column} WHERE idx = {index}")
    assert clinic.answer() == (3, "tampered", index)


def test_the_audit_index_tells_of_a_reading_that_was_none(clinic: AttackedClinic) -> None:
    clinic.outside("INSERT INTO audit_index (idx, client_id, actor, purpose, at_us) VALUES (1, NULL, 'x', NULL, 1)")
    assert clinic.answer() == (3, "tampered", 1)


def test_the_audit_index_is_behind_and_whole_all_the_same(clinic: AttackedClinic) -> None:
    clinic.work()
    assert clinic.answer() == (0, "unanchored", None)
    clinic.outside("DELETE FROM audit_index", "UPDATE audit_position SET idx = -1")
    assert clinic.answer() == (0, "unanchored", None)


# --- rows of views


def test_a_row_of_a_view_that_does_not_open_is_a_warning(clinic: AttackedClinic) -> None:
    clinic.clinic.see(CLIENT_VIEW, clinic.clients[0])
    length = "substr(state, 1, 60)" if clinic.database_url is None else "substring(state from 1 for 60)"
    clinic.outside(f"UPDATE sealed_rows SET state = {length}")
    code, said = clinic.verify()
    assert (code, said["status"]) == (0, "unanchored")
    assert any("do not open" in warning for warning in said["warnings"])


# --- keys


def test_a_lost_key_is_loss_and_no_erasure(clinic: AttackedClinic) -> None:
    index, entry = clinic.entries(3)[-1]
    clinic.keys(f"DELETE FROM data_keys WHERE key_id = x'{entry[72:88].hex()}'")
    code, said = clinic.verify()
    assert (code, said["status"], said["first_bad_index"]) == (3, "tampered", index)
    assert "lost, not erased" in said["sentence"]
    assert said["erased_streams"] == []


def test_keys_that_changed_places_do_not_open(clinic: AttackedClinic) -> None:
    (one, first), (_, other) = clinic.entries(3)[-2:]
    names = [f"x'{entry[72:88].hex()}'" for entry in (first, other)]
    clinic.keys(
        "CREATE TEMP TABLE held AS SELECT key_id, wrapped FROM data_keys",
        *(
            f"UPDATE data_keys SET wrapped = (SELECT wrapped FROM held WHERE key_id = {there}) WHERE key_id = {here}"
            for here, there in (names, reversed(names))
        ),
    )
    assert clinic.answer() == (3, "tampered", one)


def test_the_signer_s_key_is_another(embedded: AttackedClinic, tmp_path: Path) -> None:
    other = AttackedClinic(tmp_path / "other", None)
    other.clinic.close()
    embedded.clinic.close()
    for name in ("stored_events", "ledger", "log_bodies", "checkpoints"):
        assert embedded.outside(f"SELECT count(*) FROM {name}")[0][0] > 0
    (embedded.path / "records.db").write_bytes((other.path / "records.db").read_bytes())
    assert embedded.answer() == (3, "tampered", 0), "a whole false log is not this clinic's"
