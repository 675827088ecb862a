"""A peer as a worker: `python -m ops.bench.peers.worker PEER DATABASE CLIENTS TEXT` in the peers' environment.

The text of the notes is the last argument, so that everybody writes the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ops.bench.turn_process import serve_turns


def main(peer: str, database: Path, clients: int, text: str) -> None:
    """Serve turns with the writes of one peer; the first worker of a database makes its tables."""
    fresh = not database.exists()
    act: Callable[[], None]
    if peer == "sqlalchemy-continuum":
        from ops.bench.peers import continuum_notes

        act = continuum_notes.writer(database, fresh=fresh, clients=clients, text=text)
    else:
        from ops.bench.peers import django_notes

        django_notes.set_up(database, peer)
        act = django_notes.writer(peer, fresh=fresh, clients=clients, text=text)
    serve_turns(lambda threads: [act] * threads)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
