"""No clinical word, no name and no event type stands in clear anywhere but in an answer to somebody who may read it.

Canaries are planted through the doors and over HTTP, in every kind of place that takes words: names, notes, goals,
reasons, search terms, wrong tokens, wrong bodies. Then every file that the service could have written is searched: log,
journal, keys, temporary files, its own log lines, while it runs, after it was killed and after it closed; and every
problem document that it answered.
"""

from __future__ import annotations

import base64
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from records.actors import Purpose
from records.catalogue import CATALOGUE
from records.consent import withdraw_consent
from records.drafts import Draft
from records.errors import WellkeptError
from records.event import topic_of
from records.goals import change_goal, set_goal
from records.notes import amend_note, mark_note_entered_in_error
from records.registration import IdentityChanges, change_identity
from records.risk import assess_risk
from tests.doors import Doors
from tests.ops.running import Served

CANARY = "Xyzzqwortcanary"
"""A word that nothing else writes; each place adds its own ending, so that a leak says where it came from."""


def canary(place: str) -> str:
    """Return the canary of a place."""
    return f"{CANARY}{place}"


def disguises(text: str) -> Iterator[bytes]:
    """Yield the bytes under which a text may stand in a file."""
    plain = text.encode()
    yield from (plain, plain.lower(), plain.upper(), text.encode("utf-16-le"), plain.hex().encode())
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + plain)
        yield whole[4 : len(whole) - 4]


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    for number, seen in enumerate(disguises(CANARY)):
        (tmp_path / f"{number}").write_bytes(b"before" + seen + b"after")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "base64").write_bytes(base64.b64encode(b"?" * 7 + CANARY.encode() + b"??"))

    assert len(leaks(tmp_path)) == len(list(disguises(CANARY))) + 1
    (tmp_path / "inner" / "topic").write_bytes(b"...note.signed...")
    assert "inner/topic: note.signed" in leaks(tmp_path)


def leaks(folder: Path) -> list[str]:
    """Return which files hold a canary in any disguise, or the name of an event type."""
    found = []
    topics = [*CATALOGUE, *(cls.__name__ for cls in CATALOGUE.values())]
    for path in sorted(folder.rglob("*")):
        content = b"" if not path.is_file() else path.read_bytes()
        name = str(path.relative_to(folder))
        if any(seen in content for seen in disguises(CANARY)):
            at = content.find(CANARY.encode())
            found.append(f"{name}: {content[at : at + 40]!r}")
        found += [f"{name}: {topic}" for topic in topics if topic.encode() in content]
    return found


def planted(doors: Doors) -> UUID:
    """Return a client in whose record every kind of free text holds a canary."""
    client, note, consent, goal = (
        doors.client(family=canary("family"), given=canary("given")),
        uuid4(),
        uuid4(),
        uuid4(),
    )
    service = doors.service
    changes = IdentityChanges(email=f"{canary('email')}@example.org", address=canary("address"))
    service.transact(client, change_identity, doors.ask(if_match=1), changes=changes)
    signed = doors.note(client, doors.ask(key=canary("key"), body=canary("body").encode()), note_id=note)
    amendment: dict[str, Any] = {"format": "free", "sections": {"text": canary("amended")}, "reason": canary("reason")}
    amended = service.transact(client, amend_note, doors.ask(if_match=signed.version), note_id=note, **amendment)
    wrong: dict[str, Any] = {"note_id": note, "reason": canary("error")}
    service.transact(client, mark_note_entered_in_error, doors.ask(if_match=amended.version), **wrong)
    doors.note(client, sections={"text": canary("note")})
    doors.drafts.save(
        client, uuid4(), Draft(kind="progress", format="free", sections={"text": canary("draft")}), doors.ask()
    )
    given = doors.consent(client, consent_id=consent, restrictions=canary("restrictions"))
    taken_back: dict[str, Any] = {"consent_id": consent, "channel": "in-person", "reason": canary("withdrawal")}
    service.transact(client, withdraw_consent, doors.ask(if_match=given.version), **taken_back)
    aim: dict[str, Any] = {"goal_id": goal, "text": canary("goal"), "scale": "none", "agreed_by": "both"}
    was_set = service.transact(client, set_goal, doors.ask(), **aim)
    ending: dict[str, Any] = {"goal_id": goal, "change": "abandon", "reason": canary("abandoned")}
    service.transact(client, change_goal, doors.ask(if_match=was_set.version), **ending)
    risk: dict[str, Any] = {"level": "low", "formulation": canary("formulation"), "actions": canary("actions")}
    service.transact(client, assess_risk, doors.ask(), risk_id=uuid4(), **risk)
    doors.read(client)
    return client


def test_no_file_of_a_clinic_holds_what_was_written(tmp_path: Path) -> None:
    doors = Doors(tmp_path)
    client = planted(doors)
    assert canary("note") in repr([recorded.event for recorded in doors.read(client)]), "nothing was planted"

    assert leaks(tmp_path) == [], "while it is open, journal included"
    doors.close()
    assert leaks(tmp_path) == [], "when it is closed"


def test_no_error_of_the_doors_holds_what_was_sent(tmp_path: Path) -> None:
    doors = Doors(tmp_path)
    client = planted(doors)
    wrong: list[dict[str, Any]] = [
        {"format": canary("format")},
        {"kind": canary("kind")},
        {"sections": {canary("section"): canary("text")}},
        {"sections": {"text": " "}},
        {"session_id": uuid4(), "sections": {"text": canary("text")}},
    ]
    errors: list[WellkeptError] = []
    for facts in wrong:
        with pytest.raises(WellkeptError) as caught:
            doors.note(client, **facts)
        errors.append(caught.value)
    for attempt in (
        lambda: doors.read(client, doors.ask(doors.stranger)),
        lambda: doors.consent(client, kind=canary("consent")),
        lambda: doors.client(family=canary("name"), given="", birth_date=canary("birth")),
        lambda: doors.read(client, purpose=Purpose.HCOMPL),
    ):
        with pytest.raises(WellkeptError) as caught:
            attempt()
        errors.append(caught.value)

    shown = "".join(f"{error} {error!r} {vars(error)}" for error in errors)
    assert CANARY not in shown
    assert doors.service.authenticate(canary("token"), canary("address")) is None
    assert leaks(tmp_path) == []
    doors.close()


class Web:
    """A served clinic, and every byte that it answered to what should not have been sent."""

    def __init__(self, service: Served, token: str) -> None:
        self._service = service
        self._token = token
        self.problems: list[bytes] = []

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Send a request as the therapist; keep the body of a problem."""
        sent = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        sent |= {"Idempotency-Key": uuid4().hex, "Purpose-Of-Use": "TREAT"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self._service.url + path, body, sent, method=method)  # noqa: S310 - a loopback address
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - a loopback address
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            self.problems.append(error.read())
            return error.code, self.problems[-1]


def use(web: Web, client: UUID) -> None:
    """Plant canaries over HTTP, in what is right and in what is wrong."""
    note = {"kind": "progress", "format": "free", "sections": {"text": canary("http-note")}}
    base = f"/v1/clients/{client}"
    assert web.send("POST", f"{base}/notes", json.dumps(note).encode())[0] == 201
    status, found = web.send("GET", f"/v1/clients?name={canary('family')}")
    assert (status, canary("family").encode() in found) == (200, True), "the search did not search"
    assert web.send("GET", f"/v1/clients?name={canary('nobody')}")[0] == 200
    assert canary("http-note").encode() in web.send("GET", f"{base}/timeline")[1]
    assert web.send("GET", base)[0] == 200
    expected = [
        web.send("POST", f"{base}/notes", json.dumps({**note, canary("field"): canary("value")}).encode()),
        web.send("POST", f"{base}/notes", json.dumps({**note, "kind": canary("kind")}).encode()),
        web.send("POST", f"{base}/notes", json.dumps({**note, "sections": {canary("s"): canary("t")}}).encode()),
        web.send("POST", f"{base}/notes", f'{{"{canary("broken")}'.encode()),
        web.send("POST", f"{base}/notes", b"\xff" + canary("bytes").encode()),
        web.send("POST", f"{base}/notes", b"{}", Content_Type=canary("type")),
        web.send("POST", f"{base}/notes", b"{}", If_Match=canary("match")),
        web.send("POST", f"/v1/clients/{canary('path')}/notes", b"{}"),
        web.send("GET", f"/v1/{canary('route')}?{canary('query')}={canary('argument')}"),
        web.send("GET", f"{base}?{canary('query')}={canary('argument')}"),
        web.send("GET", f"{base}/timeline?cursor={canary('cursor')}"),
        web.send("GET", f"{base}?known_at={canary('time')}"),
        web.send("GET", base, Purpose_Of_Use=canary("purpose")),
        web.send("GET", base, Authorization=f"Bearer {canary('token')}"),
        web.send("GET", base, Authorization=f"Basic {canary('password')}"),
        web.send(canary("method").upper(), base),
    ]
    assert all(400 <= status < 500 for status, _ in expected), [status for status, _ in expected]


def test_neither_a_served_clinic_nor_its_answers_leak(tmp_path: Path) -> None:
    doors = Doors(tmp_path)
    client = planted(doors)
    token, _ = doors.token_for(doors.therapist)
    doors.close()
    (tmp_path / "tmp").mkdir()
    for end in ("kill", "stop"):
        service = Served(doors.data, TMPDIR=str(tmp_path / "tmp"), WELLKEPT_LOG_LEVEL="debug")
        try:
            service.wait()
            web = Web(service, token)
            use(web, client)
            assert not [body for body in web.problems if CANARY.lower().encode() in body.lower()]
            assert leaks(tmp_path) == [], "while it is served"
            with contextlib.suppress(ProcessLookupError):
                service.process.kill() if end == "kill" else service.process.terminate()
        finally:
            service.stop()
        assert leaks(tmp_path) == [], f"after a {end}"
        logged = service.log.read_bytes()
        assert token.encode() not in logged
        assert topic_of(CATALOGUE["note.signed"]).encode() not in logged
