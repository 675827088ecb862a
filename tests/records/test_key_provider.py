"""The root of all keys: written once and durable, opened by its passphrase only, and shown to nobody."""

from __future__ import annotations

import base64
import json
import os
import stat
import threading
import time
import traceback
from pathlib import Path

import pytest

from records.errors import KeyMissing, KeyProviderUnreachable, NotStored
from records.key_provider import KeyFileProvider

PASSPHRASE = b"correct horse"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "root.key"


def test_what_is_wrapped_opens_with_its_context_only(path: Path) -> None:
    KeyFileProvider.create(path)
    provider = KeyFileProvider(path)
    wrapped = provider.wrap(b"context", b"secret")

    assert KeyFileProvider(path).unwrap(1, b"context", wrapped) == b"secret"
    assert b"secret" not in wrapped
    assert wrapped != provider.wrap(b"context", b"secret")
    for generation, context, stored in [
        (1, b"contexT", wrapped),
        (2, b"context", wrapped),
        (1, b"context", wrapped[:-1]),
        (1, b"context", bytes([wrapped[0] ^ 1]) + wrapped[1:]),
        (1, b"context", b""),
    ]:
        with pytest.raises(KeyMissing):
            provider.unwrap(generation, context, stored)


def test_another_key_file_opens_nothing(path: Path, tmp_path: Path) -> None:
    KeyFileProvider.create(path)
    KeyFileProvider.create(tmp_path / "other.key")
    wrapped = KeyFileProvider(path).wrap(b"context", b"secret")

    with pytest.raises(KeyMissing):
        KeyFileProvider(tmp_path / "other.key").unwrap(1, b"context", wrapped)


def test_the_file_is_its_owners_and_nothing_is_left_beside_it(path: Path) -> None:
    KeyFileProvider.create(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    written = path.read_bytes()
    with pytest.raises(FileExistsError):
        KeyFileProvider.create(path)
    assert path.read_bytes() == written


def test_a_passphrase_seals_the_key(path: Path) -> None:
    KeyFileProvider.create(path, PASSPHRASE)
    wrapped = KeyFileProvider(path, PASSPHRASE).wrap(b"context", b"secret")

    assert KeyFileProvider(path, PASSPHRASE).unwrap(1, b"context", wrapped) == b"secret"
    assert KeyFileProvider(path, PASSPHRASE).protected
    stored = base64.b64decode(json.loads(path.read_text())["keys"]["1"])
    assert len(stored) > 32, "the key must not stand in the file as it is"
    for wrong in (b"correct horse ", b"", None):
        with pytest.raises(KeyMissing):
            KeyFileProvider(path, wrong)


def test_a_passphrase_for_a_file_without_one_is_refused(path: Path) -> None:
    KeyFileProvider.create(path)

    assert not KeyFileProvider(path).protected
    with pytest.raises(KeyMissing):
        KeyFileProvider(path, PASSPHRASE)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\xff\xfe",
        b'{"format":"wellkept-key-file/2","generation":1,"keys":{}}',
        b'{"format":"wellkept-key-file/1","generation":1,"keys":{},"more":1}',
        b'{"format":"wellkept-key-file/1","generation":1,"keys":{"1":"not base64"}}',
        b'{"format":"wellkept-key-file/1","generation":1,"keys":{"1":"c2hvcnQ="}}',
        b'{"format":"wellkept-key-file/1","generation":2,"keys":{}}',
    ],
    ids=["empty", "bare", "binary", "format", "field", "base64", "length", "generation"],
)
def test_a_file_that_is_no_key_file_is_said_to_be_none(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(KeyMissing):
        KeyFileProvider(path)


def test_a_missing_file_is_a_missing_key(path: Path) -> None:
    with pytest.raises(KeyMissing):
        KeyFileProvider(path)


def test_neither_repr_nor_traceback_shows_a_key(path: Path) -> None:
    KeyFileProvider.create(path, PASSPHRASE)
    provider = KeyFileProvider(path, PASSPHRASE)
    key = provider._keys[1]
    shown = repr(provider) + str(provider)
    for attempt in (lambda: provider.unwrap(1, b"c", b"x" * 90), lambda: KeyFileProvider(path, b"wrong phrase")):
        with pytest.raises(KeyMissing) as caught:
            attempt()
        shown += "".join(traceback.format_exception(caught.value))

    for secret in (repr(key), key.hex(), base64.b64encode(key).decode(), PASSPHRASE.decode(), "wrong phrase"):
        assert secret not in shown.replace(Path(__file__).read_text(), "").replace('b"wrong phrase"', "")


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_new_generation_is_durable_and_the_old_one_stays(path: Path, passphrase: bytes | None) -> None:
    KeyFileProvider.create(path, passphrase)
    provider = KeyFileProvider(path, passphrase)
    old = provider.wrap(b"context", b"old")

    assert provider.begin_generation() == provider.generation == 2
    new = provider.wrap(b"context", b"new")
    for each in (provider, KeyFileProvider(path, passphrase)):
        assert each.generations() == (1, 2)
        assert each.generation == 2
        assert each.unwrap(1, b"context", old) == b"old"
        assert each.unwrap(2, b"context", new) == b"new"
    with pytest.raises(KeyMissing):
        provider.unwrap(1, b"context", new)
    assert provider.unwrap(1, b"context", provider.wrap(b"context", b"x", 1)) == b"x"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_destroyed_generation_is_in_no_file_and_opens_nothing(path: Path, passphrase: bytes | None) -> None:
    KeyFileProvider.create(path, passphrase)
    provider, other = KeyFileProvider(path, passphrase), KeyFileProvider(path, passphrase)
    old = provider.wrap(b"context", b"old")
    [stored] = json.loads(path.read_text())["keys"].values()
    provider.begin_generation()
    new = provider.wrap(b"context", b"new")

    provider.destroy_generations_below(2)
    provider.destroy_generations_below(2)
    assert stored not in "".join(file.read_text() for file in path.parent.iterdir())
    for each in (provider, other, KeyFileProvider(path, passphrase)):
        assert each.unwrap(2, b"context", new) == b"new"
        assert each.generations() == (2,)
        with pytest.raises(KeyMissing):
            each.unwrap(1, b"context", old)


def test_the_current_generation_is_never_destroyed(path: Path) -> None:
    KeyFileProvider.create(path)
    provider = KeyFileProvider(path)
    with pytest.raises(ValueError, match="current"):
        provider.destroy_generations_below(2)
    assert provider.generations() == (1,)


def test_a_process_sees_what_another_turned_and_forgets_what_it_destroyed(path: Path) -> None:
    KeyFileProvider.create(path)
    provider, serving = KeyFileProvider(path), KeyFileProvider(path)
    provider.begin_generation()
    new = provider.wrap(b"context", b"new")

    assert serving.unwrap(2, b"context", new) == b"new"
    assert serving.generation == 2
    provider.destroy_generations_below(2)
    serving.unwrap(2, b"context", new)
    assert list(serving._keys) == [2], "a destroyed key must leave the memory of other processes, too"


def test_the_passphrase_is_derived_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    derived: list[object] = []

    class Counting:
        """Stands before Argon2id and counts."""

        def __init__(self, **settings: object) -> None:
            derived.append(settings["salt"])

        def derive(self, passphrase: bytes) -> bytes:
            return passphrase.ljust(32)[:32]

    monkeypatch.setattr("records.key_provider.Argon2id", Counting)
    KeyFileProvider.create(path, PASSPHRASE)
    provider = KeyFileProvider(path, PASSPHRASE)
    for _ in range(5):
        provider.begin_generation()
    provider.generations()
    assert len(derived) == 2
    assert KeyFileProvider(path, PASSPHRASE).generations() == (1, 2, 3, 4, 5, 6)


def test_a_file_that_is_out_of_reach_takes_nothing_that_was_opened_and_comes_back_by_itself(path: Path) -> None:
    KeyFileProvider.create(path)
    provider = KeyFileProvider(path)
    wrapped = provider.wrap(b"context", b"secret")
    away = path.with_name("away")
    path.rename(away)

    assert provider.unwrap(1, b"context", wrapped) == b"secret"
    for attempt in (
        provider.generations,
        provider.begin_generation,
        lambda: provider.unwrap(2, b"context", wrapped),
        lambda: provider.destroy_generations_below(1),
    ):
        with pytest.raises(KeyProviderUnreachable):
            attempt()
    away.rename(path)
    assert provider.begin_generation() == 2


def test_a_file_that_was_replaced_by_another_is_refused(path: Path, tmp_path: Path) -> None:
    KeyFileProvider.create(path, PASSPHRASE)
    provider = KeyFileProvider(path, PASSPHRASE)
    KeyFileProvider.create(tmp_path / "other.key", b"another")
    (tmp_path / "other.key").replace(path)
    with pytest.raises(KeyMissing):
        provider.generations()
    assert provider.generation == 1


def test_processes_that_begin_generations_at_once_lose_none(path: Path) -> None:
    KeyFileProvider.create(path)
    begun: list[int] = []

    def begin() -> None:
        provider = KeyFileProvider(path)
        begun.extend(provider.begin_generation() for _ in range(10))

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(begun) == list(range(2, 42))
    assert KeyFileProvider(path).generations() == tuple(range(1, 42))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_file_that_cannot_be_written_stays_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    KeyFileProvider.create(path)
    provider = KeyFileProvider(path)
    written = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "no space")

    with monkeypatch.context() as broken:
        broken.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), full)
        with pytest.raises(NotStored):
            provider.begin_generation()
    assert path.read_bytes() == written
    assert provider.generations() == (1,)
    assert provider.begin_generation() == 2


def test_no_reader_ever_finds_half_a_file(path: Path) -> None:
    KeyFileProvider.create(path)
    provider, reader = KeyFileProvider(path), KeyFileProvider(path)
    until = time.monotonic() + 0.5

    def turn() -> None:
        while time.monotonic() < until:
            provider.destroy_generations_below(provider.begin_generation())

    thread = threading.Thread(target=turn)
    thread.start()
    while time.monotonic() < until:
        assert len(reader.generations()) in (1, 2)
    thread.join()
