"""What leaves the clinic is locked for one reader: any file by age, a PDF by its own encryption. Needs `protection`.

Source: age-encryption.org/v1 (C2SP); ISO 32000-2, 7.6.4 (AES-256, revision 6); NIST SP 800-63B-4, 3.1.1; decision 50.

- Content is locked in memory, for a public key (`age1…`) or by a passphrase. A file is opened by a key in pieces,
  whatever its size, or by a passphrase in memory, up to a limit.
- A file appears at its place whole or not at all. What is written first is `NAME.part`, for its owner alone; it is
  taken away when anything fails, so that nothing is kept of a file that does not verify to its end.
- Nothing that is there is overwritten.
- A passphrase comes from a file or from a terminal, never from an argument. A new one has at least 15 characters, since
  whoever holds the file may try as long as they like.
- A wrong key, an altered file and a file of another kind are different answers. No answer holds a key or a passphrase.

It is the only file that imports `pyrage` and `pikepdf`. It keeps no key, and reads no age file in letters (armor).
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from ops.exits import CommandFailed, Exit
from ops.exports.whole_file import whole_file

LIBRARIES = ("pyrage", "pikepdf")
PASSPHRASE_CHARACTERS = 15
"""NIST SP 800-63B-4, 3.1.1.2: the least for a password that stands alone."""
PDF_PASSPHRASE_BYTES = 127
"""ISO 32000-2, 7.6.4.3.3: what is longer is cut off by readers."""
BY_PASSPHRASE_BYTES = 256 * 1024 * 1024
"""The largest file that is opened by a passphrase, since that is done in memory."""
_AGE = b"age-encryption.org/v1\n"
_BY_PASSPHRASE = b"-> scrypt "
_WRONG_KEY = ("No matching keys found", "Decryption failed")
"""How the binding tells a key or a passphrase that does not open the header; all else is the file's fault."""
_TOO_MUCH_WORK = "Excessive work parameter"

Lock = Callable[[bytes], bytes]
"""Content → the same, locked."""


def require_protection(libraries: tuple[str, ...] = LIBRARIES) -> None:
    """Refuse where the extra is not installed.

    Raises:
        CommandFailed: exit 2.
    """
    if any(find_spec(library) is None for library in libraries):
        raise CommandFailed(Exit.USAGE, "protection needs the extra: pip install 'wellkept[protection]'")


def read_passphrase(file: Path | None, ask: Callable[[], str] | None, *, new: bool) -> str:
    """Return a passphrase: the text of the file, else what is typed at the terminal.

    Args:
        file: holds it; white space around it does not count.
        ask: asks at the terminal without showing what is typed; None where there is no terminal.
        new: it will lock something, so it must be long enough.

    Raises:
        CommandFailed: exit 2: there is none, it is too short, or it holds characters that cannot be typed.
        OSError: the file cannot be read.
    """
    if file is not None:
        try:
            passphrase = file.read_bytes().decode("utf-8").strip()
        except UnicodeDecodeError:
            raise CommandFailed(Exit.USAGE, "the passphrase file holds no text of UTF-8") from None
    elif ask is not None:
        passphrase = ask().strip()
    else:
        raise CommandFailed(Exit.USAGE, "there is no terminal to ask for a passphrase: name a file that holds it")
    if not passphrase:
        raise CommandFailed(Exit.USAGE, "the passphrase is empty")
    if new:
        _require_strength(passphrase)
    return passphrase


def lock_for(recipient: str) -> Lock:
    """Return what locks content in memory for one public key of age.

    Raises:
        CommandFailed: exit 2: the extra is missing, or this is no such key.
    """
    key = _recipient(recipient)
    import pyrage

    return lambda content: bytes(pyrage.encrypt(content, [key]))


def lock_by(passphrase: str) -> Lock:
    """Return what locks content in memory by a passphrase, as age does.

    Raises:
        CommandFailed: exit 2: the extra is missing, or the passphrase is too short.
    """
    require_protection()
    _require_strength(passphrase)
    import pyrage

    return lambda content: bytes(pyrage.passphrase.encrypt(content, passphrase))


def unprotect_age(
    source: Path, target: Path, *, identity_file: Path | None = None, passphrase: str | None = None
) -> None:
    """Open a file of age, by the one of both that is given.

    Args:
        source: the locked file.
        target: where the content is put, readable for its owner alone.
        identity_file: holds secret keys of age, one a line, as `age-keygen` writes them.
        passphrase: what it was locked by.

    Raises:
        CommandFailed: exit 6: this key or passphrase does not open it; exit 3: it was cut short or altered; exit 1: it
            is no file of age, is too large for a passphrase, or there is something at the target; exit 2: the extra is
            missing or the file of keys holds none. Nothing is kept.
        OSError: a file cannot be read or written; nothing is kept.
    """
    if (identity_file is None) == (passphrase is None):
        raise ValueError("a file is opened by a key or by a passphrase")
    require_protection()
    with source.open("rb") as opened:
        _require_age(opened, by_passphrase=passphrase is not None)
        if identity_file is not None:
            keys = _identities(identity_file)
            with whole_file(target) as file:
                _open_by_keys(opened, file, keys)
        else:
            content = _open_by_passphrase(_in_memory(source), passphrase or "")
            with whole_file(target) as file:
                file.write(content)


def protect_pdf(data: bytes, passphrase: str) -> bytes:
    """Return the PDF so that it opens with this passphrase only: AES-256, tags and facts about it kept and locked too.

    Whoever has the passphrase may read it aloud, copy, print and fill it in. Two results for one PDF differ.

    Raises:
        CommandFailed: exit 2: the extra is missing, or the passphrase is too short or too long; exit 1: this is no PDF,
            or one that is locked already.
    """
    require_protection()
    import pikepdf

    _require_strength(passphrase)
    # Readers put what is typed into this form first (SASLprep), so the key must be made from it too.
    typed = unicodedata.normalize("NFKC", passphrase)
    if len(typed.encode("utf-8")) > PDF_PASSPHRASE_BYTES:
        raise CommandFailed(Exit.USAGE, f"the passphrase of a PDF has at most {PDF_PASSPHRASE_BYTES} bytes")
    allowed = pikepdf.Permissions(modify_assembly=False, modify_other=False)
    # An owner's passphrase that is empty would open the file for everybody.
    lock = pikepdf.Encryption(owner=typed, user=typed, R=6, aes=True, metadata=True, allow=allowed)
    locked = io.BytesIO()
    try:
        with pikepdf.open(io.BytesIO(data)) as pdf:
            pdf.save(locked, encryption=lock)
    except pikepdf.PasswordError:
        raise CommandFailed(Exit.FAILED, "this PDF is locked already") from None
    except pikepdf.PdfError:
        raise CommandFailed(Exit.FAILED, "this is no PDF that can be read") from None
    return locked.getvalue()


# --- one file, whole or not at all


class _Watched:
    """A file that remembers what failed: the binding tells an error of the disk as if the file were damaged."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.failed: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes."""
        content: bytes = self._remembering(lambda: self._file.read(size))
        return content

    def write(self, content: bytes) -> int:
        """Write all of it."""
        written: int = self._remembering(lambda: self._file.write(content))
        return written

    def flush(self) -> None:
        """Hand it to the system."""
        self._remembering(self._file.flush)

    def _remembering(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except OSError as error:
            self.failed = error
            raise


# --- age


def _require_age(opened: IO[bytes], *, by_passphrase: bool) -> None:
    """Refuse what is no file of age, or one that is locked in the other way; leave it at its first byte."""
    start = opened.read(len(_AGE) + len(_BY_PASSPHRASE))
    opened.seek(0)
    if not start.startswith(_AGE):
        raise CommandFailed(Exit.FAILED, "this is no file of age")
    first = start[len(_AGE) :]
    if len(first) == len(_BY_PASSPHRASE) and (first == _BY_PASSPHRASE) != by_passphrase:
        way = "by a passphrase, not for a key" if first == _BY_PASSPHRASE else "for a key, not by a passphrase"
        raise CommandFailed(Exit.KEY_OR_PERMISSION, f"this file is locked {way}")


def _recipient(recipient: str) -> Any:
    """Return a public key.

    Raises:
        CommandFailed: exit 2: the extra is missing, or this is none.
    """
    require_protection()
    import pyrage

    try:
        return pyrage.x25519.Recipient.from_str(recipient.strip())
    except pyrage.RecipientError:
        raise CommandFailed(Exit.USAGE, "this is no public key of age; one begins with age1") from None


def _identities(file: Path) -> list[Any]:
    """Return the secret keys in a file."""
    import pyrage

    try:
        lines = [line.strip() for line in file.read_bytes().decode("ascii").splitlines()]
        keys = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (UnicodeDecodeError, pyrage.IdentityError):
        raise CommandFailed(Exit.USAGE, "the file of keys holds something that is no secret key of age") from None
    if not keys:
        raise CommandFailed(Exit.USAGE, "the file of keys holds none")
    return keys


def _open_by_keys(opened: IO[bytes], file: IO[bytes], keys: list[Any]) -> None:
    import pyrage

    reading, writing = _Watched(opened), _Watched(file)
    try:
        pyrage.decrypt_io(reading, writing, keys)
    except (pyrage.DecryptError, OSError) as error:
        raise reading.failed or writing.failed or _refusal(error, "key") from None


def _open_by_passphrase(content: bytes, passphrase: str) -> bytes:
    import pyrage

    try:
        clear: bytes = pyrage.passphrase.decrypt(content, passphrase)
    except pyrage.DecryptError as error:
        raise _refusal(error, "passphrase") from None
    return clear


def _refusal(error: Exception, what: str) -> CommandFailed:
    if str(error) in _WRONG_KEY:
        return CommandFailed(Exit.KEY_OR_PERMISSION, f"this {what} does not open the file; nothing was kept")
    if str(error).startswith(_TOO_MUCH_WORK):
        return CommandFailed(Exit.FAILED, "the file asks for more work than a passphrase should take; nothing was kept")
    return CommandFailed(Exit.INTEGRITY, "the file was cut short or altered; nothing was kept")


def _in_memory(source: Path) -> bytes:
    """Return the content of a file that fits into memory."""
    with source.open("rb") as opened:
        content = opened.read(BY_PASSPHRASE_BYTES + 1)
    if len(content) > BY_PASSPHRASE_BYTES:
        limit = BY_PASSPHRASE_BYTES >> 20
        raise CommandFailed(Exit.FAILED, f"a passphrase opens files up to {limit} MiB; this one is larger")
    return content


def _require_strength(passphrase: str) -> None:
    if len(passphrase) < PASSPHRASE_CHARACTERS:
        raise CommandFailed(
            Exit.USAGE,
            f"a passphrase has at least {PASSPHRASE_CHARACTERS} characters, since whoever holds the file may try as "
            "long as they like; four or five words that are not related will do",
        )
    if not passphrase.isprintable():
        raise CommandFailed(Exit.USAGE, "the passphrase holds a character that cannot be typed")
