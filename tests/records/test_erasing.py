"""Erasing: after an approval nothing of the client opens, wherever it was stopped; everybody else reads the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from ops import wiring
from projections.client_view import CLIENT_VIEW
from projections.erasures import CLIENT_ERASURES, ERASURES
from projections.rebuild import SNAPSHOTS
from records.actors import Role
from records.care_team import put_member
from records.drafts import Draft
from records.erasing import Erasing, Waiting
from records.errors import Erased, KeyMissing, NotPermitted, RuleBroken, UnknownItem
from records.generations import turn_generation
from records.key_provider import KeyFileProvider
from records.ledger import KeyClass, Kind, decode_entry
from records.legal_hold import place_legal_hold
from records.signer_state import SignerState
from tests.check import check_store
from tests.clinic import StaffedClinic, make_clinic

CANARY = "canary-58e1"
STEPS = ("fenced", "keys-destroyed", "generation-turned", "caches-dropped", "completed")


class Killed(BaseException):
    """What a process that is killed does not catch either."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def clinic(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StaffedClinic]:
    """A clinic on each engine in turn; when the test is done, its log must hold every invariant."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    made = make_clinic(tmp_path / "clinic", database_url=url)
    yield made
    check_store(made.store)
    made.close()


def told(clinic: StaffedClinic, family: str = CANARY) -> UUID:
    """Register a client of whom something is known, drafts and sealed rows among it."""
    client = clinic.register(family=family)
    clinic.note(client, f"{family} came on time.")
    draft = Draft(kind="progress", format="free", sections={"text": f"{family} has a draft."}, session_id=None)
    clinic.opened.drafts.save(client, uuid4(), draft, clinic.request())
    clinic.see(CLIENT_VIEW, client)
    return client


def stopped_after(clinic: StaffedClinic, wanted: str) -> Erasing:
    """Return what erases in this clinic and is killed after a step."""
    opened = clinic.opened
    provider = KeyFileProvider(opened.paths.key_file)
    state = SignerState(opened.paths.signer, opened.keyring.deployment_id, provider)

    def step(name: str) -> None:
        if name == wanted:
            raise Killed(name)

    turn = partial(turn_generation, provider, opened.keyring, state, destroy_old=True)
    return Erasing(opened.service, opened.store, opened.keyring, turn, nullcontext, uuid4, _no_alarm, step)


def _no_alarm(code: str, facts: dict[str, object]) -> None:
    raise AssertionError(f"{code} {facts}")


def kinds(clinic: StaffedClinic, client: UUID) -> list[Kind]:
    """Return what the log says of a client's keys."""
    entries = [decode_entry(raw) for _, raw in clinic.store.key_entries()]
    return [entry.kind for entry in entries if entry.stream == client]


def require_gone(clinic: StaffedClinic, erasure: Waiting) -> None:
    """Hold a clinic to what an erasure promises."""
    _, client = erasure
    for act in (
        lambda: clinic.see(CLIENT_VIEW, client),
        lambda: clinic.note(client, "One more."),
        lambda: clinic.do(client, put_member, by=Role.OPERATOR, staff_id=clinic.staff[Role.SUPERVISOR].id, part="team"),
        lambda: clinic.reader.events(client),
        lambda: clinic.opened.keyring.ensure(client, KeyClass.RECORD),
    ):
        with pytest.raises(Erased):
            act()
    assert kinds(clinic, client) == [Kind.KEY_CREATED, Kind.KEY_DESTROYED]
    assert [key for key in clinic.opened.keyring.held() if key.scope == client] == []
    for place in (*SNAPSHOTS.values(), "draft"):
        name = place if isinstance(place, str) else place.place
        assert [row for row in clinic.store.rows(name) if row.stream == client] == []
    (item,) = clinic.see(CLIENT_ERASURES, client, by=Role.PRIVACY_OFFICER).items
    assert (item.state, item.requested_by_name, item.approved_by_name) == ("completed", "Remy Clark", "Pat Oakes")


# --- what it promises


def test_nothing_of_the_client_opens_and_everybody_else_reads_the_same(clinic: StaffedClinic) -> None:
    client, other = told(clinic), told(clinic, "Other")
    before = clinic.see(CLIENT_VIEW, other)
    erasure = clinic.erase(client)
    require_gone(clinic, erasure)
    assert clinic.see(CLIENT_VIEW, other) == before
    clinic.reopen()
    require_gone(clinic, erasure)
    assert clinic.see(CLIENT_VIEW, other) == before


def test_the_caseload_keeps_the_id_and_no_name(clinic: StaffedClinic) -> None:
    client, other = told(clinic), told(clinic, "Other")
    assert {each.name for each in clinic.see(clinic.opened.roster.caseload).items} == {
        f"Robin {CANARY}",
        "Robin Other",
    }
    clinic.erase(client)
    shown = {each.id: each.name for each in clinic.see(clinic.opened.roster.caseload).items}
    assert shown == {client: None, other: "Robin Other"}


def test_the_record_is_closed_from_its_approval_on(clinic: StaffedClinic) -> None:
    client = told(clinic)
    erasure = clinic.approve_erasure(client)
    with pytest.raises(Erased):
        clinic.see(CLIENT_VIEW, client)
    with pytest.raises(Erased):
        clinic.note(client, "One more.")
    assert clinic.opened.erasing.waiting() == (erasure,)
    clinic.opened.erasing.complete(erasure)
    assert clinic.opened.erasing.waiting() == ()
    assert not clinic.opened.erasing.complete(erasure)


def test_a_refusal_after_it_is_recorded(clinic: StaffedClinic) -> None:
    client = told(clinic)
    clinic.erase(client)
    before = len(clinic.reader.access_events(client))
    with pytest.raises(Erased):
        clinic.see(CLIENT_VIEW, client)
    (entry,) = clinic.reader.access_events(client)[before:]
    assert (entry.event.outcome, entry.event.reason, entry.event.action) == ("deny", "erased", "client.view")


def test_the_list_of_erasures_leaves_an_entry_with_each_client(clinic: StaffedClinic) -> None:
    client = told(clinic)
    erasure = clinic.erase(client)
    page = clinic.see(ERASURES, by=Role.PRIVACY_OFFICER)
    assert [(item.id, item.client, item.state) for item in page.items] == [(*erasure, "completed")]
    assert clinic.reader.access_events(client)[-1].event.action == "erasure.list"


def test_keys_and_words_are_nowhere_in_the_files(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path / "clinic")
    client = told(clinic)
    key = clinic.opened.keyring.current(client, KeyClass.RECORD)
    paths = clinic.opened.paths
    root = msgspec.json.decode(paths.key_file.read_bytes())["keys"]["1"]
    found = {path.name for path in _files(tmp_path) if root.encode() in path.read_bytes()}
    assert found == {paths.key_file.name}, "what is looked for is not there to begin with"
    wrapped = _wrapped(paths.keyring, client)
    assert wrapped in paths.keyring.read_bytes()
    clinic.erase(client)
    for wanted in (key.secret, wrapped, root.encode(), CANARY.encode()):
        assert [path for path in _files(tmp_path) if wanted in path.read_bytes()] == []
    clinic.close()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _wrapped(keyring: Path, client: UUID) -> bytes:
    import sqlite3

    connection = sqlite3.connect(keyring)
    (row,) = connection.execute("SELECT wrapped FROM data_keys WHERE scope = ?", (client.bytes,)).fetchall()
    connection.close()
    found: bytes = row[0]
    return found


# --- stopped half way


@pytest.mark.parametrize("wanted", STEPS)
def test_killed_after_any_step_it_is_completed_at_the_next_start(clinic: StaffedClinic, wanted: str) -> None:
    client, other = told(clinic), told(clinic, "Other")
    before = clinic.see(CLIENT_VIEW, other)
    erasure = clinic.approve_erasure(client)
    with pytest.raises(Killed, match=wanted):
        stopped_after(clinic, wanted).complete(erasure)
    with pytest.raises(Erased):
        clinic.see(CLIENT_VIEW, client)
    clinic.reopen()
    require_gone(clinic, erasure)
    assert clinic.see(CLIENT_VIEW, other) == before


def test_killed_after_the_approval_it_is_completed_at_the_next_start(clinic: StaffedClinic) -> None:
    erasure = clinic.approve_erasure(told(clinic))
    clinic.reopen()
    require_gone(clinic, erasure)


def test_a_key_provider_that_is_away_is_an_alarm_and_the_record_stays_closed(clinic: StaffedClinic) -> None:
    client = told(clinic)
    erasure = clinic.approve_erasure(client)

    def away() -> int:
        raise KeyMissing("the provider does not answer")

    alarms: list[str] = []
    opened = clinic.opened
    erasing = Erasing(
        opened.service, opened.store, opened.keyring, away, nullcontext, uuid4, lambda code, _: alarms.append(code)
    )
    assert not erasing.attempt(erasure)
    assert alarms == ["erasure-delayed"]
    with pytest.raises(Erased):
        clinic.see(CLIENT_VIEW, client)
    assert opened.erasing.attempt(erasure)
    require_gone(clinic, erasure)


def test_a_directory_of_the_keys_that_is_away_delays_it_too(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path / "clinic")
    erasure = clinic.approve_erasure(told(clinic))
    keys = clinic.opened.paths.keys
    away = keys.rename(keys.with_name("away"))
    assert not clinic.opened.erasing.attempt(erasure)
    assert clinic.alarms == [("erasure-delayed", {"erasure": str(erasure.erasure_id), "error": "NotStored"})]
    away.rename(keys)
    assert clinic.opened.erasing.attempt(erasure)
    require_gone(clinic, erasure)
    clinic.close()


def test_a_keyring_from_before_it_does_not_bring_the_client_back(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path / "clinic")
    client, other = told(clinic), told(clinic, "Other")
    before = clinic.see(CLIENT_VIEW, other)
    paths, aside = clinic.opened.paths, tmp_path / "aside"
    aside.mkdir()
    for file in (paths.keyring, paths.key_file, *paths.signer.glob("*.key")):
        shutil.copy(file, aside / file.name)
    erasure = clinic.erase(client)
    clinic.opened.close()
    for file in aside.iterdir():
        shutil.copy(file, (paths.signer if file.name[:3] in ("log", "epo") else paths.keys) / file.name)
    clinic.opened = clinic._open()
    require_gone(clinic, erasure)
    assert clinic.see(CLIENT_VIEW, other) == before
    assert [stone.scope for stone in clinic.opened.keyring.tombstones()] == [client]
    clinic.close()


def test_a_key_that_is_lost_is_not_an_erasure(tmp_path: Path) -> None:
    import sqlite3

    clinic = make_clinic(tmp_path / "clinic")
    client = told(clinic)
    keyring = clinic.opened.paths.keyring
    clinic.close()
    connection = sqlite3.connect(keyring)
    connection.execute("DELETE FROM data_keys WHERE scope = ?", (client.bytes,))
    connection.commit()
    connection.close()
    with pytest.raises(KeyMissing):
        clinic._open()


def test_what_a_reading_under_way_kept_is_dropped_again(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path / "clinic")
    client = told(clinic)
    held = SNAPSHOTS["client_view"]._folds(clinic.reader)
    kept, record = held.get(client), clinic.service.cache.get(client)
    assert kept is not None
    assert record is not None
    clinic.erase(client)
    held.keep(client, kept)
    clinic.service.cache.keep(record)
    clinic.opened.erasing.forget_again()
    assert held.get(client) is None
    assert clinic.service.cache.get(client) is None
    clinic.close()


# --- who, and when


def test_the_keyring_is_turned_and_the_signer_signs_on(clinic: StaffedClinic) -> None:
    clinic.erase(told(clinic))
    provider = KeyFileProvider(clinic.opened.paths.key_file)
    assert provider.generations() == (2,)
    assert {key.generation for key in clinic.opened.keyring.held()} == {2}
    clinic.note(clinic.register(), "Another.")
    clinic.opened.signer.flush()
    clinic.reopen()
    clinic.opened.signer.flush()


def test_retention_and_holds_refuse_it_at_the_request_and_at_the_approval(clinic: StaffedClinic) -> None:
    client = told(clinic)
    door, erasure = clinic.opened.erasure, uuid4()
    with pytest.raises(RuleBroken, match="retention"):
        door.request(client, uuid4(), "client-request", clinic.request(Role.RECORDS_CLERK))
    door.request(client, erasure, "court-order", clinic.request(Role.RECORDS_CLERK))
    hold = {"hold_id": uuid4(), "authority": "police", "requested_by": "An inspector", "reason": "An inquiry."}
    clinic.do(client, place_legal_hold, by=Role.PRIVACY_OFFICER, **hold)
    with pytest.raises(RuleBroken, match="retention"):
        door.approve(client, erasure, clinic.request(Role.PRIVACY_OFFICER))
    assert clinic.see(CLIENT_VIEW, client).client_id == client


def test_a_hold_that_is_placed_at_the_moment_of_the_approval_is_not_passed_over(clinic: StaffedClinic) -> None:
    """The record moves between the question and the commit, as another process would move it."""
    client, erasure = told(clinic), uuid4()
    opened = clinic.opened
    opened.erasure.request(client, erasure, "court-order", clinic.request(Role.RECORDS_CLERK))
    real, moved = opened.service.transact, []

    def overtaken(*arguments: object, **more: object) -> object:
        if not moved:
            moved.append(True)
            with pytest.MonkeyPatch.context():
                real(
                    client,
                    place_legal_hold,
                    clinic.request(Role.PRIVACY_OFFICER),
                    hold_id=uuid4(),
                    authority="police",
                    requested_by="An inspector",
                    reason="An inquiry.",
                )
        return real(*arguments, **more)

    opened.service.transact = overtaken
    try:
        with pytest.raises(Exception, match="changed by others"):
            opened.erasure.approve(client, erasure, clinic.request(Role.PRIVACY_OFFICER))
    finally:
        del opened.service.transact
    assert client not in opened.service.directory.clinic.erased
    with pytest.raises(RuleBroken, match="retention"):
        opened.erasure.approve(client, erasure, clinic.request(Role.PRIVACY_OFFICER))


@pytest.mark.parametrize("by", [Role.THERAPIST, Role.FRONT_DESK, Role.ADMINISTRATOR, Role.OPERATOR, Role.RECORDS_CLERK])
def test_who_may_not_approve(clinic: StaffedClinic, by: Role) -> None:
    client, erasure = told(clinic), uuid4()
    clinic.opened.erasure.request(client, erasure, "court-order", clinic.request(Role.PRIVACY_OFFICER))
    with pytest.raises(NotPermitted):
        clinic.opened.erasure.approve(client, erasure, clinic.request(by))
    assert clinic.see(CLIENT_VIEW, client).client_id == client


def test_a_request_of_another_client_is_not_found(clinic: StaffedClinic) -> None:
    client, other, erasure = told(clinic), told(clinic, "Other"), uuid4()
    clinic.opened.erasure.request(client, erasure, "court-order", clinic.request(Role.RECORDS_CLERK))
    with pytest.raises(UnknownItem):
        clinic.opened.erasure.approve(other, erasure, clinic.request(Role.PRIVACY_OFFICER))
    assert clinic.reader.access_events(other)[-1].event.reason == "unknown-item"


# --- other processes


@pytest.mark.postgres
def test_another_process_drops_what_it_holds_when_it_follows(tmp_path: Path, postgres_url: str) -> None:
    clinic = make_clinic(tmp_path / "clinic", database_url=postgres_url)
    client = told(clinic)
    beside = wiring.open_clinic(tmp_path / "clinic", database_url=postgres_url)
    try:
        view: Callable[[], object] = partial(
            beside.service.view, CLIENT_VIEW, clinic.request(), clinic_purpose(), client
        )
        view()
        held = SNAPSHOTS["client_view"]._folds(beside.service.reader)
        assert held.get(client) is not None
        clinic.erase(client)
        beside.erasing.waiting()
        assert held.get(client) is None
        assert beside.service.cache.get(client) is None
        with pytest.raises(Erased):
            view()
        # Even a key that is still leased there opens nothing.
        with pytest.raises(Erased):
            beside.service.reader.record_key(client)
    finally:
        beside.abandon()
        clinic.close()


def clinic_purpose() -> object:
    from tests.clinic import PURPOSES

    return PURPOSES[Role.THERAPIST]
