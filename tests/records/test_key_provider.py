"""The root of all keys: written once and durable, opened by its passphrase only, and shown to nobody."""

from __future__ import annotations

import base64
import json
import stat
import traceback
from pathlib import Path

import pytest

from records.errors import KeyMissing
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
