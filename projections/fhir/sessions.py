"""Sessions, booked, held, missed or called off, as Encounters.

Source: FHIR R4 Encounter; NHS Talking Therapies for attendance and mode.

- Missed and called off are both `cancelled`; which it was, the attendance code says.
- A remote mode is `VR`, face to face is `AMB`; the NHS code of the mode stands beside it.
- Where a session is entered in error, those after it in the episode count one less, as in the record.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from projections.fhir.draft import Draft, Handler, Told, marked_in_error, reference
from projections.fhir.elements import NHS, TERMS, Json, coding, concept, extension, identifier, local, period, term
from projections.fhir.texts import LOCAL, words
from records.bookings import AttendanceRecorded, SessionBooked, SessionCancelled, SessionRescheduled
from records.breaches import OUTCOMES, SessionBreachReviewed
from records.care_codes import ATTENDANCE, MODES, PHASES, SEEN
from records.sessions import SessionBreachRecorded, SessionEnteredInError, SessionHeld

SECTION = "Sessions and attendance"
FACE_TO_FACE = "01"
_URL = f"{LOCAL}StructureDefinition/"
_NUMBER = f"{_URL}session-number"


def _booked(draft: Draft, event: SessionBooked, told: Told) -> list[Json]:
    session = _add(draft, event.session_id, event.episode_id, "planned")
    session["type"] = [local("session-kind", event.kind)]
    _put_place(session, event.mode, event.setting)
    _put_plan(session, event)
    return [session]


def _add(draft: Draft, session_id: UUID, episode_id: UUID, status: str) -> Json:
    episode = draft.ref("EpisodeOfCare", episode_id)
    return draft.add(
        "Encounter",
        session_id,
        SECTION,
        identifier=identifier(session_id),
        status=status,
        subject=reference(draft.patient),
        episodeOfCare=None if episode is None else [episode],
        serviceProvider=reference(draft.clinic),
    )


def _put(session: Json, name: str, kind: str, value: Any) -> None:
    """Put an extension in the place of the one of its name; None takes it away."""
    kept = [each for each in session.pop("extension", []) if each["url"] != _URL + name]
    kept += [] if value is None else [extension(name, kind, value)]
    if kept:
        session["extension"] = kept


def _put_place(session: Json, mode: str, setting: str) -> None:
    where = ("AMB", "ambulatory") if mode == FACE_TO_FACE else ("VR", "virtual")
    session["class"] = coding(f"{TERMS}v3-ActCode", *where)
    _put(session, "mode", "CodeableConcept", concept(f"{NHS}consultation_mechanism", mode, MODES.get(mode)))
    _put(session, "setting", "CodeableConcept", local("setting", setting))


def _put_plan(session: Json, event: SessionBooked | SessionRescheduled) -> None:
    session["period"] = period(event.start, event.start + timedelta(minutes=event.minutes))
    minutes = {"value": event.minutes, "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"}
    _put(session, "planned-length", "Duration", minutes)
    _put(session, "room", "String", words(event.room))


def _rescheduled(draft: Draft, event: SessionRescheduled, told: Told) -> list[Json]:
    session = draft.find("Encounter", event.session_id)
    if session is None:
        return []
    _put_place(session, event.mode, event.setting)
    _put_plan(session, event)
    return [session]


def _attended(draft: Draft, event: AttendanceRecorded, told: Told) -> list[Json]:
    session = draft.find("Encounter", event.session_id)
    if session is None:
        return []
    _put_attendance(session, event.code)
    if session["status"] != "finished":
        session["status"] = "arrived" if event.code in SEEN else "cancelled"
    return [session]


def _put_attendance(session: Json, code: str) -> None:
    value = concept(f"{NHS}attended_or_did_not_attend", code, ATTENDANCE.get(code))
    _put(session, "attendance", "CodeableConcept", value)


def _cancelled(draft: Draft, event: SessionCancelled, told: Told) -> list[Json]:
    session = draft.find("Encounter", event.session_id)
    if session is None:
        return []
    session["status"] = "cancelled"
    _put_attendance(session, event.code)
    return [session]


def _held(draft: Draft, event: SessionHeld, told: Told) -> list[Json]:
    session = draft.find("Encounter", event.session_id) or _add(draft, event.session_id, event.episode_id, "finished")
    session["status"] = "finished"
    session["type"] = [local("session-kind", event.kind)]
    if event.phase is not None:
        phase = local("phase", event.phase, PHASES.get(event.phase))
        phase.update(told.string("text", "phase_reason"))
        session["type"].append(phase)
    _put_place(session, event.mode, event.setting)
    session["participant"] = [
        {
            "type": [term("v3-ParticipationType", "PPRF", "primary performer")],
            "individual": draft.staff(event.entered_by),
        }
    ]
    session["period"] = period(event.started_at, event.ended_at)
    _put(session, "session-number", "PositiveInt", event.number)
    methods = [extension("method", "CodeableConcept", local("method", each)) for each in event.methods]
    session["extension"] = [each for each in session["extension"] if each["url"] != f"{_URL}method"] + methods
    return [session]


def _breached(draft: Draft, event: SessionBreachRecorded, told: Told) -> list[Json]:
    session = draft.find("Encounter", event.session_id)
    if session is None:
        return []
    parts: list[Json] = [{"url": "missing", "valueCodeableConcept": local("missing", each)} for each in event.missing]
    session["extension"] += told.extension(f"{_URL}breach", "reason", *parts, name="reason")
    return [session]


def _reviewed(draft: Draft, event: SessionBreachReviewed, told: Told) -> list[Json]:
    session = draft.find("Encounter", event.session_id)
    if session is None:
        return []
    parts: list[Json] = [
        {"url": "outcome", "valueCodeableConcept": local("breach-outcome", event.outcome, OUTCOMES.get(event.outcome))},
        {"url": "supervisor", "valueReference": draft.staff(event.supervisor)},
    ]
    session["extension"] += told.extension(f"{_URL}breach-review", "reason", *parts, name="reason")
    return [session]


def _in_error(draft: Draft, event: SessionEnteredInError, told: Told) -> list[Json]:
    found = marked_in_error(draft, "Encounter", event.session_id)
    for session in found:
        _put(session, "session-number", "PositiveInt", None)
    episode = draft.ref("EpisodeOfCare", event.episode_id)
    for session in draft.of_kind("Encounter"):
        if session.get("episodeOfCare") == [episode]:
            for each in session.get("extension", []):
                if each["url"] == _NUMBER and each["valuePositiveInt"] > event.number:
                    each["valuePositiveInt"] -= 1
    return found


MAPS: dict[type, Handler] = {
    SessionBooked: _booked,
    SessionRescheduled: _rescheduled,
    AttendanceRecorded: _attended,
    SessionCancelled: _cancelled,
    SessionHeld: _held,
    SessionBreachRecorded: _breached,
    SessionBreachReviewed: _reviewed,
    SessionEnteredInError: _in_error,
}
