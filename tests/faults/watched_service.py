"""A service that tells what it holds of one client in memory: `wellkept serve` as it is, with an onlooker beside.

    python -m tests.faults.watched_service CLIENT --data DATA --bind ADDRESS

The onlooker is a thread that looks at the caches and asks the service nothing. It writes lines to stdout, each with the
monotonic time, which all processes of a machine share:

    held <seconds>       something of the client is held
    dropped <seconds>    nothing is held any more
"""

from __future__ import annotations

import os
import sys
import threading
import time
from functools import partial
from typing import Any
from uuid import UUID

from api.calls import EXTENSION
from ops.process_guards import guard_process
from ops.serve import serve
from ops.settings import read_settings
from ops.wiring import Clinic
from projections.rebuild import SNAPSHOTS

LOOK_SECONDS = 0.01


def holds(clinic: Clinic, client: UUID) -> bool:
    """Tell whether this process holds the client's record, or a view of it, ready to be shown."""
    reader = clinic.service.reader
    views = [snapshot._folds(reader).get(client) for snapshot in SNAPSHOTS.values()]
    return clinic.service.cache.get(client) is not None or any(view is not None for view in views)


def _look_on(clinic: Clinic, client: UUID) -> None:
    held = False
    while True:
        if holds(clinic, client) != held:
            held = not held
            sys.stdout.write(f"{'held' if held else 'dropped'} {time.monotonic()}\n")
            sys.stdout.flush()
        time.sleep(LOOK_SECONDS)


def _extend(client: UUID, app: Any) -> None:
    clinic = app.extensions[EXTENSION].clinic
    threading.Thread(target=_look_on, args=(clinic, client), daemon=True).start()


def main(client: str, *options: str) -> None:
    """Serve."""
    given = dict(zip(options[::2], options[1::2], strict=True))
    guard_process()
    os.environ |= {"WELLKEPT_DATA": given["--data"], "WELLKEPT_BIND": given["--bind"]}
    serve(read_settings(), lambda: None, partial(_extend, UUID(client)))


if __name__ == "__main__":
    main(*sys.argv[1:])
