"""For each operation, a request that is right in every way, so that only who sends it decides what it gets.

- A recipe makes what its operation builds on (an episode, a booked session, a draft of the sender's own), new each
  time, and says what to send: the ids in the address, the body and the version that was read.
- An operation without a recipe fails `tests/api/test_policy_cells.py`: give it one here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from records.actors import Actor
from records.care_team import Part
from tests.api.caller import Served, ahead

CANARY = "canary-71c4"
FORM = {"form_id": "treatment", "form_version": "3"}
TEXT = {"format": "free", "sections": {"text": f"{CANARY}: came on time."}}
NOTE = {"kind": "progress", **TEXT}
REASON = {"reason": f"{CANARY}: a slip."}
CONSENT = {"kind": "treatment", "outcome": "given", "form": FORM}
EPISODE = {"format": "individual", "modality": "DIT", "protocol": "dit-manual"}
PROMPTING = {"measure": "PHQ-9", "answers": [0] * 8 + [1]}
RISK = {"level": "low", "formulation": f"{CANARY}: asked; no plan."}
GOAL = {"text": f"{CANARY}: say no.", "scale": "gas"}


class Right(NamedTuple):
    """What to send: ids of the address by their names, the body, the version that was read, and the query."""

    ids: dict[str, str]
    body: dict[str, Any] | None = None
    if_match: int | None = None
    query: str | None = None


class Kitchen:
    """Makes what requests build on, in one client's record, as the holder of one token."""

    def __init__(self, served: Served, client_id: UUID, token: str, colleague: Actor) -> None:
        self._served = served
        self._client_id = client_id
        self._token = token
        self._colleague = colleague

    def made(self, path: str, body: dict[str, Any], if_match: int | None = None) -> tuple[str, int]:
        """POST under the client; return id and version."""
        address = self._served.of(path, self._client_id)
        answered = self._served.call("POST", address, body, by=None, token=self._token, if_match=if_match)
        assert answered.status_code in (200, 201), answered.json
        assert answered.json is not None
        return answered.json["id"], answered.json["version"]

    def identity_version(self) -> int:
        """Return the version that a change of identity builds on."""
        return int(self._served.clinic.service.client(self._client_id).identity_version)

    def booked(self) -> tuple[str, int]:
        """Book a session that is about to begin."""
        episode, _ = self.made("/episodes", EPISODE)
        return self.made("/sessions", {"episode_id": episode, "start": ahead(minutes=1)})

    def attended(self) -> tuple[str, int]:
        """Book a session that was attended, with the consent that it needs."""
        self.made("/consents", CONSENT)
        session, version = self.booked()
        return self.made(f"/sessions/{session}/attendance", {"code": "5"}, version)

    def drafted(self) -> tuple[str, str]:
        """Save a draft; return the note's id and the digest to sign it by."""
        note = str(uuid4())
        path = self._served.of(f"/notes/{note}/draft", self._client_id)
        answered = self._served.call("PUT", path, NOTE, by=None, token=self._token)
        assert answered.status_code == 200, answered.json
        assert answered.json is not None
        return note, answered.json["text_sha256"]

    def placed(self, part: Part) -> str:
        """Give the colleague a part in the care team; return who they are."""
        self._served.clinic.team(self._client_id, self._colleague, part)
        return self._colleague.id

    @property
    def colleague(self) -> str:
        """Somebody with an account, whom a care team may take in."""
        return self._colleague.id


Recipe = Callable[[Kitchen], Right]


def _nothing(kitchen: Kitchen) -> Right:
    return Right({})


def _sends(body: dict[str, Any]) -> Recipe:
    return lambda kitchen: Right({}, body)


def _on(name: str, made: Callable[[Kitchen], tuple[str, int]], body: dict[str, Any]) -> Recipe:
    def cook(kitchen: Kitchen) -> Right:
        item, version = made(kitchen)
        return Right({name: item}, body, version)

    return cook


def _onto(name: str, path: str, content: dict[str, Any], body: dict[str, Any]) -> Recipe:
    return _on(name, lambda kitchen: kitchen.made(path, content), body)


def _books(kitchen: Kitchen) -> Right:
    episode, _ = kitchen.made("/episodes", EPISODE)
    return Right({}, {"episode_id": episode, "start": ahead(minutes=1)})


def _holds(kitchen: Kitchen) -> Right:
    session, version = kitchen.attended()
    return Right({"session_id": session}, {"started_at": datetime.now(UTC).isoformat()}, version)


def _signs(kitchen: Kitchen) -> Right:
    note, digest = kitchen.drafted()
    return Right({"note_id": note}, {"text_sha256": digest})


RECIPES: dict[str, Recipe] = {
    "POST /v1/clients": lambda k: Right({}, {"id": str(uuid4()), "family": "Quillfeather", "given": CANARY}),
    "GET /v1/clients": _nothing,
    "GET /v1/caseload": _nothing,
    "GET /v1/log/checkpoint": _nothing,
    "GET /v1/log/tile/{tile}": lambda k: Right({"tile": "0/000.p/1"}),
    "GET /v1/log/tile/entries/{tile}": lambda k: Right({"tile": "000.p/1"}),
    "GET /v1/log/proof": lambda k: Right({}, query="index=0"),
    "GET /v1/clients/{client_id}": _nothing,
    "GET /v1/clients/{client_id}/timeline": _nothing,
    "GET /v1/clients/{client_id}/access-report": _nothing,
    "PATCH /v1/clients/{client_id}/identity": lambda k: Right({}, {"phone": CANARY}, k.identity_version()),
    "PUT /v1/clients/{client_id}/care-team/members/{staff_id}": lambda k: Right({"staff_id": k.colleague}),
    "DELETE /v1/clients/{client_id}/care-team/members/{staff_id}": lambda k: Right({"staff_id": k.placed("team")}),
    "PUT /v1/clients/{client_id}/care-team/supervisors/{staff_id}": lambda k: Right({"staff_id": k.colleague}),
    "DELETE /v1/clients/{client_id}/care-team/supervisors/{staff_id}": lambda k: Right(
        {"staff_id": k.placed("supervises")}
    ),
    "POST /v1/clients/{client_id}/consents": _sends(CONSENT),
    "POST /v1/clients/{client_id}/consents/{consent_id}/withdrawal": _onto(
        "consent_id", "/consents", CONSENT, {"channel": "in-person"}
    ),
    "POST /v1/clients/{client_id}/consents/{consent_id}/error": _onto("consent_id", "/consents", CONSENT, REASON),
    "POST /v1/clients/{client_id}/episodes": _sends(EPISODE),
    "POST /v1/clients/{client_id}/episodes/{episode_id}/phase": _onto(
        "episode_id", "/episodes", EPISODE, {"phase": "middle", **REASON}
    ),
    "POST /v1/clients/{client_id}/episodes/{episode_id}/closure": _onto(
        "episode_id", "/episodes", EPISODE, {"reason": "46"}
    ),
    "POST /v1/clients/{client_id}/sessions": _books,
    "POST /v1/clients/{client_id}/sessions/{session_id}/reschedule": _on("session_id", Kitchen.booked, {"minutes": 45}),
    "POST /v1/clients/{client_id}/sessions/{session_id}/cancellation": _on(
        "session_id", Kitchen.booked, {"by": "client"}
    ),
    "POST /v1/clients/{client_id}/sessions/{session_id}/attendance": _on("session_id", Kitchen.booked, {"code": "5"}),
    "POST /v1/clients/{client_id}/sessions/{session_id}/held": _holds,
    "POST /v1/clients/{client_id}/assessments": _sends(PROMPTING),
    "POST /v1/clients/{client_id}/assessments/{assessment_id}/error": _onto(
        "assessment_id", "/assessments", PROMPTING, REASON
    ),
    "POST /v1/clients/{client_id}/assessments/{assessment_id}/prompt-clearance": _onto(
        "assessment_id", "/assessments", PROMPTING, REASON
    ),
    "POST /v1/clients/{client_id}/risk-assessments": _sends(RISK),
    "POST /v1/clients/{client_id}/goals": _sends(GOAL),
    "POST /v1/clients/{client_id}/goals/{goal_id}/changes": _onto("goal_id", "/goals", GOAL, {"change": "achieve"}),
    "POST /v1/clients/{client_id}/goals/{goal_id}/ratings": _onto("goal_id", "/goals", GOAL, {"value": 1}),
    "POST /v1/clients/{client_id}/notes": _sends(NOTE),
    "GET /v1/clients/{client_id}/notes/{note_id}": lambda k: Right({"note_id": k.made("/notes", NOTE)[0]}),
    "GET /v1/clients/{client_id}/notes/{note_id}/draft": lambda k: Right({"note_id": k.drafted()[0]}),
    "PUT /v1/clients/{client_id}/notes/{note_id}/draft": lambda k: Right({"note_id": str(uuid4())}, NOTE),
    "POST /v1/clients/{client_id}/notes/{note_id}/signature": _signs,
    "POST /v1/clients/{client_id}/notes/{note_id}/addenda": _onto(
        "note_id", "/notes", NOTE, {"text": f"{CANARY}: rang later."}
    ),
    "POST /v1/clients/{client_id}/notes/{note_id}/amendments": _onto("note_id", "/notes", NOTE, {**TEXT, **REASON}),
    "POST /v1/clients/{client_id}/notes/{note_id}/error": _onto("note_id", "/notes", NOTE, REASON),
}
"""`METHOD path`, as the OpenAPI document writes it → recipe."""
