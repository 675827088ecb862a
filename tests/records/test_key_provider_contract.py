"""One contract for all key providers: a file, a real Vault server, a PKCS#11 token.

Whatever keeps the root keys: a wrapped key opens in its context and generation and nowhere else; a destroyed generation
opens for nobody; several processes turn the same keys; out of reach is not gone, and nothing is kept unwrapped.
"""

from __future__ import annotations

import base64
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ops.keys.providers import create_provider, open_provider
from projections.client_view import CLIENT_VIEW
from records.actors import Role
from records.errors import Erased, KeyMissing, KeyProviderUnreachable
from records.generations import turn_generation
from records.key_provider import KeyProvider
from records.keyring import Keyring
from records.ledger import KeyClass
from records.signer_state import SignerState
from tests.check import check_store
from tests.clinic import make_clinic
from tests.kept_keys import KeptKeys

CONTEXT = b"wellkept/dek/1" + bytes(range(256)) * 2
SECRET = os.urandom(32)
BEGINNING = """
from ops.keys.providers import open_provider
from ops.settings import read_settings
provider = open_provider(read_settings())
for _ in range({times}):
    print(provider.begin_generation())
    assert provider.unwrap(1, b"context", bytes.fromhex("{wrapped}")) == b"secret"
"""


def refused(provider: KeyProvider, generation: int, context: bytes, wrapped: bytes) -> None:
    """Hold a provider to opening nothing, and to saying that it is not merely out of reach."""
    with pytest.raises(KeyMissing) as told:
        provider.unwrap(generation, context, wrapped)
    assert type(told.value) is KeyMissing


def test_what_is_wrapped_opens_in_its_context_and_in_no_other(kept: KeptKeys) -> None:
    provider = kept.found()
    wrapped = provider.wrap(CONTEXT, SECRET)
    assert (provider.generation, provider.generations()) == (1, (1,))
    assert provider.unwrap(1, CONTEXT, wrapped) == kept.open().unwrap(1, CONTEXT, wrapped) == SECRET
    for other in (CONTEXT[:-1], CONTEXT + b"\0", b"x" + CONTEXT[1:], b"another"):
        refused(provider, 1, other, wrapped)


def test_what_is_wrapped_shows_nothing_and_is_new_each_time(kept: KeptKeys) -> None:
    provider = kept.found()
    one, two = provider.wrap(CONTEXT, SECRET), provider.wrap(CONTEXT, SECRET)
    assert one != two
    for wrapped in (one, two):
        clear = base64.b64decode(wrapped[len(b"vault:v1:") :]) if wrapped.startswith(b"vault:") else wrapped
        assert len(clear) > len(SECRET)
        assert SECRET not in clear


def test_what_was_altered_or_cut_opens_nowhere(kept: KeptKeys) -> None:
    provider = kept.found()
    wrapped = provider.wrap(CONTEXT, SECRET)
    for at in (0, 1, 9, 10, 20, len(wrapped) // 2, len(wrapped) - 5):
        refused(provider, 1, CONTEXT, wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :])
    for cut in (b"", wrapped[:1], wrapped[:12], wrapped[:-4], SECRET):
        refused(provider, 1, CONTEXT, cut)
    assert provider.unwrap(1, CONTEXT, wrapped) == SECRET


def test_a_generation_opens_its_own_and_nothing_else(kept: KeptKeys) -> None:
    provider = kept.found()
    first = provider.wrap(CONTEXT, SECRET)
    assert provider.begin_generation() == provider.generation == 2
    second = provider.wrap(CONTEXT, SECRET)
    assert provider.unwrap(1, CONTEXT, first) == provider.unwrap(2, CONTEXT, second) == SECRET
    assert provider.unwrap(1, CONTEXT, provider.wrap(CONTEXT, SECRET, 1)) == SECRET
    for generation, wrapped in ((2, first), (1, second), (3, first), (3, second), (0, first)):
        refused(provider, generation, CONTEXT, wrapped)
    with pytest.raises(KeyMissing):
        provider.wrap(CONTEXT, SECRET, 3)


def test_a_destroyed_generation_opens_for_nobody(kept: KeptKeys) -> None:
    provider, other = kept.found(), kept.open()
    old = [provider.wrap(CONTEXT, SECRET)]
    provider.begin_generation()
    old.append(provider.wrap(CONTEXT, SECRET))
    assert other.unwrap(1, CONTEXT, old[0]) == other.unwrap(2, CONTEXT, old[1]) == SECRET
    provider.begin_generation()
    kept_on = provider.wrap(CONTEXT, SECRET)
    with pytest.raises(ValueError, match="current"):
        provider.destroy_generations_below(4)
    assert other.generations() == (1, 2, 3)

    for _ in range(2):
        provider.destroy_generations_below(3)
        provider.destroy_generations_below(2)
    for each in (provider, other, kept.open()):
        assert each.unwrap(3, CONTEXT, kept_on) == SECRET
        assert each.generations() == (3,)
        for generation, wrapped in enumerate(old, 1):
            refused(each, generation, CONTEXT, wrapped)
            with pytest.raises(KeyMissing):
                each.wrap(CONTEXT, SECRET, generation)


def test_several_processes_begin_generations_and_lose_none(kept: KeptKeys) -> None:
    provider = kept.found()
    code = BEGINNING.format(times=5, wrapped=provider.wrap(b"context", b"secret").hex())
    environment = {**{k: v for k, v in os.environ.items() if not k.startswith("WELLKEPT_")}, **kept.environment}
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    numbers = [int(line) for process in started for line in process.communicate()[0].split()]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert provider.generations() == tuple(range(1, 17))
    assert len(numbers) == 15
    assert set(numbers) <= set(range(2, 17))
    for generation in provider.generations():
        wrapped = provider.wrap(CONTEXT, SECRET, generation)
        assert kept.open().unwrap(generation, CONTEXT, wrapped) == SECRET


def test_out_of_reach_is_not_gone_and_ends_by_itself(kept: KeptKeys) -> None:
    provider = kept.found()
    wrapped = provider.wrap(CONTEXT, SECRET)
    acts = [provider.generations, provider.begin_generation, lambda: provider.destroy_generations_below(1)]
    if kept.kind != "file":
        # A key that was read from the file stays in memory; the others keep none.
        acts += [lambda: provider.unwrap(1, CONTEXT, wrapped), lambda: provider.wrap(CONTEXT, SECRET)]
    for _ in range(2):
        with kept.away():
            for act in acts:
                with pytest.raises(KeyProviderUnreachable):
                    act()
        assert provider.unwrap(1, CONTEXT, wrapped) == SECRET
        assert provider.generations() == (1,)


def test_while_it_is_out_of_reach_nothing_is_stored_instead(kept: KeptKeys) -> None:
    provider = kept.found()
    path = kept.keys / "keyring.db"
    Keyring.create(path, kept.deployment)
    with closing(Keyring(path, kept.deployment, provider, lambda: 0.0)) as keyring:
        ben = uuid4()
        before = keyring.ensure(ben, KeyClass.RECORD)
        state = SignerState(kept.keys / "signer", kept.deployment, provider)
        state.create()
        with kept.away():
            with pytest.raises(KeyProviderUnreachable):
                keyring.ensure(uuid4(), KeyClass.RECORD)
            with pytest.raises(KeyProviderUnreachable):
                state.ensure_epoch(1)
            assert [held.scope for held in keyring.held()] == [ben]
            assert state.epochs() == []
        keyring.forget()
        assert keyring.current(ben, KeyClass.RECORD) == before
        state.ensure_epoch(1)


def test_a_turn_keeps_every_key_and_no_older_copy_of_the_keyring_opens(kept: KeptKeys) -> None:
    provider = kept.found()
    path = kept.keys / "keyring.db"
    Keyring.create(path, kept.deployment)
    clients = [uuid4() for _ in range(5)]
    with closing(Keyring(path, kept.deployment, provider, lambda: 0.0)) as keyring:
        state = SignerState(kept.keys / "signer", kept.deployment, provider)
        state.create()
        state.keep_log_key(bytes(32))
        keyring.ensure_all(clients, KeyClass.RECORD)
        keys = [keyring.current(client, KeyClass.RECORD) for client in clients]
        shutil.copy(path, kept.folder / "older.db")

        assert turn_generation(provider, keyring, state, destroy_old=False) == 2
        assert turn_generation(provider, keyring, state, destroy_old=True) == 3
        assert kept.open().generations() == (3,)
        assert {held.generation for held in keyring.held()} == set(state.generations()) == {3}
        keyring.forget()
        assert [keyring.current(client, KeyClass.RECORD) for client in clients] == keys
        state.log_key()
    with closing(Keyring(kept.folder / "older.db", kept.deployment, kept.open(), lambda: 0.0)) as older:
        for client in clients:
            with pytest.raises(KeyMissing):
                older.current(client, KeyClass.RECORD)


def wrapped_keys(path: Path, scope: UUID) -> list[tuple[int, bytes, bytes]]:
    """Return generation, context and wrapped key of everything that a keyring holds for a scope."""
    with closing(sqlite3.connect(path)) as keyring:
        ((deployment,),) = keyring.execute("SELECT deployment_id FROM deployment")
        found = keyring.execute(
            "SELECT generation, key_class, version, key_id, wrapped FROM data_keys WHERE scope = ?", (scope.bytes,)
        ).fetchall()
    head = b"wellkept/dek/1" + b"\0\x10" + deployment
    return [
        (
            generation,
            head
            + generation.to_bytes(4, "big")
            + b"\0\x10"
            + scope.bytes
            + bytes([0, 1, key_class])
            + version.to_bytes(8, "big")
            + key_id,
            wrapped,
        )
        for generation, key_class, version, key_id, wrapped in found
    ]


def test_after_an_erasure_nothing_of_the_client_unwraps_from_any_copy(kept: KeptKeys) -> None:
    settings = kept.settings()
    clinic = make_clinic(kept.data, keep=partial(create_provider, settings), keeper=partial(open_provider, settings))
    client, other = clinic.register(family="Gone"), clinic.register(family="Stays")
    clinic.note(client, "To be erased.")
    clinic.note(other, "To be kept.")
    copied = wrapped_keys(clinic.opened.paths.keyring, client)
    assert copied
    for generation, context, wrapped in copied:
        assert len(kept.open().unwrap(generation, context, wrapped)) == 32

    erasure = uuid4()
    clinic.opened.erasure.request(client, erasure, "court-order", clinic.request(Role.RECORDS_CLERK))
    clinic.opened.erasure.approve(client, erasure, clinic.request(Role.PRIVACY_OFFICER))
    (waiting,) = clinic.opened.erasing.waiting()
    assert clinic.opened.erasing.complete(waiting)
    for generation, context, wrapped in copied:
        refused(kept.open(), generation, context, wrapped)
    assert wrapped_keys(clinic.opened.paths.keyring, client) == []
    clinic.reopen()
    with pytest.raises(Erased):
        clinic.see(CLIENT_VIEW, client)
    clinic.see(CLIENT_VIEW, other)
    check_store(clinic.store)
    clinic.close()
