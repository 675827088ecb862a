"""A clinic leaves with everything and moves in elsewhere: the same on either engine, sealed on its way, or refused."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import psycopg
import pytest

from ops import verify
from ops.moving.clinic_file import ABOUT, PROOF
from ops.wiring import Paths, now, open_clinic
from projections.client_view import CLIENT_VIEW
from records.actors import Role
from records.drafts import DRAFT_VIEW
from records.errors import Erased
from records.ledger import KeyClass
from tests.check import check_store
from tests.clinic import StaffedClinic
from tests.kept_keys import KeptKeys
from tests.ops.backed_up import KILL_AT, KILLED, LIMITED, child
from tests.ops.left_clinic import DRAFT, PHRASE, Left, Members, all_views, members, packed, refused, resealed
from tests.ops.running import data_of, run, served
from tests.throwaway_postgres import ThrowawayPostgres


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Left:
    return Left(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def going(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """Another one, which tests write to."""
    return Left(tmp_path_factory.mktemp("going"))


@pytest.fixture
def left(made: Left) -> Iterator[Left]:
    """That clinic; what moved in goes away."""
    yield made
    for new in made.folder.glob("new*"):
        shutil.rmtree(new) if new.is_dir() else new.unlink()


# --- the way


def test_everything_is_the_same_elsewhere(left: Left) -> None:
    told = data_of(left.move())
    assert (told["status"], told["lost"], told["warnings"]) == ("unanchored", None, [])
    new = left.folder / "new"
    for folder in (new, left.folder / "new.keys"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert all_views(left, new) == all_views(left, left.data)


def test_it_serves_once_it_is_declared(left: Left, tmp_path: Path) -> None:
    data_of(left.move())
    new = left.folder / "new"
    assert run("user", "list", "--data", str(new)).exit_code == 6, "nothing signs yet"
    left.declare()
    with served(new) as service:
        for client, status in ((left.clients[0], 200), (left.erased, 410), (left.purged, 410)):
            # The token is one that was issued where it left.
            asked = service.request(f"/v1/clients/{client}", left.tokens[Role.THERAPIST], Purpose_Of_Use="TREAT")
            assert asked[0] == status, asked
    with closing(StaffedClinic(new, now, None)) as clinic:
        clinic.staff = left.staff
        draft = clinic.see(DRAFT_VIEW, left.clients[0], resource=left.note)
        assert DRAFT in str(msgspec.to_builtins(draft))
        clinic.note(left.clients[0], "It goes on.")
        check_store(clinic.store)
        # Whoever erases here turns the new keys; what came with the file opens on.
        clinic.erase(left.clients[1])
        assert clinic.see(CLIENT_VIEW, left.clients[0])
    verified = run("verify", "--data", str(new), "--genesis", left.fingerprint, "--json")
    assert (verified.exit_code, json.loads(verified.stdout)["status"]) == (0, "restored")


@pytest.mark.postgres
def test_to_the_other_engine_and_back(left: Left, postgres_server: ThrowawayPostgres) -> None:
    urls = [postgres_server.fresh_database() for _ in range(2)]
    there = {"WELLKEPT_DATABASE_URL": urls[0]}
    new = left.folder / "new"
    data_of(left.move(**there))
    wanted = all_views(left, left.data)
    assert all_views(left, new, urls[0]) == wanted
    taken = left.move(to="new1", **there)
    assert (taken.exit_code, (left.folder / "new1" / "FORMAT").exists()) == (1, False), "there is a log already"
    left.declare(**there)
    verified = run("verify", "--data", str(new), "--genesis", left.fingerprint, "--json", **there)
    assert (verified.exit_code, json.loads(verified.stdout)["status"]) == (0, "restored")
    with closing(StaffedClinic(new, now, urls[0])) as clinic:
        clinic.staff = left.staff
        clinic.note(left.clients[0], "Written there.")
        check_store(clinic.store)
    # And back, by the same command.
    back = left.folder / "new-back"
    arguments = ("--data", str(new), "--lock-with", str(left.phrase), "-o", str(back), "--json")
    data_of(run("export", "--all", *arguments, **there))
    data_of(left.move(back, to="new2"))
    assert all_views(left, left.folder / "new2") == all_views(left, new, urls[0])
    left.declare("new2")
    with closing(StaffedClinic(left.folder / "new2", now, None)) as clinic:
        check_store(clinic.store)
    back.unlink()
    for url in urls:
        postgres_server.drop_database(url)


SWALLOW = (
    "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RETURN CASE WHEN NEW.originator_version = 2 THEN NULL ELSE NEW END; END $$",
    "CREATE FUNCTION plant() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
    " IF to_regclass('stored_events') IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgname = 'loses')"
    " THEN CREATE TRIGGER loses BEFORE INSERT ON stored_events FOR EACH ROW EXECUTE FUNCTION lose(); END IF; END $$",
    "CREATE EVENT TRIGGER plants ON ddl_command_end EXECUTE FUNCTION plant()",
)


@pytest.mark.postgres
def test_a_database_that_swallows_a_row_gets_no_clinic(left: Left, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for statement in SWALLOW:
            connection.execute(statement.encode())
    result = left.move(WELLKEPT_DATABASE_URL=postgres_url)
    assert (result.exit_code, "not stored any more" in result.stderr) == (3, True), result.stderr
    assert not list((left.folder / "new").iterdir())


def test_verify_takes_the_file_as_the_bundle_that_it_is(left: Left) -> None:
    result = run("verify", str(left.file), "--genesis", left.fingerprint, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["status"], told["counts"]["missing"]) == (0, "unanchored", 0)
    assert (
        told["counts"]["payloads"] == told["counts"]["events"] + told["counts"]["readings"] - told["counts"]["purged"]
    )


def test_the_verifier_alone_holds_its_log_to_the_fingerprint(left: Left) -> None:
    report = verify.verify_bundle(left.file, verify.Policy(left.fingerprint, now=int(time.time())), ())
    assert (report.status, report.exit) == ("unanchored", 0)
    other = verify.verify_bundle(left.file, verify.Policy("0" * 64, now=int(time.time())), ())
    assert other.exit == 3


def test_its_keys_go_to_any_keeper_and_from_there_on(left: Left, kept: KeptKeys) -> None:
    there = {name: value for name, value in kept.environment.items() if name != "WELLKEPT_DATA"}
    new, onward = left.folder / "new", left.folder / "new-file"
    data_of(left.move(**there))
    assert (left.folder / "new.keys" / "root.key").exists() == (kept.kind == "file")
    left.declare(**there)
    listed = data_of(run("user", "list", "--data", str(new), "--json", **there))
    assert {user["id"] for user in listed} == {
        each.id for role, each in left.staff.items() if role is not Role.OPERATOR
    }
    arguments = ("--data", str(new), "--lock-with", str(left.phrase), "-o", str(onward), "--json")
    data_of(run("export", "--all", *arguments, **there))
    data_of(left.move(onward, to="new2"))
    views = all_views(left, left.folder / "new2")
    for name, document in all_views(left, left.data).items():
        if name.startswith(("client.view", "client.timeline")):
            assert views[name] == document


def test_a_state_that_is_not_there_is_lost(left: Left, tmp_path: Path) -> None:
    found = members(left.file)
    (alone,) = [name for name in found if name.startswith("payloads/")]
    del found[alone]
    refused(left, packed(found, tmp_path / "file"), 3, alone)
    # By whoever has the passphrase, too; and by the offline check.
    again = packed(resealed(found, tmp_path), tmp_path / "again")
    refused(left, again, 3, "not stored any more")
    assert run("verify", str(again), "--genesis", left.fingerprint).exit_code == 3


# --- nothing is in clear


def test_no_key_and_no_word_is_in_clear(left: Left) -> None:
    secrets = [b"Marsh", b"Came on time", DRAFT.encode(), PHRASE.encode()]
    with closing(open_clinic(left.data, read_only=True)) as clinic:
        for held in clinic.keyring.held():
            key = clinic.keyring.by_id(held.key_id, held.scope, KeyClass(held.key_class))
            secrets.append(key.secret)
    root = json.loads(Paths(left.data).key_file.read_bytes())["keys"]
    secrets += [base64.b64decode(key) for key in root.values()]
    found = members(left.file)
    assert not exposed(secrets, found)
    assert exposed(secrets, {**found, "planted": b"1" + secrets[-1]}) == ["planted"]
    own = json.loads(found["root.key"])
    assert own["salt"]
    assert all(len(base64.b64decode(key)) > 32 for key in own["keys"].values())
    assert not any("signer" in name for name in found)


def exposed(secrets: list[bytes], found: Members) -> list[str]:
    forms = [form for secret in secrets for form in (secret, secret.hex().encode(), base64.b64encode(secret))]
    return [name for name, data in found.items() if any(form in data for form in forms)]


# --- what is altered


def test_an_altered_byte_anywhere_is_refused(left: Left, tmp_path: Path) -> None:
    found = members(left.file)
    assert {"bundle.json", "checkpoint", "bodies/0", "rows/sealed/0", "keyring.db", "root.key", PROOF} < set(found)
    for name, data in found.items():
        for place in {0, len(data) // 2, len(data) - 1}:
            altered = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            file = packed({**found, name: altered}, tmp_path / "altered")
            result = left.move(file, to="newer")
            assert result.exit_code in (1, 3, 6), (name, place, result.stderr)
            assert not (left.folder / "newer").exists(), (name, place)


@pytest.mark.parametrize(
    "name", ["tile/entries/000.p", "tile/0/000.p", "tile/payloads/000.p", "checkpoint", "bodies/0"]
)
def test_whoever_knows_the_passphrase_cannot_alter_the_log(left: Left, name: str, tmp_path: Path) -> None:
    found = members(left.file)
    (full,) = [each for each in found if each.startswith(name) and not each.startswith("checkpoints/")]
    data = found[full]
    altered = data[:-1] + bytes([data[-1] ^ 1])
    refused(left, packed(resealed({**found, full: altered}, tmp_path), tmp_path / "file"), 3)


def test_whoever_lacks_it_cannot_alter_a_draft(left: Left, tmp_path: Path) -> None:
    found = members(left.file)
    rows = json.loads(found["rows/sealed/0"])
    found["rows/sealed/0"] = json.dumps(rows[1:]).encode()
    about = json.loads(found[ABOUT])
    about["files"]["rows/sealed/0"] = hashlib.sha256(found["rows/sealed/0"]).hexdigest()
    found[ABOUT] = json.dumps(about).encode()
    refused(left, packed(found, tmp_path / "file"), 3, "its proof is not")


def test_an_altered_byte_of_the_zip_itself_is_refused_or_changes_nothing(left: Left, tmp_path: Path) -> None:
    whole, wanted, answers = left.file.read_bytes(), members(left.file), set()
    for place in range(len(whole) - 1, len(whole) - 900, -23):
        (tmp_path / "altered").write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        result = left.move(tmp_path / "altered", to="newer")
        assert "unforeseen" not in result.stderr, (place, result.stderr)
        answers.add(result.exit_code)
        if result.exit_code == 0:
            assert members(tmp_path / "altered") == wanted, "a date, or the like"
            for folder in ("newer", "newer.keys"):
                shutil.rmtree(left.folder / folder)
        assert not (left.folder / "newer").exists()
    assert 3 in answers
    assert answers <= {0, 1, 3, 6}


@pytest.mark.parametrize("cut", [1, 100, 5000])
def test_a_file_that_was_cut_short_is_refused(left: Left, cut: int, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(left.file.read_bytes()[:-cut])
    refused(left, tmp_path / "cut", 3)


def test_a_member_too_many_or_too_few_is_refused(left: Left, tmp_path: Path) -> None:
    found = members(left.file)
    refused(left, packed({**found, "letter": b"x"}, tmp_path / "more"), 3, "letter")
    del found[next(name for name in found if name.startswith("tile/0/"))]
    refused(left, packed(found, tmp_path / "less"), 3, "is missing")


def test_a_newer_format_is_said_to_be_one(left: Left, tmp_path: Path) -> None:
    found = members(left.file)
    found[ABOUT] = found[ABOUT].replace(b"wellkept-clinic/1", b"wellkept-clinic/2")
    refused(left, packed(found, tmp_path / "file"), 1, "install a newer Wellkept")
    found[ABOUT] = found[ABOUT].replace(b"wellkept-clinic/2", b"of-something-else")
    refused(left, packed(found, tmp_path / "file"), 3, "another format")


def test_another_fingerprint_is_refused(left: Left) -> None:
    arguments = ("--lock-with", str(left.phrase), "--genesis", "0" * 64)
    result = run("move-in", str(left.file), str(left.folder / "new"), *arguments)
    assert (result.exit_code, (left.folder / "new").exists()) == (3, False)


# --- passphrase and place


def test_another_passphrase_opens_nothing(left: Left, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text(PHRASE + "!")
    result = run("move-in", str(left.file), str(left.folder / "new"), "--lock-with", str(wrong))
    assert (result.exit_code, (left.folder / "new").exists()) == (6, False)
    wrong.write_text("short")
    arguments = ("--data", str(left.data), "-o", str(tmp_path / "file"), "--lock-with", str(wrong))
    result = run("export", "--all", *arguments)
    assert (result.exit_code, "has at least" in result.stderr, (tmp_path / "file").exists()) == (2, True, False)


@pytest.mark.parametrize("taken", ["new/letter", "new.keys/letter", "new.keys/root.key"])
def test_a_place_that_holds_something_is_refused(left: Left, taken: str) -> None:
    file = left.folder / taken
    file.parent.mkdir()
    file.write_text("mine")
    assert left.move().exit_code == 1
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    assert file.read_text() == "mine"


def test_what_is_said_of_one_record_does_not_go_with_all(left: Left, tmp_path: Path) -> None:
    to, data = str(tmp_path / "file"), str(left.data)
    phrase = ("--lock-with", str(left.phrase))
    for words in (
        ("--all", str(left.clients[0]), *phrase),
        ("--all", "--pdf", *phrase),
        ("--all",),
        ("--all", "--lock", *phrase),
        (),
    ):
        assert run("export", *words, "-o", to, "--data", data).exit_code == 2, words
    taken = run("export", "--all", *phrase, "-o", str(left.phrase), "--data", data)
    assert (taken.exit_code, left.phrase.read_text()) == (1, PHRASE + "\n")


# --- who, and when


def test_it_is_the_administrators_and_stands_in_the_audit(going: Left, tmp_path: Path) -> None:
    def leaves_as(role: Role) -> int:
        (tmp_path / "token").write_text(going.tokens[role])
        arguments = ("--data", str(going.data), "-o", str(tmp_path / role), "--lock-with", str(going.phrase))
        result = run("export", "--all", *arguments, WELLKEPT_TOKEN_FILE=str(tmp_path / "token"))
        return result.exit_code

    assert [leaves_as(role) for role in (Role.THERAPIST, Role.RECORDS_CLERK, Role.ADMINISTRATOR)] == [6, 6, 0]
    assert not (tmp_path / Role.THERAPIST).exists()
    lines = run("audit", "--data", str(going.data), "--action", "clinic.export", "--json").stdout.splitlines()
    told = [(entry["role"], entry["outcome"]) for entry in map(json.loads, lines)]
    ours = [("therapist", "deny"), ("records_clerk", "deny"), ("administrator", "permit")]
    assert told == [("operator", "permit"), *ours]
    assert "exported the whole clinic" in lines[-1]


def test_a_served_clinic_leaves_too(going: Left) -> None:
    with served(going.data):
        file = going.leave(going.folder / "while-served")
    data_of(going.move(file))
    shutil.rmtree(going.folder / "new")
    shutil.rmtree(going.folder / "new.keys")


def test_what_came_after_it_is_said_and_what_was_erased_stays_so(tmp_path: Path) -> None:
    left = Left(tmp_path)
    kept, certificates = tmp_path / "kept", tmp_path / "certificates"
    certificates.mkdir()
    (tmp_path / "token").write_text(left.tokens[Role.PRIVACY_OFFICER])
    with closing(StaffedClinic(left.data, now, None)) as clinic:
        clinic.staff = left.staff
        erasure = clinic.erase(left.clients[1]).erasure_id
    arguments = ("erase", "certificate", str(erasure), "-o", str(certificates / "one.json"), "--data", str(left.data))
    assert run(*arguments).exit_code == 0
    data_of(run("checkpoint", "--data", str(left.data), "-o", str(kept), "--json"))
    told = data_of(left.move(None, "--checkpoint", str(kept), "--certificates", str(certificates)))
    assert told["lost"]["entries"] == told["lost"]["known_size"] - told["entries"] > 0
    left.declare()
    with closing(StaffedClinic(tmp_path / "new", now, None)) as clinic:
        clinic.staff = left.staff
        with pytest.raises(Erased):
            clinic.see(CLIENT_VIEW, left.clients[1])
        assert clinic.see(CLIENT_VIEW, left.clients[0])


# --- crashes


@pytest.mark.parametrize(
    ("event", "under", "number"),
    [
        ("open", "new/", 1),
        ("open", "new.keys/", 1),
        ("open", "new/", 4),
        ("sqlite3.connect", "new/records.db", 2),
        ("open", "new/FORMAT", 1),
    ],
)
def test_a_move_that_was_killed_leaves_nothing_that_opens(left: Left, event: str, under: str, number: int) -> None:
    new = left.folder / "new"
    words = ("move-in", left.file, new, "--lock-with", left.phrase)
    killed = child(KILL_AT, event, left.folder / under, number, *words)
    assert killed.returncode == KILLED, killed.stderr
    assert not (new / "FORMAT").exists() or not (new / "FORMAT").read_bytes()
    assert run("user", "list", "--data", str(new)).exit_code == 4
    if any(file for folder in (new, left.folder / "new.keys") for file in folder.iterdir()):
        assert left.move().exit_code == 1, "it holds something already"
    shutil.rmtree(new)
    shutil.rmtree(left.folder / "new.keys", ignore_errors=True)
    data_of(left.move())


def test_a_full_disk_leaves_nothing(left: Left, going: Left, tmp_path: Path) -> None:
    new = left.folder / "new"
    moved = child(LIMITED, 150_000, "move-in", left.file, new, "--lock-with", left.phrase)
    assert moved.returncode == 1, moved.stderr
    assert not list(new.iterdir())
    assert not list((left.folder / "new.keys").iterdir())
    # The service writes the entry, so that only the copy meets the limit.
    words = ("export", "--all", "-o", tmp_path / "file", "--lock-with", going.phrase, "--data", going.data)
    with served(going.data):
        exported = child(LIMITED, going.file.stat().st_size // 2, *words)
    assert (exported.returncode, "the system refused" in exported.stderr) == (1, True), exported.stderr
    assert not list(tmp_path.iterdir())


def test_an_export_that_was_killed_leaves_no_file(going: Left) -> None:
    to = going.folder / "killed"
    part = to.with_name("killed.part")
    words = ("export", "--all", "-o", to, "--lock-with", going.phrase, "--data", going.data)
    killed = child(KILL_AT, "os.rename", part, 1, *words)
    assert (killed.returncode, to.exists(), part.exists()) == (KILLED, False, True), killed.stderr
    arguments = ("--lock-with", str(going.phrase), "--data", str(going.data))
    again = run("export", "--all", "-o", str(to), *arguments)
    assert (again.exit_code, "remove it" in again.stderr) == (1, True)
    part.unlink()
    going.leave(to)
    assert not part.exists()
