"""How a command ends: one table from errors to exit codes, and one clear sentence for each.

Source: CONTRACT (command line): 0 done, 1 failed, 2 usage, 3 integrity failure, 4 not initialised, 5 locked by another
process, 6 key missing or permission.

- The sentence names the state, never a value that was entered, a name or clinical text.
"""

from __future__ import annotations

from enum import IntEnum

from ops.data_format import NotInitialised
from ops.settings import SettingsError
from records.errors import (
    ClinicLocked,
    IntegrityFailure,
    InvalidContent,
    KeyMissing,
    NotPermitted,
    RuleBroken,
    WellkeptError,
)


class Exit(IntEnum):
    """The exit codes."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INTEGRITY = 3
    NOT_INITIALISED = 4
    LOCKED = 5
    KEY_OR_PERMISSION = 6


MEANINGS = {
    Exit.DONE: "done",
    Exit.FAILED: "failed, with the reason on stderr",
    Exit.USAGE: "wrong usage or a setting that cannot be used",
    Exit.INTEGRITY: "integrity failure: what is stored is not what was written",
    Exit.NOT_INITIALISED: "there is no clinic here, or one of another format",
    Exit.LOCKED: "another process holds the clinic",
    Exit.KEY_OR_PERMISSION: "a key is missing, or this is not permitted",
}
"""What each code says, for the reference page."""

TABLE: tuple[tuple[type[Exception], Exit], ...] = (
    (SettingsError, Exit.USAGE),
    (NotInitialised, Exit.NOT_INITIALISED),
    (ClinicLocked, Exit.LOCKED),
    (KeyMissing, Exit.KEY_OR_PERMISSION),
    (NotPermitted, Exit.KEY_OR_PERMISSION),
    (PermissionError, Exit.KEY_OR_PERMISSION),
    (IntegrityFailure, Exit.INTEGRITY),
    (WellkeptError, Exit.FAILED),
)
"""The first row whose class fits decides; everything else has failed."""


class CommandFailed(Exception):
    """A command ends with this code and this sentence."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def exit_code(error: BaseException) -> int:
    """Return the exit code of an error."""
    if isinstance(error, CommandFailed):
        return error.code
    return int(next((code for kind, code in TABLE if isinstance(error, kind)), Exit.FAILED))


def sentence(error: BaseException) -> str:
    """Return one clear sentence that says what is wrong."""
    match error:
        case InvalidContent():
            text = f"{error.pointer.removeprefix('/')}: {error.detail}"
        case RuleBroken():
            text = error.detail
        case NotPermitted():
            text = "this account may not do that"
        case PermissionError():
            text = "a file of the clinic may not be opened by this user"
        case FileExistsError():
            text = "there is something here already; a clinic is founded in a new or empty place"
        case WellkeptError() | SettingsError() | CommandFailed():
            text = str(error) or "it cannot be done"
        case OSError():
            text = f"the system refused: {error.strerror}"
        case _:
            # The text of an unforeseen error may hold what was entered, so only its kind and place are said.
            text = f"an unforeseen {type(error).__name__}{_place(error)}"
    return text.rstrip(".") + "."


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" in {trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}"
