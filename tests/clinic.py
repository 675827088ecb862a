"""A real clinic on SQLite in a temporary directory, with staff of every role and ways to act as them.

Use it in tests of doors, views, HTTP and commands:

    clinic = make_clinic(tmp_path / "clinic")
    client = clinic.register()
    clinic.do(client, sign_note, note_id=uuid4(), kind="progress", format="free", sections={"text": "…"})
    document = clinic.see(CLIENT_VIEW, client)
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

from ops import wiring
from records.actors import Actor, Purpose, Role
from records.care_team import Part, put_member
from records.clinic_policy import ClinicPolicy
from records.decision import Decision
from records.emergency import open_emergency_access
from records.erasing import Waiting
from records.key_provider import KeyProvider
from records.notes import sign_note
from records.one_time_code import code_at
from records.reader import View
from records.registration import Identity, register_client
from records.request import IdempotencyKey, Outcome, Request
from records.staff import create_account, issue_token

ROLES = (
    Role.FRONT_DESK,
    Role.THERAPIST,
    Role.SUPERVISOR,
    Role.PRIVACY_OFFICER,
    Role.RECORDS_CLERK,
    Role.ADMINISTRATOR,
)
NAMES = {
    Role.FRONT_DESK: "Dee Frost",
    Role.THERAPIST: "Jo Lind",
    Role.SUPERVISOR: "Sam Vale",
    Role.PRIVACY_OFFICER: "Pat Oakes",
    Role.RECORDS_CLERK: "Remy Clark",
    Role.ADMINISTRATOR: "Ash Minter",
}
PURPOSES = {
    Role.FRONT_DESK: Purpose.TREAT,
    Role.THERAPIST: Purpose.TREAT,
    Role.SUPERVISOR: Purpose.HQUALIMP,
    Role.PRIVACY_OFFICER: Purpose.HCOMPL,
    Role.RECORDS_CLERK: Purpose.PATRQT,
    Role.ADMINISTRATOR: Purpose.TREAT,
    Role.OPERATOR: Purpose.HCOMPL,
}


class StaffedClinic:
    """An opened clinic and its people: `staff`, `tokens` and `alarms` are what a test looks at."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], datetime],
        database_url: str | None,
        keeper: Callable[[], KeyProvider] | None = None,
    ) -> None:
        self._keeper = keeper
        self.path = path
        self.clock = clock
        self.database_url = database_url
        self.alarms: list[tuple[str, dict[str, object]]] = []
        self.staff: dict[Role, Actor] = {Role.OPERATOR: wiring.operator()}
        self.tokens: dict[Role, str] = {}
        self.opened = self._open()

    def _open(self) -> wiring.Clinic:
        return wiring.open_clinic(
            self.path,
            database_url=self.database_url,
            provider=None if self._keeper is None else self._keeper(),
            clock=self.clock,
            alarm=lambda *told: self.alarms.append(told),
        )

    @property
    def service(self) -> Any:
        return self.opened.service

    @property
    def store(self) -> Any:
        return self.opened.store

    @property
    def reader(self) -> Any:
        return self.opened.service.reader

    def reopen(self) -> None:
        """Close the clinic and open it again, as a restart does."""
        self.opened.close()
        self.opened = self._open()

    def close(self) -> None:
        self.opened.close()

    # --- acting

    def who(self, by: Role | Actor) -> Actor:
        return by if isinstance(by, Actor) else self.staff[by]

    def request(
        self, by: Role | Actor = Role.THERAPIST, if_match: int | None = None, key: str | None = None
    ) -> Request:
        idempotency = None if key is None else IdempotencyKey("POST /test", key, b"{}")
        return Request(self.who(by), str(uuid4()), if_match, idempotency)

    def do(
        self,
        target: UUID,
        decision: Decision,
        *,
        by: Role | Actor = Role.THERAPIST,
        if_match: int | None = None,
        key: str | None = None,
        **arguments: Any,
    ) -> Outcome:
        """Transact as one of the staff."""
        outcome: Outcome = self.service.transact(target, decision, self.request(by, if_match, key), **arguments)
        return outcome

    def see(
        self,
        view: View,
        client_id: UUID | None = None,
        *,
        by: Role | Actor = Role.THERAPIST,
        purpose: Purpose | None = None,
        **parameters: Any,
    ) -> Any:
        """Read a view as one of the staff, for the purpose that is usual for the role."""
        actor = self.who(by)
        return self.service.view(view, self.request(actor), purpose or PURPOSES[actor.role], client_id, **parameters)

    # --- what most tests need

    def hire(self, role: Role, name: str | None = None, days: int = 30) -> tuple[Actor, str]:
        """Open an account with a token; return its actor and the token's text."""
        staff_id, token = uuid4(), f"wk_{uuid4().hex}"
        self.do(staff_id, create_account, by=Role.OPERATOR, name=name or NAMES[role], role=role)
        self.do(
            staff_id,
            issue_token,
            by=Role.OPERATOR,
            token_id=uuid4(),
            digest=self.service.token_digest(token),
            expires_at=self.clock() + timedelta(days=days),
        )
        return Actor(id=str(staff_id), role=role), token

    def register(
        self,
        *,
        family: str = "Marsh",
        given: str = "Robin",
        client_id: UUID | None = None,
        therapist: Actor | None = None,
        supervised: bool = True,
        **identity: Any,
    ) -> UUID:
        """Register a client of the therapist (the clinic's own where none is named), with the supervisor."""
        client_id = client_id or uuid4()
        treating = therapist or self.staff[Role.THERAPIST]
        self.do(client_id, register_client, by=treating, identity=Identity(family=family, given=given, **identity))
        self.team(client_id, treating, "team")
        if supervised:
            self.team(client_id, self.staff[Role.SUPERVISOR], "supervises")
        return client_id

    def team(self, client_id: UUID, person: Actor, part: Part) -> None:
        """Put a person into a client's care team."""
        self.do(client_id, put_member, by=Role.OPERATOR, staff_id=person.id, part=part)

    def secret(self, person: Actor) -> bytes:
        """Give a person a new second factor; return its secret as an authenticator app would have it."""
        uri = self.opened.emergency.enrol(UUID(person.id), uuid4().bytes, self.request(Role.OPERATOR))
        secret = parse_qs(urlsplit(uri).query)["secret"][0]
        return base64.b32decode(secret + "=" * (-len(secret) % 8))

    def code(self, person: Actor) -> str:
        """Return the code of now of a new second factor."""
        return code_at(self.secret(person), self.clock())

    def emergency(self, person: Actor, client_id: UUID, *, opened: bool = True) -> UUID:
        """Grant a person to open a client in an emergency, and open it, without a reading."""
        access, code = uuid4(), self.code(person)
        self.opened.emergency.grant(client_id, access, "crisis", code, self.request(person))
        if opened:
            self.do(UUID(person.id), open_emergency_access, by=person, access_id=access, client_id=client_id)
        return access

    def approve_erasure(self, client_id: UUID) -> Waiting:
        """Request the erasure of a client and approve it: the record is closed, its keys are there yet."""
        erasure = Waiting(uuid4(), client_id)
        door = self.opened.erasure
        door.request(client_id, erasure.erasure_id, "court-order", self.request(Role.RECORDS_CLERK))
        door.approve(client_id, erasure.erasure_id, self.request(Role.PRIVACY_OFFICER))
        return erasure

    def erase(self, client_id: UUID) -> Waiting:
        """Erase a client."""
        erasure = self.approve_erasure(client_id)
        assert self.opened.erasing.complete(erasure)
        return erasure

    def note(self, client_id: UUID, text: str = "Came on time.", **arguments: Any) -> UUID:
        """Sign a note and return its id."""
        note_id = uuid4()
        content = {"kind": "progress", "format": "free", "sections": {"text": text}, **arguments}
        self.do(client_id, sign_note, note_id=note_id, **content)
        return note_id


def make_clinic(
    path: Path,
    *,
    policy: ClinicPolicy | None = None,
    clock: Callable[[], datetime] = wiring.now,
    database_url: str | None = None,
    keep: Callable[[UUID], KeyProvider] | None = None,
    keeper: Callable[[], KeyProvider] | None = None,
) -> StaffedClinic:
    """Found a clinic, open it, and hire one person for each role.

    `keep` makes the first root key and `keeper` opens what keeps it, where that is not a key file in its usual place.
    """
    wiring.found(path, "Hill Clinic", policy or ClinicPolicy(), database_url=database_url, create=keep)
    clinic = StaffedClinic(path, clock, database_url, keeper)
    for role in ROLES:
        clinic.staff[role], clinic.tokens[role] = clinic.hire(role)
    return clinic
