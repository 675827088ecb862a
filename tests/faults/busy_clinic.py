"""A process of its own that keeps a clinic busy until it is killed, and says to its starter what was acknowledged.

    python -m tests.faults.busy_clinic DATA ACTOR CLIENTS THREADS [REQUESTS]

Each thread signs notes and reads records in turn. One line each on stdout, written whole by one write call:

    asked <key> <client> <note>      before a note is sent
    wrote <key> <client> <note>      after it was acknowledged
    read <request id> <client>       after a record was released

REQUESTS bounds what each thread does; without it they go on until the end.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from pathlib import Path
from uuid import UUID, uuid4

from ops.wiring import open_clinic
from records.actors import Actor, Purpose, Role
from records.notes import sign_note
from records.request import IdempotencyKey, Request
from records.service import Service
from tests.doors import TIMELINE


def say(*words: object) -> None:
    """Write one line by one call, so that a kill leaves it whole or not at all."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def text_of(note: UUID) -> str:
    """Return the text of a note, so that whoever checks knows what must stand there."""
    return f"This is what was said in {note}."


def sign(service: Service, actor: Actor, client: UUID, note: UUID, key: str) -> None:
    """Sign a note with a retry key."""
    text = text_of(note)
    request = Request(actor, key, idempotency=IdempotencyKey("POST /notes", key, text.encode()))
    service.transact(client, sign_note, request, note_id=note, kind="progress", format="free", sections={"text": text})


def work(service: Service, actor: Actor, clients: list[UUID], turns: itertools.count[int] | range) -> None:
    """Sign and read in turn."""
    for turn in turns:
        client, note, key = clients[turn % len(clients)], uuid4(), uuid4().hex
        say("asked", key, client, note)
        sign(service, actor, client, note, key)
        say("wrote", key, client, note)
        request = Request(actor, uuid4().hex)
        service.view(TIMELINE, request, Purpose.TREAT, client)
        say("read", request.request_id, client)


def main(data: str, actor_id: str, clients: str, threads: str, requests: str = "") -> None:
    """Open the clinic and keep it busy."""
    clinic = open_clinic(Path(data))
    actor = Actor(actor_id, Role.THERAPIST)
    ids = [UUID(client) for client in clients.split(",")]
    share = max(1, len(ids) // int(threads))
    say("ready")
    workers = [
        threading.Thread(
            target=work,
            # Each thread has clients of its own, so that nobody loses a race but to the kill.
            args=(
                clinic.service,
                actor,
                ids[n * share : (n + 1) * share],
                range(int(requests)) if requests else itertools.count(),
            ),
        )
        for n in range(int(threads))
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    clinic.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
