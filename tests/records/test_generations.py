"""A turn of the keyring key: nothing is lost at any place where it stops, and what was wrapped before opens nowhere."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from records.checkpoint import LogKey
from records.errors import KeyMissing
from records.generations import destroy_old_generations, turn_generation
from records.key_provider import KeyFileProvider
from records.keyring import Keyring
from records.ledger import KeyClass
from records.sealing import DataKey
from records.signer_state import SignerState

CLINIC = UUID(int=1)
CLIENTS = [uuid4() for _ in range(7)]
LOG_SEED = os.urandom(32)


class Stopped(Exception):
    """The process ended here."""


class Machine:
    """The files of one clinic's keys, and what a process that opens them holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.opened: list[Keyring] = []

    @staticmethod
    def found(folder: Path) -> Machine:
        machine = Machine(folder)
        KeyFileProvider.create(folder / "root.key")
        Keyring.create(folder / "keyring.db", CLINIC)
        _, keyring, state = machine.process()
        state.create()
        state.keep_log_key(LOG_SEED)
        state.ensure_epoch(3)
        keyring.ensure_all(CLIENTS, KeyClass.RECORD)
        keyring.ensure(CLINIC, KeyClass.AUDIT_YEAR, 2026)
        return machine

    def process(self) -> tuple[KeyFileProvider, Keyring, SignerState]:
        provider = KeyFileProvider(self.folder / "root.key")
        keyring = Keyring(self.folder / "keyring.db", CLINIC, provider, lambda: 0.0)
        self.opened.append(keyring)
        return provider, keyring, SignerState(self.folder / "signer", CLINIC, provider)

    def copy(self, name: str) -> Machine:
        shutil.copytree(self.folder, self.folder.with_name(name))
        return Machine(self.folder.with_name(name))

    def keys(self) -> list[DataKey]:
        """Return every key of the clinic, opened by a new process."""
        _, keyring, state = self.process()
        assert state.log_key().public == LogKey(LOG_SEED).public
        state.epoch_keys(3)
        return [keyring.current(scope, KeyClass.RECORD) for scope in CLIENTS] + [
            keyring.current(CLINIC, KeyClass.AUDIT_YEAR, 2026)
        ]

    def generations(self) -> set[int]:
        """Return under which generations something is wrapped."""
        _, keyring, state = self.process()
        return {held.generation for held in keyring.held()} | set(state.generations())

    def close(self) -> None:
        for keyring in self.opened:
            keyring.close()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine.found(tmp_path / "keys")
    yield made
    made.close()


class Stopping:
    """Stands before a provider, a keyring or a signer's state, and ends the process before or after one method."""

    def __init__(self, behind: object, method: str, *, after: bool) -> None:
        self._behind, self._method, self._after = behind, method, after

    def __getattr__(self, name: str) -> object:
        found = getattr(self._behind, name)
        if name != self._method:
            return found

        def stopping(*arguments: object, **named: object) -> object:
            if self._after:
                found(*arguments, **named)
            raise Stopped(name)

        return stopping


def test_everything_is_wrapped_under_the_new_generation_and_is_the_same_key(machine: Machine) -> None:
    before = machine.keys()
    provider, keyring, state = machine.process()

    assert turn_generation(provider, keyring, state, destroy_old=False) == 2
    assert machine.generations() == {2}
    assert KeyFileProvider(machine.folder / "root.key").generations() == (1, 2)
    assert machine.keys() == before
    assert turn_generation(provider, keyring, state, destroy_old=True) == 3
    assert KeyFileProvider(machine.folder / "root.key").generations() == (3,)
    assert machine.keys() == before


def test_a_copy_of_the_keyring_from_before_opens_nowhere_once_the_old_generation_is_destroyed(machine: Machine) -> None:
    copy = machine.copy("copy")
    provider, keyring, state = machine.process()
    turn_generation(provider, keyring, state, destroy_old=False)
    shutil.copy(machine.folder / "root.key", copy.folder / "root.key")
    assert copy.keys() == machine.keys(), "while the old generation is there, it must open"

    destroy_old_generations(provider, keyring, state)
    shutil.copy(machine.folder / "root.key", copy.folder / "root.key")
    with pytest.raises(KeyMissing):
        copy.keys()
    copy.close()


def test_what_was_destroyed_since_an_unfinished_turn_opens_in_no_copy(machine: Machine) -> None:
    provider, keyring, state = machine.process()
    turn_generation(provider, keyring, state, destroy_old=False)
    copy = machine.copy("copy")
    keyring.destroy(CLIENTS[0], uuid4(), 1)

    turn_generation(provider, keyring, state, destroy_old=True)
    shutil.copy(machine.folder / "root.key", copy.folder / "root.key")
    _, copied, _ = copy.process()
    with pytest.raises(KeyMissing):
        copied.current(CLIENTS[0], KeyClass.RECORD)
    copy.close()


def test_a_turn_that_keeps_the_old_generation_goes_on_with_one_that_was_begun(machine: Machine) -> None:
    provider, keyring, state = machine.process()
    provider.begin_generation()

    assert turn_generation(provider, keyring, state, destroy_old=False) == 2
    assert destroy_old_generations(provider, keyring, state) == (1,)
    assert destroy_old_generations(provider, keyring, state) == ()


STOPS = [
    ("provider", "begin_generation", False),
    ("provider", "begin_generation", True),
    ("keyring", "rewrap", False),
    ("keyring", "rewrap", True),
    ("state", "rewrap", False),
    ("state", "rewrap", True),
    ("keyring", "check_opens", False),
    ("state", "check_opens", True),
    ("keyring", "held_still", False),
    ("provider", "destroy_generations_below", False),
    ("provider", "destroy_generations_below", True),
]


@pytest.mark.parametrize("destroy_old", [True, False])
@pytest.mark.parametrize(("where", "method", "after"), STOPS, ids=[f"{w}-{m}-{a}" for w, m, a in STOPS])
def test_a_turn_that_stops_anywhere_loses_nothing_and_is_finished_by_the_next(
    machine: Machine, where: str, method: str, after: bool, destroy_old: bool
) -> None:
    before = machine.keys()
    provider, keyring, state = machine.process()
    parts: dict[str, object] = {"provider": provider, "keyring": keyring, "state": state}
    parts[where] = Stopping(parts[where], method, after=after)
    if destroy_old or method not in ("held_still", "destroy_generations_below"):
        with pytest.raises(Stopped):
            turn_generation(*parts.values(), destroy_old=destroy_old)  # type: ignore[arg-type]  # stands before the real one
    assert machine.keys() == before

    turned = turn_generation(*machine.process(), destroy_old=destroy_old)
    assert machine.keys() == before
    assert machine.generations() == {turned}
    held = KeyFileProvider(machine.folder / "root.key").generations()
    assert held == (turned,) if destroy_old else held[-1] == turned


def test_a_rewrap_that_stops_between_two_transactions_is_finished_by_the_next(machine: Machine) -> None:
    before = machine.keys()
    provider, keyring, _ = machine.process()
    provider.begin_generation()
    calls = 0
    wrap = provider.wrap

    def failing(context: bytes, secret: bytes, generation: int | None = None) -> bytes:
        nonlocal calls
        calls += 1
        if calls > 4:
            raise Stopped
        return wrap(context, secret, generation)

    provider.wrap = failing  # type: ignore[method-assign]  # this one object stops or waits
    with pytest.raises(Stopped):
        keyring.rewrap(batch=2)
    assert machine.generations() == {1, 2}
    assert machine.keys() == before
    assert machine.process()[1].rewrap(batch=2) == 4
    assert {held.generation for held in machine.process()[1].held()} == {2}


class Meanwhile:
    """Stands before a keyring, and lets somebody else act each time before it is held still."""

    def __init__(self, keyring: Keyring, act: Callable[[], None]) -> None:
        self._keyring, self._act = keyring, act

    def __getattr__(self, name: str) -> object:
        return getattr(self._keyring, name)

    def held_still(self) -> AbstractContextManager[int | None]:
        self._act()
        return self._keyring.held_still()


def test_keys_that_another_process_makes_during_the_turn_are_kept(machine: Machine) -> None:
    provider, keyring, state = machine.process()
    _, serving, signing = machine.process()
    made: list[UUID] = []

    def serve() -> None:
        made.append(uuid4())
        serving.ensure(made[-1], KeyClass.RECORD)
        signing.ensure_epoch(4)

    turn_generation(provider, Meanwhile(keyring, serve), state, destroy_old=True)  # type: ignore[arg-type]  # stands before the real one
    _, opened, signer = machine.process()
    assert made
    for scope in made:
        assert opened.current(scope, KeyClass.RECORD) == serving.current(scope, KeyClass.RECORD)
    signer.epoch_keys(4)


def test_a_key_that_still_comes_under_the_old_generation_is_rewrapped_before_that_is_destroyed(
    machine: Machine,
) -> None:
    # As of a process whose transaction began before the turn and whose commit came late.
    late = machine.copy("late")
    late_provider = KeyFileProvider(late.folder / "root.key")
    provider, keyring, state = machine.process()
    stranger = Keyring(machine.folder / "keyring.db", CLINIC, late_provider, lambda: 0.0)
    machine.opened.append(stranger)
    scopes: list[UUID] = []
    made: list[DataKey] = []

    def come() -> None:
        if len(scopes) < 3:
            scopes.append(uuid4())
            made.append(stranger.ensure(scopes[-1], KeyClass.RECORD))

    turn_generation(provider, Meanwhile(keyring, come), state, destroy_old=True)  # type: ignore[arg-type]  # stands before the real one
    assert machine.generations() == {2}
    _, opened, _ = machine.process()
    assert [opened.current(scope, KeyClass.RECORD) for scope in scopes] == made


def test_a_serving_process_makes_and_reads_keys_while_another_turns_again_and_again(machine: Machine) -> None:
    _, serving, signing = machine.process()
    made: list[DataKey] = []
    scopes: list[UUID] = []
    failed: list[BaseException] = []
    over = threading.Event()

    def serve() -> None:
        try:
            epoch = 10
            while not over.is_set() or len(made) < 20:
                scopes.append(uuid4())
                made.append(serving.ensure(scopes[-1], KeyClass.RECORD))
                serving.forget()
                assert serving.current(scopes[-1], KeyClass.RECORD) == made[-1]
                epoch += 1
                signing.ensure_epoch(epoch)
                signing.destroy_other_epochs(epoch)
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        provider, keyring, state = machine.process()
        for _ in range(6):
            turn_generation(provider, keyring, state, destroy_old=True)
    finally:
        over.set()
        thread.join()
    assert failed == []
    assert KeyFileProvider(machine.folder / "root.key").generations() == (7,)
    assert machine.generations() == {7}
    _, opened, signer = machine.process()
    assert [opened.current(scope, KeyClass.RECORD) for scope in scopes] == made
    assert len(signer.epochs()) == 1, "no destroyed epoch key may come back"


def test_a_key_that_does_not_open_stops_the_turn_before_anything_is_destroyed(machine: Machine) -> None:
    provider, keyring, state = machine.process()
    keyring._connection.execute("UPDATE data_keys SET wrapped = zeroblob(104) WHERE scope = ?", (CLIENTS[0].bytes,))

    with pytest.raises(KeyMissing):
        turn_generation(provider, keyring, state, destroy_old=True)
    assert 1 in KeyFileProvider(machine.folder / "root.key").generations()


def test_what_was_written_and_does_not_open_stops_the_turn_before_anything_is_destroyed(machine: Machine) -> None:
    provider, keyring, state = machine.process()

    class Damaging:
        """Stands before a keyring whose disk writes something else than it was given."""

        def __getattr__(self, name: str) -> object:
            return getattr(keyring, name)

        def rewrap(self, to_generation: int) -> int:
            count = keyring.rewrap(to_generation)
            scope = CLIENTS[0].bytes
            keyring._connection.execute("UPDATE data_keys SET wrapped = zeroblob(104) WHERE scope = ?", (scope,))
            return count

    with pytest.raises(KeyMissing):
        turn_generation(provider, Damaging(), state, destroy_old=True)  # type: ignore[arg-type]  # stands before the real one
    assert 1 in KeyFileProvider(machine.folder / "root.key").generations()


def test_a_machine_without_a_signer_turns_too(machine: Machine) -> None:
    shutil.rmtree(machine.folder / "signer")
    provider, keyring, _ = machine.process()
    assert turn_generation(provider, keyring, None, destroy_old=True) == 2
    assert {held.generation for held in keyring.held()} == {2}


def test_the_signers_keys_are_rewrapped_and_no_file_of_the_old_generation_is_left(machine: Machine) -> None:
    provider, _, state = machine.process()
    folder = machine.folder / "signer"
    old = {file.name: file.read_bytes() for file in folder.iterdir()}
    provider.begin_generation()

    assert (state.rewrap(), state.rewrap()) == (2, 0)
    assert state.generations() == [2, 2]
    assert state.check_opens() == 2
    new = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert set(new) == set(old) == {"log.key", "epoch-3.key"}
    assert not set(new.values()) & set(old.values())
    provider.destroy_generations_below(2)
    _, _, reopened = machine.process()
    assert reopened.log_key().public == state.log_key().public


def test_an_epochs_key_that_is_destroyed_during_a_rewrap_does_not_come_back(machine: Machine) -> None:
    provider, _, state = machine.process()
    _, _, signing = machine.process()
    state.ensure_epoch(4)
    provider.begin_generation()
    unwrap, calls = provider.unwrap, 0
    thread = threading.Thread(target=signing.destroy_other_epochs, args=(4,))

    def slow(generation: int, context: bytes, wrapped: bytes) -> bytes:
        nonlocal calls
        calls += 1
        secret = unwrap(generation, context, wrapped)
        if calls == 2:
            # The second is the key of epoch 3, which is opened now and would be written after this.
            thread.start()
            thread.join(0.2)
        return secret

    provider.unwrap = slow  # type: ignore[method-assign]  # this one object stops or waits
    state.rewrap()
    thread.join()
    assert state.epochs() == [4]


def test_a_signers_key_is_made_under_the_generation_of_the_moment_at_which_it_is_kept(machine: Machine) -> None:
    provider, _, state = machine.process()
    _, _, signing = machine.process()
    thread = threading.Thread(target=signing.ensure_epoch, args=(4,))
    with state.held_still() as oldest:
        assert oldest == 1
        thread.start()
        thread.join(0.2)
        provider.begin_generation()
    thread.join()
    assert state.generations() == [1, 1, 2]
