"""A real clinic in a temporary directory, with its people, a clock that tests set, and a store that fails when told.

- `Doors` founds and opens a clinic on SQLite and keeps every alarm that was raised.
- `second` is another service on the same store, as another process would be; `reopen` is a restart.
- `FaultyStore` wraps the real store: a commit fails before it is stored, or after, as a test says.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from ops.wiring import Clinic, found, now, open_clinic, operator
from records.access import AccessRecorded
from records.actors import Actor, Purpose, Role
from records.care_team import Part, put_member
from records.clinic_policy import ClinicPolicy
from records.consent import Form, record_consent
from records.drafts import Drafts
from records.errors import NotStored, OutcomeUnknown
from records.event import Recorded, StreamKind
from records.keyring import Keyring
from records.notes import sign_note
from records.reader import Asked, Built, Reader
from records.registration import Identity, register_client
from records.request import IdempotencyKey, Outcome, Request
from records.service import Service
from records.staff import create_account, issue_token
from records.store import Store
from records.store.unit import Committed, Unit

FORM = Form(form_id="treatment", form_version="3")


class Watch:
    """The clinic's clock: it runs with the machine, moved on by as much as a test says."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        """Return the time."""
        return now() + self.ahead


class TimelineView:
    """A reading of everything: topic, version and event of each."""

    action = "client.timeline"

    def __init__(self, during: Callable[[], object] | None = None) -> None:
        self._during = during

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Return the events; do what the test wants done meanwhile."""
        if self._during is not None:
            self._during()
        assert asked.client_id is not None
        return Built(reader.events(asked.client_id))


TIMELINE = TimelineView()


class FaultyStore:
    """The real store behind a commit that fails when a test says so.

    Attributes:
        fails: the error of the next commits, or None.
        stored: whether the unit is stored all the same before the error is raised (a lost answer).
        commits: how many commits were asked for.
        before: called before each commit.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fails: type[NotStored] | type[OutcomeUnknown] | None = None
        self.stored = False
        self.commits = 0
        self.before: Callable[[Unit], object] | None = None

    def __getattr__(self, name: str) -> Any:
        """Everything but the commit is the real store's."""
        return getattr(self._store, name)

    def commit(self, unit: Unit) -> Committed:
        """Commit, or fail as told."""
        self.commits += 1
        if self.before is not None:
            self.before(unit)
        if self.fails is not None and not self.stored:
            raise self.fails("the disk is full")
        committed = self._store.commit(unit)
        if self.fails is not None:
            raise self.fails("the answer was lost")
        return committed


class Doors:
    """A clinic with a therapist, a supervisor and whoever else a test hires."""

    def __init__(self, folder: Path, policy: ClinicPolicy | None = None) -> None:
        self.data = folder / "clinic"
        self.watch = Watch()
        self.alarms: list[tuple[str, dict[str, object]]] = []
        found(self.data, "Hill Clinic", policy or ClinicPolicy())
        self.clinic: Clinic
        self.open()
        self.operator = Request(operator(), "set-up")
        self.therapist = self.hire(Role.THERAPIST, "Jo Lind")
        self.supervisor = self.hire(Role.SUPERVISOR, "Ada Brook")
        self.stranger = self.hire(Role.THERAPIST, "Kim Vale")

    def open(self) -> None:
        """Open the clinic."""
        self.clinic = open_clinic(self.data, clock=self.watch, alarm=lambda *alarm: self.alarms.append(alarm))

    def reopen(self) -> None:
        """Close the clinic and open it again, as a restart does."""
        self.clinic.close()
        self.open()

    @property
    def service(self) -> Service:
        """The doors."""
        return self.clinic.service

    @property
    def drafts(self) -> Drafts:
        """The door for drafts."""
        return self.clinic.drafts

    @property
    def store(self) -> Store:
        """The log."""
        return self.clinic.store

    @property
    def keyring(self) -> Keyring:
        """The keys."""
        return self.clinic.keyring

    def second(self, store: Any = None) -> Service:
        """Return another service on the same log, or on a store that wraps it."""
        return Service(store or self.store, self.keyring, self.watch, lambda *alarm: self.alarms.append(alarm))

    def faulty(self) -> tuple[Service, FaultyStore]:
        """Return a service whose store fails when told, and that store."""
        store = FaultyStore(self.store)
        return self.second(store), store

    # --- people

    def hire(self, role: Role, name: str) -> Actor:
        """Open an account."""
        staff_id = uuid4()
        self.service.transact(staff_id, create_account, self.operator, name=name, role=role)
        return Actor(str(staff_id), role, "192.0.2.7")

    def token_for(self, actor: Actor, days: float = 30) -> tuple[str, UUID]:
        """Issue a token; return it and its id."""
        token, token_id = f"wk_{uuid4().hex}", uuid4()
        self.service.transact(
            UUID(actor.id),
            issue_token,
            self.operator,
            token_id=token_id,
            digest=self.service.token_digest(token),
            expires_at=self.watch() + timedelta(days=days),
        )
        return token, token_id

    def client(self, *, team: Actor | None = None, supervised_by: Actor | None = None, **identity: Any) -> UUID:
        """Register a client with a care team."""
        client_id = uuid4()
        who = Identity(**(identity or {"family": "Fennimarsh", "given": "Ottoline"}))
        desk = Request(Actor("desk", Role.FRONT_DESK), "registration")
        self.service.transact(client_id, register_client, desk, identity=who)
        self.place(client_id, team or self.therapist, "team")
        if supervised_by is not None:
            self.place(client_id, supervised_by, "supervises")
        return client_id

    def place(self, client_id: UUID, actor: Actor, part: Part) -> None:
        """Give a person a part in a client's care team."""
        self.service.transact(client_id, put_member, self.operator, staff_id=actor.id, part=part)

    # --- requests

    def ask(self, actor: Actor | None = None, *, key: str | None = None, body: bytes = b"{}", **rest: Any) -> Request:
        """Return a request of the therapist, or of somebody else."""
        again = IdempotencyKey("POST /notes", key, body) if key is not None else None
        return Request(actor or self.therapist, f"request-{uuid4().hex}", idempotency=again, **rest)

    def note(self, client_id: UUID, request: Request | None = None, **facts: Any) -> Outcome:
        """Sign a note."""
        service = facts.pop("service", self.service)
        content = {"note_id": uuid4(), "kind": "progress", "format": "free", "sections": {"text": "We met."}, **facts}
        outcome: Outcome = service.transact(client_id, sign_note, request or self.ask(), **content)
        return outcome

    def consent(self, client_id: UUID, request: Request | None = None, **facts: Any) -> Outcome:
        """Take the consent to treatment."""
        content = {"consent_id": uuid4(), "kind": "treatment", "outcome": "given", "form": FORM, **facts}
        return self.service.transact(client_id, record_consent, request or self.ask(), **content)

    def read(self, client_id: UUID, request: Request | None = None, **facts: Any) -> list[Recorded]:
        """Read everything of a client."""
        service = facts.pop("service", self.service)
        purpose = facts.pop("purpose", Purpose.TREAT)
        view = facts.pop("view", TIMELINE)
        opened: list[Recorded] = service.view(view, request or self.ask(), purpose, client_id, **facts)
        return opened

    # --- what is found

    def access(self, client_id: UUID | None) -> list[AccessRecorded]:
        """Return the access events of a client, or of readings that named none."""
        found_events = [recorded.event for recorded in self.service.reader.access_events(client_id)]
        assert all(isinstance(event, AccessRecorded) for event in found_events)
        return found_events  # type: ignore[return-value]  # asserted above

    def topics(self, client_id: UUID) -> list[str]:
        """Return the names of the client's events, in order."""
        return [type(recorded.event).__name__ for recorded in self.service.reader.events(client_id)]

    def stored(self) -> int:
        """Return how many entries the ledger has."""
        return self.store.head().next_index

    def clinic_stream(self) -> UUID:
        """Return the clinic's own stream."""
        return self.service.streams.of(StreamKind.CLINIC, self.service.streams.deployment_id)

    def outside(self, *statements: str) -> None:
        """Change the database behind the service's back, with its triggers out of the way."""
        import sqlite3

        connection = sqlite3.connect(self.clinic.paths.database, isolation_level=None)
        try:
            triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                connection.execute(statement)
            for _, sql in triggers:
                connection.execute(sql)
        finally:
            connection.close()

    def close(self) -> None:
        """Close the clinic."""
        self.clinic.close()
