"""A clinic to measure in: founded like any other, with one therapist and many clients.

- Clients whose history is not measured get it in whole commits; what is measured goes through the two doors.
- Writes go around all clients, as in a clinic, so that no record grows past what a treatment brings.

It is founded with the settings that every clinic has: nothing is switched off for speed.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from ops.bench.rounds import Act
from ops.bench.treatment import Treatment, note_arguments
from ops.wiring import Clinic, found, now, open_clinic, operator
from records.actors import Actor, Role
from records.care_team import put_member
from records.clinic_policy import ClinicPolicy
from records.event import StreamKind
from records.ledger import KeyClass
from records.notes import NoteSigned, sign_note
from records.request import IdempotencyKey, Request
from records.staff import create_account, issue_token
from records.store.unit import CreatedKey, Unit

CLIENTS = 320
"""As many people as three therapists see in a year."""

EVENTS_EACH = 20
"""Three sessions into a treatment."""

EVENTS_IN_A_COMMIT = 400


class BenchClinic:
    """A clinic that was opened for measuring."""

    def __init__(self, clinic: Clinic, therapist: Actor, clients: Sequence[UUID] = ()) -> None:
        self.clinic = clinic
        self.service = clinic.service
        self.therapist = therapist
        self.clients = list(clients)
        """The clients that writers write to."""

    @classmethod
    def found(cls, data: Path, database_url: str | None = None) -> BenchClinic:
        """Found a clinic with one therapist."""
        found(data, "Bench clinic", ClinicPolicy(), database_url=database_url)
        clinic = open_clinic(data, database_url=database_url)
        staff = uuid4()
        asked = Request(operator(), "bench")
        clinic.service.transact(staff, create_account, asked, name="Bench therapist", role=Role.THERAPIST)
        return cls(clinic, Actor(str(staff), Role.THERAPIST))

    def add_clients(self, count: int, events: int) -> list[UUID]:
        """Add clients of this therapist, each with a treatment of so many events."""
        added = [uuid4() for _ in range(count)]
        appends, keys = [], []
        waiting = 0
        for client in added:
            key = self.clinic.keyring.ensure(client, KeyClass.RECORD)
            keys.append(CreatedKey(client, key.key_id, KeyClass.RECORD))
            begins = now() - timedelta(weeks=events // 5 + 4)
            made = Treatment(client, self.therapist, begins).events(events)
            appends.append(self.service.mapper.append(StreamKind.CLIENT, client, 0, made))
            waiting += events
            if waiting >= EVENTS_IN_A_COMMIT:
                self.clinic.store.commit(Unit(tuple(appends), tuple(keys)))
                appends, keys, waiting = [], [], 0
        self.clinic.store.commit(Unit(tuple(appends), tuple(keys)))
        for client in added:
            asked = Request(operator(), "bench")
            self.service.transact(client, put_member, asked, staff_id=self.therapist.id, part="team")
        return added

    def request(self, route: str | None = None) -> Request:
        """Return a request of the therapist; one for a route has a retry key and a body of 1.1 KiB."""
        if route is None:
            return Request(self.therapist, "bench")
        return Request(self.therapist, "bench", None, IdempotencyKey(route, str(uuid4()), bytes(1_100)))

    def sign_notes(self, clients: Sequence[UUID]) -> Act:
        """Return the act that signs a note of 1 KiB, for one client after the other."""
        turn = itertools.cycle(clients)

        def act() -> None:
            client = next(turn)
            asked = self.request(f"POST /v1/clients/{client}/notes")
            self.service.transact(client, sign_note, asked, **note_arguments())

        return act

    def writers(self, threads: int) -> list[Act]:
        """Return one act for each thread that signs notes; the clients are shared out among them."""
        return [self.sign_notes(self.clients[number::threads]) for number in range(threads)]

    def fresh_writers(self, threads: int) -> list[Act]:
        """Return the same for new clients, whose rule state is in memory as that of clients in treatment is.

        Thousands of notes a second would soon make records that no treatment makes.
        """
        self.clients = self.add_clients(CLIENTS, EVENTS_EACH)
        for client in self.clients:
            self.service.client(client)
        return self.writers(threads)

    def sealed_note_bytes(self) -> int:
        """Return the size of the row of a sealed note of 1 KiB."""
        (client,) = self.add_clients(1, EVENTS_EACH)
        notes = [event for event in Treatment(client, self.therapist, now()).events(8) if isinstance(event, NoteSigned)]
        sealed = self.service.mapper.append(StreamKind.CLIENT, client, EVENTS_EACH, notes).sealed[0]
        return len(sealed.state)

    def hire(self, role: Role, name: str) -> Actor:
        """Open an account for somebody else."""
        staff = uuid4()
        self.service.transact(staff, create_account, Request(operator(), "bench"), name=name, role=role)
        return Actor(str(staff), role)

    def issue_token(self, person: Actor | None = None) -> str:
        """Issue a token to the therapist, or to somebody else; return it."""
        token = "wk_" + secrets.token_urlsafe(32)
        self.service.transact(
            UUID((person or self.therapist).id),
            issue_token,
            Request(operator(), "bench"),
            token_id=uuid4(),
            digest=self.service.token_digest(token),
            expires_at=now() + timedelta(days=1),
        )
        return token

    def close(self) -> None:
        """Close the clinic."""
        self.clinic.close()
