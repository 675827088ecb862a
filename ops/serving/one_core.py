"""Threads that take turns with one interpreter run on one core.

Source: measured. The interpreter lets one thread run at a time; on several cores each turn wakes another core, and that
wake-up costs more than the turn's own work. On one core, 32 threads of writers did 1.6 times as much with half the
processor time (docs/decisions/0010-threads-that-take-turns-share-a-core.md).

- A thread settles itself, once; threads that are not the interpreter's (the server's own input and output) stay free.
- It is for a clinic that one process serves; several processes gain nothing by it and are left to the kernel. Where the
  system offers no such choice, nothing happens.

It limits nothing: the kernel moves other work away from a core that is busy.
"""

from __future__ import annotations

import os
import sys
import threading

_settled = threading.local()


def settle_thread() -> None:
    """Keep the calling thread on this process's core from now on; cheap when it is there already."""
    if sys.platform != "linux" or getattr(_settled, "done", False):
        return
    _settled.done = True
    cores = sorted(os.sched_getaffinity(os.getpid()))
    os.sched_setaffinity(0, {cores[os.getpid() % len(cores)]})
