"""`wellkept verify`, `wellkept bundle` and `wellkept demo tamper`, as somebody at a shell meets them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops import verify
from ops.demo.clinic import make_demo
from ops.demo.tamper import KINDS, MARK
from ops.live.log import LiveLog, sqlite_tables
from projections.client_view import CLIENT_VIEW
from records.ledger import KeyClass, decode_entry
from records.sealing import EVENT_PLACE, EVENT_SCHEMA, Place, _context, _event_key
from tests.clinic import StaffedClinic, make_clinic
from tests.ops.defects import flipped
from tests.ops.running import run, served


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[StaffedClinic]:
    clinic = make_clinic(tmp_path / "clinic")
    client = clinic.register()
    for number in range(3):
        clinic.note(client, f"Session {number}.")
        clinic.see(CLIENT_VIEW, client)
    clinic.opened.signer.flush()  # type: ignore[union-attr]  # a clinic that is open for writing has one
    yield clinic
    clinic.close()


def client_of(clinic: StaffedClinic) -> str:
    return str(clinic.reader.clients()[0])


def fingerprint(clinic: StaffedClinic) -> str:
    """What stands on the clinic's forms."""
    with sqlite_tables(clinic.path / "records.db") as tables:
        body = LiveLog(tables).body(0)
    assert body is not None
    genesis = verify.parse_epoch_body(body, verify.EPOCH, 0).genesis
    assert genesis is not None
    return genesis.fingerprint


def asked(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = run("verify", "--json", *arguments)
    return result.exit_code, json.loads(result.stdout)


def bundle_of(clinic: StaffedClinic, *arguments: str) -> Path:
    path = clinic.path.with_name("bundle.zip")
    result = run("bundle", "--data", str(clinic.path), "-o", str(path), *arguments)
    assert result.exit_code == 0, result.stderr
    return path


def test_people_are_told_in_sentences(clinic: StaffedClinic) -> None:
    result = run("verify", "--data", str(clinic.path))
    assert result.exit_code == 0
    assert result.stdout.startswith("unanchored: All ")
    assert "freshness: signed_size" in result.stdout


def test_it_may_be_asked_while_the_clinic_is_served(tmp_path: Path) -> None:
    make_clinic(tmp_path / "clinic").close()
    with served(tmp_path / "clinic"):
        code, said = asked("--data", str(tmp_path / "clinic"))
    assert (code, said["status"]) == (0, "unanchored")


def test_nothing_is_written(clinic: StaffedClinic) -> None:
    files = [path for path in clinic.path.iterdir() if path.name != "records.db-shm"]
    before = {path: path.read_bytes() for path in files}
    asked("--data", str(clinic.path))
    assert {path: path.read_bytes() for path in files} == before


def test_where_there_is_no_clinic_it_says_so(tmp_path: Path) -> None:
    assert run("verify", "--data", str(tmp_path)).exit_code == 4


def test_a_question_that_cannot_be_asked_is_one_of_usage(clinic: StaffedClinic, tmp_path: Path) -> None:
    bundle = str(bundle_of(clinic))
    for arguments in (["--genesis", "12"], ["--witness", "w"], ["nowhere"], [bundle, "--client", client_of(clinic)]):
        assert run("verify", "--data", str(clinic.path), *arguments).exit_code == 2


def test_a_checkpoint_that_is_none_is_an_answer(clinic: StaffedClinic, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("none")
    code, said = asked("--data", str(clinic.path), "--checkpoint", str(tmp_path / "kept"))
    assert (code, said["status"]) == (3, "tampered")


def test_the_anchor_of_the_settings_counts_as_kept_outside(clinic: StaffedClinic, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    anchor.mkdir()
    (anchor / f"00000001-{clinic.store.checkpoint().size}.checkpoint").write_bytes(clinic.store.checkpoint().note)
    result = run("verify", "--json", "--data", str(clinic.path), WELLKEPT_ANCHOR=str(anchor))
    assert json.loads(result.stdout)["status"] == "ok"


# --- bundles


def test_a_bundle_is_proved_without_the_clinic(clinic: StaffedClinic, tmp_path: Path) -> None:
    path, genesis = bundle_of(clinic), fingerprint(clinic)
    code, said = asked(str(path), "--genesis", genesis)
    assert (code, said["status"], said["counts"]["payloads"]) == (0, "unanchored", 0)
    assert asked(str(path))[1]["status"] == "unpinned"
    shutil.copy(verify.__file__, tmp_path / "verify.py")
    alone = [sys.executable, "-I", "verify.py", "--genesis", genesis, str(path)]
    ran = subprocess.run(alone, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout[:10]) == (0, "unanchored")


def test_a_bundle_holds_no_word_no_key_and_no_payload(clinic: StaffedClinic) -> None:
    with zipfile.ZipFile(bundle_of(clinic)) as archive:
        names = archive.namelist()
        assert not any(name.startswith(("payloads/", "keys/")) for name in names)
        assert all(b"Session" not in archive.read(name) and b"note." not in archive.read(name) for name in names)


def test_a_bundle_with_one_client_holds_the_sealed_record_and_readings(clinic: StaffedClinic) -> None:
    other = clinic.register(given="Ben")
    clinic.note(other)
    clinic.opened.signer.flush()  # type: ignore[union-attr]  # as in the fixture
    path = bundle_of(clinic, "--client", client_of(clinic))
    code, said = asked(str(path), "--genesis", fingerprint(clinic))
    assert (code, said["status"], said["counts"]["payloads"]) == (0, "unanchored", 7)


def test_a_bundle_is_never_written_over_anything(clinic: StaffedClinic) -> None:
    path = bundle_of(clinic)
    before = path.read_bytes()
    assert run("bundle", "--data", str(clinic.path), "-o", str(path)).exit_code == 1
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o600


def disclosed(clinic: StaffedClinic, to: Path) -> tuple[Path, int]:
    """Unpack a bundle of the client, with the event key of the newest note disclosed; return it and the index."""
    with zipfile.ZipFile(bundle_of(clinic, "--client", client_of(clinic))) as archive:
        archive.extractall(to)
    row = clinic.reader.rows(clinic.reader.clients()[0])[-1]
    entry = decode_entry(row.entry)
    key = clinic.opened.keyring.by_id(entry.key_id, entry.stream, KeyClass.RECORD)
    place = Place(clinic.reader.deployment_id, EVENT_PLACE, entry.stream, entry.version)
    context = _context(place, entry.key_class, EVENT_SCHEMA, entry.key_id, row.state[20:36])
    (to / "keys").mkdir()
    (to / "keys" / str(row.position)).write_bytes(_event_key(key.secret, context))
    return to, row.position


def test_a_note_that_is_disclosed_is_the_one_that_was_logged(clinic: StaffedClinic, tmp_path: Path) -> None:
    path, _ = disclosed(clinic, tmp_path / "open")
    code, said = asked(str(path), "--genesis", fingerprint(clinic))
    assert (code, said["status"], said["counts"]["opened"]) == (0, "unanchored", 1)


def test_a_note_that_was_reworded_is_found(clinic: StaffedClinic, tmp_path: Path) -> None:
    """The clinic seals other words under the disclosed key: the digest of the ciphertext tells."""
    path, index = disclosed(clinic, tmp_path / "open")
    payload = path / "payloads" / str(index)
    payload.write_bytes(flipped(payload.read_bytes()))
    code, said = asked(str(path), "--genesis", fingerprint(clinic))
    assert (code, said["status"], said["first_bad_index"]) == (3, "tampered", index)


# --- a demo that is altered on purpose


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("demo") / "clinic"
    make_demo(data, years=0.1, therapists=1)
    return data


@pytest.fixture
def a_demo(demo: Path, tmp_path: Path) -> Path:
    for suffix in ("", ".keys"):
        shutil.copytree(demo.with_name(demo.name + suffix), tmp_path / f"clinic{suffix}")
    return tmp_path / "clinic"


STATUS = {"truncate": "rolled-back", "rollback": "rolled-back"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_newcomer_sees_each_kind_caught(a_demo: Path, kind: str) -> None:
    assert asked("--data", str(a_demo))[0] == 0
    done = run("demo", "tamper", "--data", str(a_demo), kind, "--json")
    assert done.exit_code == 0, done.stderr
    code, said = asked("--data", str(a_demo))
    assert (code, said["status"]) == (3, STATUS.get(kind, "tampered"))
    assert str(said["first_bad_index"]) in json.loads(done.stdout)["done"]


def test_no_other_clinic_is_altered_on_purpose(a_demo: Path) -> None:
    (a_demo / MARK).unlink()
    before = (a_demo / "records.db").read_bytes()
    result = run("demo", "tamper", "--data", str(a_demo), "edit")
    assert (result.exit_code, "only a demo" in result.stderr) == (1, True)
    assert (a_demo / "records.db").read_bytes() == before


def test_a_demo_that_is_served_is_not_altered(a_demo: Path) -> None:
    with served(a_demo):
        assert run("demo", "tamper", "--data", str(a_demo), "edit").exit_code == 5
