"""Guards that every command sets on its own process, so that keys and clinical text stay in its memory.

Source: CRYPTO 6.

- No core dump, and on Linux no other process of the same user may read this one's memory or attach to it.
- Files that it makes are for its user only.
- A worker process ends with the process that started it, so that a killed service leaves nothing running.

Python cannot wipe bytes, and nothing here keeps the system's administrator out.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
"""From linux/prctl.h."""
_PARENT_SECONDS = 1.0


def guard_process() -> None:
    """Set the guards on this process; its children inherit them, but for the ones that a new program resets."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        _prctl(_PR_SET_DUMPABLE, 0)


def is_guarded() -> bool:
    """Tell whether this process leaves no core."""
    return resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)


def end_with_parent(parent: int) -> None:
    """End this process when the process with id `parent` is gone."""
    guard_process()
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    # Asked again and again too: the parent may have gone before the request to the kernel, and others have no such one.
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(_PARENT_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
