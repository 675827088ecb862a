"""The doctor: what is healthy about a clinic on this machine and what is not, found without writing anything.

Source: CRYPTO 5 and 6; DESIGN (Store); CONTRACT (`wellkept doctor`).

- Every check is a function from the settings to findings; one that cannot run is a finding too.
- A finding is `ok`, `warn` (look at it) or `fail`; a failure names the exit code that it ends the command with.
- It may run while the clinic is served: it opens the log for reading only.

It repairs nothing, and it is not the proof of integrity: it trusts the entries' own chain, not an outside checkpoint.
"""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from ops import anchor, control
from ops.data_format import FORMAT, require_format
from ops.exits import Exit, exit_code, sentence
from ops.keys.providers import open_provider, where
from ops.opening import open_from
from ops.settings import Settings
from ops.wiring import Paths, deployment_of, open_store
from records.checkpoint import OUR_SIGNATURES, parse_signed_checkpoint, signed_at
from records.errors import WellkeptError
from records.key_provider import KeyFileProvider
from records.ledger import Kind, decode_entry

SPACE_WARN_BYTES = 2 << 30
SPACE_FAIL_BYTES = 200 << 20
OUTSIDE_DAYS = 7
"""A clinic of 150 therapists writes about 5 GB a year; a full disk stops readings too, since they cannot be logged."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found.

    Attributes:
        check: the stable name of the check.
        state: `ok`, `warn` or `fail`.
        detail: one sentence for people, without content of the record.
        exit: the code that a failure ends the command with.
        index: the first ledger index at which it shows, where there is one.
    """

    check: str
    state: str
    detail: str
    exit: int = 0
    index: int | None = None


Check = Callable[[Settings], Iterator[Finding]]
_ORDER = (Exit.NOT_INITIALISED, Exit.KEY_OR_PERMISSION, Exit.INTEGRITY, Exit.FAILED)


def ok(check: str, detail: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check=check, state="ok", detail=detail)


def warn(check: str, detail: str) -> Finding:
    """Return a finding to look at."""
    return Finding(check=check, state="warn", detail=detail)


def fail(check: str, detail: str, exit: Exit, index: int | None = None) -> Finding:
    """Return a failure."""
    return Finding(check=check, state="fail", detail=detail, exit=int(exit), index=index)


def examine(settings: Settings, progress: Callable[[int, int], None]) -> Iterator[Finding]:
    """Yield the findings of all checks, in order; after a clinic that is not there, nothing more is looked at."""
    from ops.doctor.log import check_chains, check_clock, check_database

    first = list(_guarded(check_format, settings))
    yield from first
    if first[-1].state == "fail":
        return
    checks = (check_settings, check_permissions, check_keys_apart, check_keys, check_space, check_service)
    for check in (*checks, check_outside):
        yield from _guarded(check, settings)
    yield from _guarded(check_database, settings)
    yield from _guarded(check_clock, settings)
    yield from _guarded(lambda chosen: check_chains(chosen, progress), settings, "chains")


def verdict(findings: list[Finding]) -> int:
    """Return the exit code: of the failures, the one that matters most."""
    codes = {finding.exit for finding in findings if finding.state == "fail"}
    return next((int(code) for code in _ORDER if code in codes), 0)


def _guarded(check: Check, settings: Settings, name: str | None = None) -> Iterator[Finding]:
    try:
        yield from check(settings)
    except (WellkeptError, OSError) as error:
        yield fail(name or check.__name__.removeprefix("check_"), sentence(error), Exit(exit_code(error)))


def check_format(settings: Settings) -> Iterator[Finding]:
    """Whether there is a clinic of a format that this version knows."""
    require_format(settings.data)
    yield ok("format", f"The data directory is of format {FORMAT}.")


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Whether a setting is made that nothing uses."""
    unused = settings.unused()
    if unused:
        yield warn("settings", f"Nothing in this version uses {', '.join(unused)}.")
    else:
        yield ok("settings", "Every setting that is made is used.")


def check_permissions(settings: Settings) -> Iterator[Finding]:
    """Whether anybody but the owner may enter the directories or open the files."""
    paths = Paths(settings.data)
    named = [settings.key_file, settings.token_file, settings.key_passphrase_file]
    named += [settings.vault_token_file, settings.pkcs11_pin_file]
    folders = [paths.data, paths.keys]
    folders += [paths.signer] if paths.signer.exists() else []
    files = [file for folder in folders if folder.exists() for file in sorted(folder.iterdir()) if file.is_file()]
    files += [file for file in named if file is not None and file.exists()]
    open_to_others = [path for path in [*folders, *files] if path.exists() and _mode(path) & 0o077]
    for path in open_to_others:
        wanted = "0700" if path.is_dir() else "0600"
        yield fail("permissions", f"{path} is {_mode(path):04o} and must be {wanted}.", Exit.KEY_OR_PERMISSION)
    foreign = [path for path in [*folders, *files] if path.exists() and path.stat().st_uid != os.getuid()]
    for path in foreign:
        yield warn("permissions", f"{path} belongs to another user than the one who asks.")
    if not open_to_others and not foreign:
        yield ok("permissions", "Only the owner may enter the directories and open the files.")


def check_keys_apart(settings: Settings) -> Iterator[Finding]:
    """Whether a copy of the data directory is without the keys."""
    paths = Paths(settings.data)
    inside = [
        path
        for path in (settings.key_file or paths.key_file, paths.keyring)
        if path.resolve().is_relative_to(paths.data.resolve())
    ]
    if inside:
        yield fail(
            "keys-apart", "Keys stand in the data directory: whoever has its copy has all.", Exit.KEY_OR_PERMISSION
        )
    else:
        yield ok("keys-apart", "The keys stand outside of the data directory.")


def check_keys(settings: Settings) -> Iterator[Finding]:
    """Whether the root key, and every key that the log names, opens; and whether a passphrase protects them."""
    provider = open_provider(settings)
    if not isinstance(provider, KeyFileProvider):
        yield ok("key-provider", f"The root keys are kept by {where(settings, deployment_of(settings.data))}.")
    elif provider.protected:
        yield ok("passphrase", "The key file is protected by a passphrase.")
    else:
        yield warn("passphrase", "The key file has no passphrase: whoever reads it has the keys.")
    # Opening a clinic holds the keyring to the log: it fails when one key is missing.
    with closing(open_from(settings, read_only=True, told=_untold)) as clinic:
        kinds = Counter(decode_entry(raw).kind for _, raw in clinic.store.key_entries())
    destroyed = kinds[Kind.KEY_DESTROYED]
    erased = f"; {destroyed} were destroyed by erasures" if destroyed else ""
    yield ok("keys", f"All {kinds[Kind.KEY_CREATED] - destroyed} keys that the log names are there and open{erased}.")


def check_space(settings: Settings) -> Iterator[Finding]:
    """Whether there is room to write."""
    system = os.statvfs(settings.data)
    free = system.f_bavail * system.f_frsize
    detail = f"{free / (1 << 30):.1f} GiB are free."
    if free < SPACE_FAIL_BYTES:
        yield fail("space", detail, Exit.FAILED)
    else:
        yield (warn if free < SPACE_WARN_BYTES else ok)("space", detail)


def check_service(settings: Settings) -> Iterator[Finding]:
    """Whether the clinic is served now."""
    serving = settings.database_url is None and control.answers(settings.data)
    yield ok("service", "A service holds the clinic and answers." if serving else "No service answers here.")


def check_outside(settings: Settings) -> Iterator[Finding]:
    """Whether a checkpoint of the log is kept elsewhere, and how old the newest one is."""
    with closing(open_store(Paths(settings.data), settings.database_url, read_only=True)) as store:
        ages = [age for row in store.checkpoints() if (age := _cosigned_age(row.note)) is not None]
    if settings.anchor is not None:
        anchored = anchor.age_seconds(settings.anchor, time.time())
        ages += [] if anchored is None else [anchored]
    if not ages:
        yield warn("unanchored", "No checkpoint is kept elsewhere: an older copy of the log would not be noticed.")
    elif min(ages) > OUTSIDE_DAYS * 86_400:
        yield warn("anchored", f"The newest checkpoint that is kept elsewhere is {min(ages) / 86_400:.0f} days old.")
    else:
        yield ok("anchored", f"The newest checkpoint that is kept elsewhere is {min(ages) / 3600:.0f} hours old.")


def _cosigned_age(note: bytes) -> float | None:
    """Return how long ago a checkpoint was signed that a witness co-signed, or None where none did."""
    if len(parse_signed_checkpoint(note)[1].signatures) <= OUR_SIGNATURES:
        return None
    return max(0.0, time.time() - signed_at(note))


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _untold(code: str, facts: dict[str, object]) -> None:
    """The finding says it."""
