"""The log's proofs over HTTP: what a stranger's tool needs to check the log, and nothing that was not signed."""

from __future__ import annotations

import sqlite3
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from records.ledger import decode_entry, entry_hash
from records.merkle import check_consistency, root_from_inclusion, root_of_hashes
from records.store.unit import CheckpointRow
from records.tiles import decode_entries
from tests.api.caller import DESK, OFFICER, Served
from tests.clinic import make_clinic
from tests.signed_clinic import sign_log, stated_by


class Signed(Served):
    """A clinic whose log fills more than one tile, signed to its end but for the last entries."""

    signed: CheckpointRow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    clinic = make_clinic(tmp_path_factory.mktemp("log") / "clinic")
    served = Signed(clinic)
    while served.stored() < 300:
        clinic.note(served.client_id)
    served.signed = sign_log(clinic)
    clinic.note(served.client_id)
    assert served.stored() > served.signed.size
    yield served
    clinic.close()


def get(served: Signed, path: str) -> bytes:
    answered = served.call("GET", f"/v1/log/{path}", by=DESK)
    assert answered.status_code == 200, answered.text
    assert answered.headers["Cache-Control"] == "no-store"
    return answered.data


def test_the_checkpoint_is_the_newest_signed_note(served: Signed) -> None:
    stated = stated_by(served.clinic, get(served, "checkpoint"))

    assert stated.size == served.signed.size
    assert stated.origin.startswith("wellkept/log/")


def test_the_tiles_lead_to_the_root_of_the_checkpoint(served: Signed) -> None:
    size = served.signed.size
    stated = stated_by(served.clinic, get(served, "checkpoint"))
    data = get(served, "tile/0/000") + get(served, f"tile/0/001.p/{size - 256}")
    hashes = [data[at : at + 32] for at in range(0, len(data), 32)]

    assert len(hashes) == size
    assert root_of_hashes(hashes) == stated.root
    assert get(served, "tile/1/000.p/1") == root_of_hashes(hashes[:256])
    assert get(served, "tile/0/000.p/7") == data[: 7 * 32]


@pytest.mark.parametrize(
    "tile",
    [
        "0/001",
        "0/002.p/1",
        "1/000",
        "1/001.p/1",
        "2/000.p/1",
        "0/000.p/256",
        "00/000",
        "0/0",
        "64/000",
        "0/x000/000",
        "x",
    ],
)
def test_a_tile_that_is_not_signed_or_is_none_is_not_found(served: Signed, tile: str) -> None:
    assert served.call("GET", f"/v1/log/tile/{tile}", by=DESK).status_code == 404


def test_what_is_in_the_log_and_not_signed_is_not_shown(served: Signed) -> None:
    size = served.signed.size
    for path in (
        f"tile/0/001.p/{size - 255}",
        f"tile/entries/001.p/{size - 255}",
        f"proof?index=0&size={size + 1}",
        f"proof?old=1&size={size + 1}",
    ):
        assert served.call("GET", f"/v1/log/{path}", by=OFFICER).status_code == 404


def test_entries_are_shown_to_the_privacy_officer_and_recorded(served: Signed) -> None:
    before = len(served.access(None))
    answered = served.call("GET", "/v1/log/tile/entries/000", by=OFFICER)
    entries = decode_entries(answered.data)

    assert answered.mimetype == "application/octet-stream"
    assert b"".join(map(entry_hash, entries)) == get(served, "tile/0/000")
    assert any(decode_entry(entry).stream == served.client_id for entry in entries)
    recorded = served.access(None)[before:]
    assert [(entry.action, entry.outcome, entry.role) for entry in recorded] == [
        ("log.entries", "permit", "privacy_officer")
    ]


def test_nobody_else_sees_whose_entries_there_are(served: Signed) -> None:
    answered = served.call("GET", "/v1/log/tile/entries/000", by=DESK)
    assert answered.status_code == 403
    # Whether such a tile is there is not told either.
    assert served.call("GET", "/v1/log/tile/entries/nonsense", by=DESK).status_code == 403


def test_checking_the_log_does_not_make_it_grow(served: Signed) -> None:
    before = served.stored()
    for path in ("checkpoint", "tile/0/000", "proof?index=3", "proof?old=3"):
        get(served, path)
    assert served.stored() == before


@pytest.mark.parametrize("index", [0, 5, 255, 256, 299])
def test_an_entry_is_proved(served: Signed, index: int) -> None:
    answered = served.call("GET", f"/v1/log/proof?index={index}", by=DESK).json
    assert answered is not None
    leaf = entry_hash(served.clinic.store.entries(index - 1, 1)[0][1])
    root = root_from_inclusion(leaf, index, answered["size"], [b64decode(one) for one in answered["hashes"]])

    assert b64decode(answered["leaf_hash"]) == leaf
    assert b64decode(answered["root"]) == root
    assert root == stated_by(served.clinic, get(served, "checkpoint")).root


@pytest.mark.parametrize(("old", "size"), [(0, None), (1, None), (255, 256), (256, 299), (120, 120)])
def test_an_older_tree_is_proved_to_be_a_prefix(served: Signed, old: int, size: int | None) -> None:
    answered = served.call("GET", f"/v1/log/proof?old={old}" + (f"&size={size}" if size else ""), by=DESK).json
    assert answered is not None

    assert answered["size"] == (size or served.signed.size)
    check_consistency(
        old,
        b64decode(answered["old_root"]),
        answered["size"],
        b64decode(answered["root"]),
        [b64decode(one) for one in answered["hashes"]],
    )


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("?index=1&old=1", 422),
        ("?index=9&size=9", 422),
        ("?old=9&size=8", 422),
        ("?index=-1", 400),
        ("?index=1.0", 400),
        ("?index=01234567890", 400),
        ("?index=1&index=2", 400),
        ("?other=1", 400),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(served: Signed, query: str, status: int) -> None:
    assert served.call("GET", f"/v1/log/proof{query}", by=DESK).status_code == status


def test_a_log_that_is_altered_below_the_checkpoint_gives_no_proof_that_holds(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path / "clinic")
    served = Signed(clinic)
    stated = stated_by(clinic, sign_log(clinic).note)
    with closing(sqlite3.connect(tmp_path / "clinic" / "records.db", isolation_level=None)) as outside:
        outside.execute("DROP TRIGGER entries_stand")
        outside.execute("UPDATE ledger SET entry = entry || x'00' WHERE idx = 3")
    answered = served.call("GET", "/v1/log/proof?index=3", by=DESK).json

    assert answered is not None
    assert b64decode(answered["root"]) != stated.root
    clinic.close()


def test_a_log_that_lost_an_entry_is_an_integrity_failure(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path / "clinic")
    served = Signed(clinic)
    sign_log(clinic)
    with closing(sqlite3.connect(tmp_path / "clinic" / "records.db", isolation_level=None)) as outside:
        outside.execute("DROP TRIGGER entries_are_kept")
        outside.execute("DELETE FROM ledger WHERE idx = 3")

    assert served.call("GET", "/v1/log/proof?index=3", by=DESK).status_code == 503
    assert ("http.integrity", "LedgerMismatch") in [(code, facts["error"]) for code, facts in served.alarms]
    clinic.close()
