"""What leaves is locked: whole or not at all, wrong and damaged told apart, and nothing left behind by a failure."""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import io
import os
import stat
from pathlib import Path
from typing import IO

import pikepdf
import pyrage
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ops.exits import CommandFailed, Exit
from ops.exports import protection
from ops.exports.protection import (
    lock_by,
    lock_for,
    protect_pdf,
    read_passphrase,
    require_protection,
    unprotect_age,
)
from ops.exports.whole_file import whole_file
from projections.export.printed import to_pdf
from tests.projections.test_export_printed import record, session

PASSPHRASE = "heron gravel lantern four"
CLEAR = bytes(range(256)) * 600
"""153,600 bytes: two whole pieces of age and a part of a third."""
PIECE = 64 * 1024


@pytest.fixture
def key() -> str:
    """A secret key of age."""
    return str(pyrage.x25519.Identity.generate())


def public(key: str) -> str:
    return str(pyrage.x25519.Identity.from_str(key).to_public())


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def locked_for(key: str, folder: Path, content: bytes = CLEAR) -> Path:
    """Return a file that is locked for the key."""
    return write(folder / "locked.age", lock_for(public(key))(content))


def locked_by(passphrase: str, content: bytes, work: int = 4) -> bytes:
    """Return a file of age that is locked by a passphrase, made by hand from the specification, with little work."""

    def letters(raw: bytes) -> bytes:
        return base64.b64encode(raw).rstrip(b"=")

    def derived(salt: bytes, info: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt, info).derive(file_key)

    file_key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
    label = b"age-encryption.org/v1/scrypt"
    wrapping = hashlib.scrypt(passphrase.encode(), salt=label + salt, n=2**work, r=8, p=1, dklen=32)
    wrapped = ChaCha20Poly1305(wrapping).encrypt(bytes(12), file_key, None)
    header = b"age-encryption.org/v1\n-> scrypt %s %d\n%s\n---" % (letters(salt), work, letters(wrapped))
    mac = hmac.digest(derived(b"", b"header"), header, "sha256")
    pieces = [content[start : start + PIECE] for start in range(0, len(content), PIECE)]
    cipher = ChaCha20Poly1305(derived(nonce, b"payload"))
    sealed = b"".join(
        cipher.encrypt(place.to_bytes(11, "big") + bytes([place == len(pieces) - 1]), piece, None)
        for place, piece in enumerate(pieces)
    )
    return header + b" " + letters(mac) + b"\n" + nonce + sealed


def refused(code: Exit, says: str, source: Path, **opened: object) -> None:
    """Expect a refusal that keeps nothing, not even for a moment under another name."""
    folder = source.parent / "out"
    folder.mkdir(exist_ok=True)
    with pytest.raises(CommandFailed, match=says) as failed:
        unprotect_age(source, folder / "opened", **opened)  # type: ignore[arg-type]  # one of two keywords
    assert failed.value.code == code
    assert list(folder.iterdir()) == []


def test_a_file_for_a_key_comes_back_the_same(tmp_path: Path, key: str) -> None:
    for size in (0, 1, PIECE - 1, PIECE, PIECE + 1, len(CLEAR)):
        folder = tmp_path / str(size)
        folder.mkdir()
        locked = locked_for(key, folder, CLEAR[:size])
        assert size < 100 or CLEAR[:64] not in locked.read_bytes()
        unprotect_age(locked, folder / "opened", identity_file=write(folder / "key", f"# created: today\n\n{key}\n"))
        assert (folder / "opened").read_bytes() == CLEAR[:size]
        assert stat.S_IMODE((folder / "opened").stat().st_mode) == 0o600
        assert {each.name for each in folder.iterdir()} == {"locked.age", "opened", "key"}


def test_a_file_by_a_passphrase_comes_back_the_same(tmp_path: Path) -> None:
    write(tmp_path / "locked.age", lock_by(PASSPHRASE)(CLEAR))
    unprotect_age(tmp_path / "locked.age", tmp_path / "opened", passphrase=PASSPHRASE)
    assert (tmp_path / "opened").read_bytes() == CLEAR
    assert stat.S_IMODE((tmp_path / "opened").stat().st_mode) == 0o600


def test_a_file_that_another_program_locked_is_opened(tmp_path: Path) -> None:
    locked = write(tmp_path / "locked.age", locked_by("short", CLEAR))
    unprotect_age(locked, tmp_path / "opened", passphrase="short")
    assert (tmp_path / "opened").read_bytes() == CLEAR


def test_a_file_cut_short_anywhere_leaves_nothing(tmp_path: Path, key: str) -> None:
    whole = locked_for(key, tmp_path).read_bytes()
    keys = write(tmp_path / "key", key)
    header = whole.index(b"\n", whole.index(b"\n---") + 1) + 1
    ends = {*range(4096, len(whole), 4096), *range(22, header + 18, 7), header, header + 16, len(whole) - 1}
    ends |= {header + 16 + pieces * (PIECE + 16) for pieces in (1, 2)}
    for end in sorted(ends):
        refused(Exit.INTEGRITY, "cut short or altered", write(tmp_path / "cut", whole[:end]), identity_file=keys)
    refused(Exit.INTEGRITY, "cut short or altered", write(tmp_path / "cut", whole + b"\0"), identity_file=keys)
    for end in (0, 1, 21):
        refused(Exit.FAILED, "no file of age", write(tmp_path / "cut", whole[:end]), identity_file=keys)


def test_a_flipped_bit_anywhere_leaves_nothing(tmp_path: Path, key: str) -> None:
    whole = locked_for(key, tmp_path).read_bytes()
    keys = write(tmp_path / "key", key)
    header = whole.index(b"\n---")
    for place in (*range(header + 5, header + 90, 11), *range(header + 100, len(whole), 9973), len(whole) - 1):
        altered = bytearray(whole)
        altered[place] ^= 4
        refused(Exit.INTEGRITY, "cut short or altered", write(tmp_path / "bad", bytes(altered)), identity_file=keys)


def test_pieces_in_another_order_leave_nothing(tmp_path: Path, key: str) -> None:
    whole = locked_for(key, tmp_path).read_bytes()
    start = whole.index(b"\n", whole.index(b"\n---") + 1) + 1 + 16
    first, second, rest = whole[start : start + PIECE + 16], whole[start + PIECE + 16 :][: PIECE + 16], whole[-22544:]
    assert whole[:start] + first + second + rest == whole
    keys = write(tmp_path / "key", key)
    for order in (second + first + rest, first + rest, first + first + second + rest):
        refused(
            Exit.INTEGRITY, "cut short or altered", write(tmp_path / "bad", whole[:start] + order), identity_file=keys
        )


def test_a_wrong_key_is_told_from_a_damaged_file(tmp_path: Path, key: str) -> None:
    locked = locked_for(key, tmp_path)
    other = write(tmp_path / "other", str(pyrage.x25519.Identity.generate()))
    refused(Exit.KEY_OR_PERMISSION, "this key does not open", locked, identity_file=other)
    refused(Exit.KEY_OR_PERMISSION, "for a key, not by a passphrase", locked, passphrase=PASSPHRASE)
    both = write(tmp_path / "both", f"{other.read_text()}\n{key}\n")
    unprotect_age(locked, tmp_path / "opened", identity_file=both)
    assert (tmp_path / "opened").read_bytes() == CLEAR


def test_a_wrong_passphrase_is_told_from_a_damaged_file(tmp_path: Path, key: str) -> None:
    whole = locked_by(PASSPHRASE, CLEAR)
    locked = write(tmp_path / "locked.age", whole)
    refused(Exit.KEY_OR_PERMISSION, "this passphrase does not open", locked, passphrase=PASSPHRASE + "!")
    keys = write(tmp_path / "key", key)
    refused(Exit.KEY_OR_PERMISSION, "by a passphrase, not for a key", locked, identity_file=keys)
    for end in (*range(4096, len(whole), 4096), 40, 110, len(whole) - 1):
        refused(Exit.INTEGRITY, "cut short or altered", write(tmp_path / "cut", whole[:end]), passphrase=PASSPHRASE)
    altered = write(tmp_path / "bad", whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    refused(Exit.INTEGRITY, "cut short or altered", altered, passphrase=PASSPHRASE)
    heavy = write(tmp_path / "heavy", whole.replace(b" 4\n", b" 40\n", 1))
    refused(Exit.FAILED, "more work", heavy, passphrase=PASSPHRASE)


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(300), b"age-encryption.org/v2\n-> X25519 a\n", b"{}"])
def test_a_file_of_another_kind_is_named_so(tmp_path: Path, key: str, content: bytes) -> None:
    other = write(tmp_path / "other", content)
    refused(Exit.FAILED, "no file of age", other, identity_file=write(tmp_path / "key", key))
    refused(Exit.FAILED, "no file of age", other, passphrase=PASSPHRASE)


def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, key: str) -> None:
    for recipient in ("", "age1xyz", "ssh-ed25519 AAAA", key, public(key)[:-1]):
        with pytest.raises(CommandFailed, match="no public key of age") as failed:
            lock_for(recipient)
        assert failed.value.code == Exit.USAGE
        assert not recipient or recipient not in str(failed.value)
    locked = locked_for(key, tmp_path)
    for keys in ("", "# none\n", public(key), f"{key}\nnonsense", "kéy"):
        refused(Exit.USAGE, "file of keys", locked, identity_file=write(tmp_path / "key", keys))


def test_nothing_that_is_there_is_overwritten(tmp_path: Path, key: str) -> None:
    locked, keys = locked_for(key, tmp_path), write(tmp_path / "key", key)
    write(tmp_path / "there", "mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("there", "link"):
        with pytest.raises(CommandFailed, match=f"something at {name} already"):
            unprotect_age(locked, tmp_path / name, identity_file=keys)
    assert (tmp_path / "there").read_bytes() == b"mine"
    assert not (tmp_path / "nowhere").exists()


def test_what_a_run_left_that_was_cut_off_is_named_and_kept(tmp_path: Path, key: str) -> None:
    locked, keys = locked_for(key, tmp_path), write(tmp_path / "key", key)
    left = write(tmp_path / "opened.part", "of another run")
    with pytest.raises(CommandFailed, match=r"opened\.part is there"):
        unprotect_age(locked, tmp_path / "opened", identity_file=keys)
    assert left.read_bytes() == b"of another run"
    left.unlink()
    unprotect_age(locked, tmp_path / "opened", identity_file=keys)


class FailingDisk(io.BytesIO):
    """A file on a disk that is full after some bytes, or cannot be read after some."""

    def __init__(self, content: bytes, bytes_left: int, number: int) -> None:
        super().__init__(content)
        self._left, self._number = bytes_left, number

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise OSError(self._number, os.strerror(self._number))

    def write(self, content: bytes) -> int:  # type: ignore[override]  # narrower than any buffer
        self._take(len(content))
        return super().write(content)

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self._take(len(content))
        return content


def test_a_failing_disk_is_not_told_as_a_damaged_file(tmp_path: Path, key: str) -> None:
    locked = locked_for(key, tmp_path).read_bytes()
    keys = [pyrage.x25519.Identity.from_str(key)]
    for left in (0, 100, PIECE, 2 * PIECE):
        with pytest.raises(OSError, match="No space") as full:
            protection._open_by_keys(io.BytesIO(locked), FailingDisk(b"", left, errno.ENOSPC), keys)
        assert full.value.errno == errno.ENOSPC
        with pytest.raises(OSError, match="Input/output") as broken:
            protection._open_by_keys(FailingDisk(locked, left, errno.EIO), io.BytesIO(), keys)
        assert broken.value.errno == errno.EIO


def run_out_of_space(file: IO[bytes], part: Path) -> None:
    """Write half of a file, which only its owner may read meanwhile."""
    file.write(b"half of it")
    assert stat.S_IMODE(part.stat().st_mode) == 0o600
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space"), whole_file(tmp_path / "locked.age") as file:
        run_out_of_space(file, tmp_path / "locked.age.part")
    assert list(tmp_path.iterdir()) == []


def test_a_large_file_is_not_opened_in_memory(tmp_path: Path) -> None:
    large = write(tmp_path / "large", locked_by(PASSPHRASE, CLEAR))
    with large.open("r+b") as file:
        file.truncate(protection.BY_PASSPHRASE_BYTES + 1)
    refused(Exit.FAILED, "this one is larger", large, passphrase=PASSPHRASE)


def test_a_short_passphrase_locks_nothing_and_is_not_repeated(tmp_path: Path) -> None:
    short = "fourteen chars"
    assert len(short) == protection.PASSPHRASE_CHARACTERS - 1
    for lock in (
        lambda: lock_by(short),
        lambda: protect_pdf(b"", short),
        lambda: read_passphrase(write(tmp_path / "word", short), None, new=True),
        lambda: read_passphrase(None, lambda: short, new=True),
    ):
        with pytest.raises(CommandFailed, match="at least 15 characters") as failed:
            lock()  # type: ignore[no-untyped-call]  # each is a lambda
        assert failed.value.code == Exit.USAGE
        assert short not in str(failed.value)
    assert read_passphrase(tmp_path / "word", None, new=False) == short, "an old file may have been locked by it"


def test_a_passphrase_comes_from_a_file_or_a_terminal(tmp_path: Path) -> None:
    word = write(tmp_path / "word", PASSPHRASE + "\n")
    assert read_passphrase(word, None, new=True) == PASSPHRASE
    assert read_passphrase(None, lambda: PASSPHRASE, new=True) == PASSPHRASE
    with pytest.raises(CommandFailed, match="no terminal"):
        read_passphrase(None, None, new=True)
    for content, says in ((b"\n", "empty"), (b"\xff" * 20, "UTF-8"), (PASSPHRASE.encode() + b"\x07x", "typed")):
        with pytest.raises(CommandFailed, match=says):
            read_passphrase(write(word, content), None, new=True)


@pytest.fixture(scope="module")
def pdf() -> bytes:
    """The paper of a small record."""
    return to_pdf(record(session(1)))


def test_a_locked_pdf_opens_with_its_passphrase_only(pdf: bytes) -> None:
    locked = protect_pdf(pdf, PASSPHRASE)
    for wrong in ("", PASSPHRASE + "x", PASSPHRASE[:-1], PASSPHRASE.upper()):
        with pytest.raises(pikepdf.PasswordError):
            pikepdf.open(io.BytesIO(locked), password=wrong)
    with pikepdf.open(io.BytesIO(locked), password=PASSPHRASE) as opened:
        assert (opened.encryption.R, opened.encryption.bits) == (6, 256)
        assert {opened.encryption.stream_method.name, opened.encryption.string_method.name} == {"aesv3"}
        assert opened.allow.accessibility
        assert opened.allow.extract
        assert opened.allow.print_highres
        assert not opened.allow.modify_other
        assert opened.Root.MarkInfo.Marked
        assert "/StructTreeRoot" in opened.Root
        with opened.open_metadata() as facts:
            assert facts["pdfuaid:part"] == "1"
    for words in (b"Health record", b"Harbour", b"Session 1"):
        assert words in pdf, "else it would not be missed"
        assert words not in locked


def test_a_locked_pdf_takes_a_passphrase_as_readers_type_it(pdf: bytes) -> None:
    locked = protect_pdf(pdf, "Schlu\u0308ssel ﬁnden im Wald")
    with pikepdf.open(io.BytesIO(locked), password="Schlüssel finden im Wald") as opened:
        assert len(opened.pages) == 1
    with pytest.raises(CommandFailed, match="at most 127 bytes"):
        protect_pdf(pdf, "é" * 64)


def test_what_is_no_open_pdf_is_refused(pdf: bytes) -> None:
    with pytest.raises(CommandFailed, match="no PDF"):
        protect_pdf(b"not a PDF at all", PASSPHRASE)
    with pytest.raises(CommandFailed, match="locked already"):
        protect_pdf(protect_pdf(pdf, PASSPHRASE), PASSPHRASE)


def test_without_the_extra_it_says_which() -> None:
    require_protection()
    with pytest.raises(CommandFailed, match=r"wellkept\[protection\]") as failed:
        require_protection(("pyrage", "a_library_that_is_not_there"))
    assert failed.value.code == Exit.USAGE
