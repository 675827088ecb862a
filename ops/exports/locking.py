"""What locks a file that leaves the clinic, as whoever writes it chose.

- For a public key of age, by a passphrase from a file or the terminal, or by nothing.
- Whether it can be locked is known before anything is released.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from ops.exits import CommandFailed, Exit
from ops.exports.protection import Lock, lock_by, lock_for, protect_pdf, read_passphrase


def chosen_lock(age: str | None, by_passphrase: bool, file: Path | None, *, paper: bool = False) -> Lock | None:
    """Return what locks the file; None where nobody asked for it.

    Args:
        age: the public key of age that it is locked for.
        by_passphrase: whether it is locked by a passphrase.
        file: where the passphrase is; None asks for it.
        paper: whether the file is a PDF, which is locked as such.

    Raises:
        CommandFailed: a key and a passphrase were named, the key is none, or no passphrase can be had.
    """
    if age is not None and by_passphrase:
        raise CommandFailed(Exit.USAGE, "name a key of age or a passphrase, not both; --paper takes a passphrase")
    if age is not None:
        return lock_for(age)
    if not by_passphrase:
        return None
    passphrase = new_passphrase(file)
    return (lambda content: protect_pdf(content, passphrase)) if paper else lock_by(passphrase)


@contextmanager
def locked_into(file: IO[bytes], lock: Lock | None) -> Iterator[Callable[[bytes], object]]:
    """Give what takes the pieces of a content that goes into a file; what is locked is in memory until it is whole."""
    if lock is None:
        yield file.write
        return
    whole = io.BytesIO()
    yield whole.write
    file.write(lock(whole.getvalue()))


def new_passphrase(file: Path | None) -> str:
    """Return a passphrase that locks something: from the file, else asked for twice at the terminal.

    Raises:
        CommandFailed: there is none, or it is too short.
    """
    asks = (lambda: _asked("Passphrase")) if sys.stdin.isatty() else None
    return read_passphrase(file, asks, new=True)


def _asked(prompt: str) -> str:
    return str(click.prompt(prompt, hide_input=True, confirmation_prompt=True, err=True))
