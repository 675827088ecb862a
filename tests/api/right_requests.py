"""For each operation, a request that is right in every way, so that only who sends it decides what it gets.

- A recipe makes what its operation builds on (an episode, a booked session, a draft of the sender's own), new each
  time, and says what to send: the ids in the address, the body and the version that was read.
- An operation without a recipe fails `tests/api/test_policy_cells.py`: give it one here.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from projections.client_view import CLIENT_VIEW
from records.actors import Actor, Role
from records.care_team import Part
from records.clinic import change_policy
from records.clinic_policy import ClinicPolicy
from records.legal_hold import lift_legal_hold
from records.staff import change_role
from tests.api.caller import Served, ahead
from tests.clinic import StaffedClinic
from tests.signed_clinic import sign_log

CANARY = "canary-71c4"
FORM = {"form_id": "treatment", "form_version": "3"}
TEXT = {"format": "free", "sections": {"text": f"{CANARY}: came on time."}}
NOTE = {"kind": "progress", **TEXT}
REASON = {"reason": f"{CANARY}: a slip."}
CONSENT = {"kind": "treatment", "outcome": "given", "form": FORM}
EPISODE = {"format": "individual", "modality": "DIT", "protocol": "dit-manual"}
PROMPTING = {"measure": "PHQ-9", "answers": [0] * 8 + [1]}
RISK = {"level": "low", "formulation": f"{CANARY}: asked; no plan."}
DEATH = {"reported_by": CANARY}
FILE = {
    "kind": "letter",
    "made_by": "third-party",
    "title": f"{CANARY}: a letter",
    "content": base64.b64encode(f"{CANARY}: dear colleague.".encode()).decode(),
}
HOLD = {"authority": "court", "requested_by": CANARY, "reference": CANARY, "reason": f"{CANARY}: a claim."}
GOAL = {"text": f"{CANARY}: say no.", "scale": "gas"}


def lift_holds(clinic: StaffedClinic, client_id: UUID) -> None:
    """Lift every legal hold of a client whose record is not closed."""
    if client_id in clinic.service.directory.clinic.erased:
        return
    for hold, state in list(clinic.service.client(client_id).holds.items()):
        lift = {"if_match": state.version, "hold_id": hold, "reason": "It ended."}
        clinic.do(client_id, lift_legal_hold, by=Role.PRIVACY_OFFICER, **lift)


class Right(NamedTuple):
    """What to send: ids of the address by their names, the body, the version that was read, and the query."""

    ids: dict[str, str | int]
    body: dict[str, Any] | None = None
    if_match: int | None = None
    query: str | None = None


class Kitchen:
    """Makes what requests build on, in one client's record, as the holder of one token."""

    def __init__(self, served: Served, client_id: UUID, token: str, colleague: Actor, sender: Actor) -> None:
        self._sender = sender
        self._served = served
        self._client_id = client_id
        self._token = token
        self._colleague = colleague
        self._read = served.client_id

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

    def death_or_life(self, *, dead: bool) -> int:
        """See to it that a death is recorded, or that none is; return the version of the identity."""
        record = self._served.clinic.service.client(self._client_id)
        if (record.died is not None) is not dead:
            path, body = ("/death", DEATH) if dead else ("/death/error", REASON)
            self.made(path, body, record.identity_version)
        return self.identity_version()

    def hold(self) -> tuple[str, int]:
        """Place a legal hold, as the privacy officer."""
        officer = self._served.clinic.tokens[Role.PRIVACY_OFFICER]
        address = self._served.of("/legal-holds", self._client_id)
        answered = self._served.call("POST", address, HOLD, by=None, token=officer)
        assert answered.status_code == 201, answered.json
        assert answered.json is not None
        return answered.json["id"], answered.json["version"]

    def booked(self) -> tuple[str, int]:
        """Book a session that is about to begin."""
        episode, _ = self.made("/episodes", EPISODE)
        return self.made("/sessions", {"episode_id": episode, "start": ahead(minutes=1)})

    def attended(self) -> tuple[str, int]:
        """Book a session that was attended, with the consent that it needs."""
        self.made("/consents", CONSENT)
        session, version = self.booked()
        return self.made(f"/sessions/{session}/attendance", {"code": "5"}, version)

    def breached(self) -> Right:
        """Hold a session without its consent, as somebody else, for the sender and a supervisor to decide on."""
        clinic = self._served.clinic
        therapist, token = clinic.hire(Role.THERAPIST, "Una Reed")
        clinic.team(self._client_id, therapist, "team")
        episode, _ = self.made("/episodes", EPISODE)
        held = {"episode_id": episode, "started_at": "2020-01-06T10:00:00Z", "kind": "treatment"}
        address = self._served.of(f"/sessions/{uuid4()}/held", self._client_id)
        answered = self._served.call("POST", address, {**held, "breach_reason": CANARY}, by=None, token=token)
        assert answered.json is not None
        body: dict[str, Any] = {"outcome": "justified", **REASON}
        parts = clinic.service.directory.team(self._client_id).parts
        if parts.get(clinic.staff[Role.SUPERVISOR].id) != "supervises":
            body["supervisor_id"] = self.placed("supervises")
        return Right({"session_id": answered.json["id"]}, body, answered.json["version"])

    def attached(self) -> str:
        """Return a file that somebody of the team added."""
        therapist, token = self._served.clinic.hire(Role.THERAPIST, "Ida Moss")
        self._served.clinic.team(self._client_id, therapist, "team")
        address = self._served.of("/attachments", self._client_id)
        added = self._served.call("POST", address, FILE, by=None, token=token)
        assert added.status_code == 201, added.json
        assert added.json is not None
        return str(added.json["id"])

    def held(self) -> tuple[str, int]:
        """Hold a session that was attended."""
        session, version = self.attended()
        return self.made(f"/sessions/{session}/held", {"started_at": datetime.now(UTC).isoformat()}, version)

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

    def read_again(self) -> None:
        """Open the record, so that there is a reading to draw."""
        clinic = self._served.clinic
        clinic.see(CLIENT_VIEW, self._read, by=clinic.staff[Role.THERAPIST])

    def drawn(self) -> tuple[str, int]:
        """Draw a spot check; return it and a reading of it."""
        self.read_again()
        officer = self._served.clinic.tokens[Role.PRIVACY_OFFICER]
        made = self._served.call("POST", "/v1/audit/spot-checks", {}, by=None, token=officer)
        assert made.status_code == 201, made.json
        service = self._served.clinic.opened.service
        service.follow()
        clinic = service.directory.clinic
        draw = list(clinic.draws)[-1]
        return str(draw), next(iter(clinic.draws[draw].checks))

    def erasure(self, *, wanted: bool = True) -> str:
        """Return an erasure of the client that was requested by somebody else; or see to it that none is open."""
        clinic = self._served.clinic
        opened = clinic.opened
        opened.service.follow()
        lift_holds(clinic, self._client_id)
        found = opened.service.directory.clinic.erasures.items()
        mine = {key: each for key, each in found if each.client_id == self._client_id and each.withdrawn is None}
        if not wanted:
            for key in mine:
                opened.erasure.withdraw(self._client_id, key, "entered-in-error", clinic.request(Role.SUPERVISOR))
            return ""
        if not mine:
            mine[uuid4()] = None
            (key,) = mine
            opened.erasure.request(self._client_id, key, "court-order", clinic.request(Role.OPERATOR))
        return str(next(iter(mine)))

    def certified(self) -> str:
        """Return an erasure of the client that is completed and signed."""
        erasure = self.erasure()
        sign_log(self._served.clinic)
        return erasure

    def disclosure(self) -> dict[str, Any]:
        """Return a disclosure that the colleague answers for."""
        return {
            "recipient_kind": "court",
            "recipient": CANARY,
            "description": f"{CANARY}: a letter.",
            "purpose": "A hearing.",
            "basis": "court-order",
            "authorised_by": self._colleague.id,
        }

    def export(self) -> dict[str, Any]:
        """Return what an export is released with."""
        sign_log(self._served.clinic)
        return {name: said for name, said in self.disclosure().items() if name != "description"}

    def exported(self) -> str:
        """Return an export that was released."""
        clerk = self._served.clinic.tokens[Role.RECORDS_CLERK]
        address = self._served.of("/exports", self._client_id)
        made = self._served.call("POST", address, self.export(), by=None, token=clerk)
        assert made.status_code == 201, made.json
        assert made.json is not None
        return str(made.json["id"])

    def audited(self) -> int:
        """Return the ledger index of a reading of the client."""
        purpose = {"Purpose-Of-Use": "TREAT"}
        address = self._served.of("", self._client_id)
        answered = self._served.call("GET", address, by=None, token=self._token, headers=purpose)
        assert answered.status_code == 200
        return int(self._served.clinic.reader.access_events(self._client_id)[-1].index)

    def code(self) -> str:
        """Give the sender a new second factor, and return its code of now: a code is good once, but each is new."""
        return self._served.clinic.code(self._sender)

    def emergency(self) -> str:
        """Return an emergency access that was granted to the colleague."""
        return str(self._served.clinic.emergency(self._colleague, self._client_id, opened=False))

    def review(self) -> str:
        """Return a review that the privacy officer and, named for it, the supervisor may judge."""
        clinic = self._served.clinic
        policy = ClinicPolicy(second_reviewer=clinic.staff[Role.SUPERVISOR].id)
        clinic.do(uuid4(), change_policy, by=Role.OPERATOR, policy=policy)
        person, _ = clinic.hire(Role.THERAPIST, "Ola Dunn")
        access = clinic.emergency(person, self._client_id)
        clinic.do(UUID(person.id), change_role, by=Role.OPERATOR, role=Role.PRIVACY_OFFICER)
        return str(access)

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


def _decides(kitchen: Kitchen) -> Right:
    draw, index = kitchen.drawn()
    return Right({"draw_id": draw}, {"index": index, "outcome": "in-order", "ground": "care"})


def _asks_for_erasure(kitchen: Kitchen) -> Right:
    kitchen.erasure(wanted=False)
    return Right({}, {"basis": "court-order"})


RECIPES: dict[str, Recipe] = {
    "GET /v1/clients/{client_id}/erasure": _nothing,
    "POST /v1/clients/{client_id}/erasure": _asks_for_erasure,
    "POST /v1/clients/{client_id}/erasure/{erasure_id}/withdrawal": lambda k: Right(
        {"erasure_id": k.erasure()}, {"ground": "request-withdrawn"}
    ),
    "POST /v1/clients/{client_id}/erasure/{erasure_id}/approval": lambda k: Right({"erasure_id": k.erasure()}, {}),
    "GET /v1/clients/{client_id}/erasure/{erasure_id}/certificate": lambda k: Right({"erasure_id": k.certified()}),
    "POST /v1/clients": lambda k: Right({}, {"id": str(uuid4()), "family": "Quillfeather", "given": CANARY}),
    "GET /v1/clients": _nothing,
    "GET /v1/caseload": _nothing,
    "GET /v1/audit/patterns": _nothing,
    "GET /v1/retention/due": _nothing,
    "GET /v1/audit/spot-checks": _nothing,
    "GET /v1/audit/spot-checks/{draw_id}": lambda k: Right({"draw_id": k.drawn()[0]}),
    "POST /v1/audit/spot-checks": lambda k: k.read_again() or Right({}, {}),
    "POST /v1/audit/spot-checks/{draw_id}/decisions": _decides,
    "GET /v1/audit": _nothing,
    "GET /v1/audit/report": _nothing,
    "GET /v1/audit/{index}": lambda k: Right({"index": k.audited()}),
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
    "POST /v1/clients/{client_id}/episodes/{episode_id}/protocol": _onto(
        "episode_id", "/episodes", EPISODE, {"protocol": "dit-guide", **REASON}
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
    "POST /v1/clients/{client_id}/sessions/{session_id}/error": _on("session_id", Kitchen.held, REASON),
    "POST /v1/clients/{client_id}/sessions/{session_id}/breach-review": Kitchen.breached,
    "POST /v1/clients/{client_id}/assessments": _sends(PROMPTING),
    "POST /v1/clients/{client_id}/assessments/{assessment_id}/error": _onto(
        "assessment_id", "/assessments", PROMPTING, REASON
    ),
    "POST /v1/clients/{client_id}/assessments/{assessment_id}/prompt-clearance": _onto(
        "assessment_id", "/assessments", PROMPTING, REASON
    ),
    "POST /v1/clients/{client_id}/risk-assessments": _sends(RISK),
    "POST /v1/clients/{client_id}/risk-assessments/{risk_id}/error": _onto(
        "risk_id", "/risk-assessments", RISK, REASON
    ),
    "GET /v1/clients/{client_id}/retention": _nothing,
    "POST /v1/clients/{client_id}/death": lambda k: Right({}, DEATH, k.death_or_life(dead=False)),
    "POST /v1/clients/{client_id}/death/error": lambda k: Right({}, REASON, k.death_or_life(dead=True)),
    "POST /v1/clients/{client_id}/legal-holds": lambda k: Right({}, HOLD),
    "POST /v1/clients/{client_id}/legal-holds/{hold_id}/lifting": _on("hold_id", Kitchen.hold, REASON),
    "POST /v1/clients/{client_id}/attachments": _sends(FILE),
    "GET /v1/clients/{client_id}/attachments/{attachment_id}": lambda k: Right({"attachment_id": k.attached()}),
    "POST /v1/clients/{client_id}/attachments/{attachment_id}/return": _onto("attachment_id", "/attachments", FILE, {}),
    "POST /v1/clients/{client_id}/attachments/{attachment_id}/error": _onto(
        "attachment_id", "/attachments", FILE, REASON
    ),
    "GET /v1/clients/{client_id}/disclosures": _nothing,
    "GET /v1/clients/{client_id}/disclosures/letter": _nothing,
    "POST /v1/clients/{client_id}/exports": lambda k: Right({}, k.export()),
    "GET /v1/clients/{client_id}/exports/{export_id}": lambda k: Right({"export_id": k.exported()}),
    "POST /v1/clients/{client_id}/disclosures": lambda k: Right({}, k.disclosure()),
    "POST /v1/clients/{client_id}/disclosures/{disclosure_id}/error": _on(
        "disclosure_id", lambda k: k.made("/disclosures", k.disclosure()), REASON
    ),
    "POST /v1/clients/{client_id}/goals": _sends(GOAL),
    "POST /v1/clients/{client_id}/goals/{goal_id}/changes": _onto("goal_id", "/goals", GOAL, {"change": "achieve"}),
    "POST /v1/clients/{client_id}/goals/{goal_id}/ratings": _onto("goal_id", "/goals", GOAL, {"value": 1}),
    "POST /v1/clients/{client_id}/goals/{goal_id}/error": _onto("goal_id", "/goals", GOAL, REASON),
    "POST /v1/clients/{client_id}/notes": _sends(NOTE),
    "GET /v1/clients/{client_id}/notes/{note_id}": lambda k: Right({"note_id": k.made("/notes", NOTE)[0]}),
    "GET /v1/clients/{client_id}/notes/{note_id}/draft": lambda k: Right({"note_id": k.drafted()[0]}),
    "PUT /v1/clients/{client_id}/notes/{note_id}/draft": lambda k: Right({"note_id": str(uuid4())}, NOTE),
    "POST /v1/clients/{client_id}/notes/{note_id}/signature": _signs,
    "POST /v1/clients/{client_id}/emergency-access": lambda k: Right({}, {"ground": "crisis", "code": k.code()}),
    "POST /v1/clients/{client_id}/emergency-access/{access_id}/approval": lambda k: Right(
        {"access_id": k.emergency()}, {"code": k.code()}
    ),
    "GET /v1/audit/reviews": _nothing,
    "GET /v1/audit/reviews/{review_id}": lambda k: Right({"review_id": k.review()}),
    "POST /v1/audit/reviews/{review_id}/outcome": lambda k: Right(
        {"review_id": k.review()}, {"outcome": "follow-up", "finding": "talk"}
    ),
    "POST /v1/clients/{client_id}/notes/{note_id}/addenda": _onto(
        "note_id", "/notes", NOTE, {"text": f"{CANARY}: rang later."}
    ),
    "POST /v1/clients/{client_id}/notes/{note_id}/amendments": _onto("note_id", "/notes", NOTE, {**TEXT, **REASON}),
    "POST /v1/clients/{client_id}/notes/{note_id}/error": _onto("note_id", "/notes", NOTE, REASON),
}
"""`METHOD path`, as the OpenAPI document writes it → recipe."""
