"""A process of its own that makes a clinic grow until its power is cut: new clients with new keys, notes, readings.

    python -m tests.faults.growing_clinic DATA ACTOR THREADS

What it says on stdout is what `tests.faults.busy_clinic` says, with one line more, and each thread signs the log after
each of its turns, as the service does by itself:

    registered <request id> <client>     after a client was registered
    signed <size>                        after a checkpoint was stored
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from uuid import UUID, uuid4

from ops.wiring import Clinic, open_clinic, operator
from records.actors import Actor, Purpose, Role
from records.care_team import put_member
from records.registration import Identity, register_client
from records.request import Request
from tests.doors import TIMELINE
from tests.faults.busy_clinic import say, sign


def register(clinic: Clinic, actor: Actor) -> UUID:
    """Register a client of this therapist."""
    client, request = uuid4(), Request(Actor("desk", Role.FRONT_DESK), uuid4().hex)
    clinic.service.transact(client, register_client, request, identity=Identity(family="Fen", given="Otto"))
    clinic.service.transact(client, put_member, Request(operator(), uuid4().hex), staff_id=actor.id, part="team")
    say("registered", request.request_id, client)
    return client


def grow(clinic: Clinic, actor: Actor, signing: threading.Lock) -> None:
    """Register, write, read and sign, until the power is gone."""
    while True:
        client = register(clinic, actor)
        for _ in range(3):
            note, key = uuid4(), uuid4().hex
            say("asked", key, client, note)
            sign(clinic.service, actor, client, note, key)
            say("wrote", key, client, note)
        request = Request(actor, uuid4().hex)
        clinic.service.view(TIMELINE, request, Purpose.TREAT, client)
        say("read", request.request_id, client)
        with signing:
            assert clinic.signer is not None
            clinic.signer.flush()
            row = clinic.store.checkpoint()
            assert row is not None
            say("signed", row.size)


def main(data: str, actor_id: str, threads: str) -> None:
    """Open the clinic and let it grow."""
    clinic, signing = open_clinic(Path(data)), threading.Lock()
    say("ready")
    actor = Actor(actor_id, Role.THERAPIST)
    for _ in range(int(threads)):
        threading.Thread(target=grow, args=(clinic, actor, signing)).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
