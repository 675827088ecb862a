"""Who the client is, as a Patient.

Source: FHIR R4 Patient; HL7 extensions patient-genderIdentity and patient-interpreterRequired.

- The client's own word for their gender is kept as such; `gender`, which is administrative, only where it is one of
  its four codes. Nothing is guessed.
- Where a death was entered in error, nothing is said of a death any more.
"""

from __future__ import annotations

from typing import Any

from projections.fhir.draft import Draft, Handler, Told, without
from projections.fhir.elements import Json, concept, extension, identifier, known
from projections.fhir.texts import words
from records.registration import (
    LANGUAGE,
    ClientDeathEnteredInError,
    ClientDeathRecorded,
    ClientIdentityChanged,
    ClientRegistered,
    Identity,
)

GENDERS = ("male", "female", "other", "unknown")
NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
_HL7 = "http://hl7.org/fhir/StructureDefinition/"
_OF_IDENTITY = (
    "extension",
    "identifier",
    "name",
    "telecom",
    "gender",
    "birthDate",
    "address",
    "contact",
    "communication",
    "generalPractitioner",
)


def _registered(draft: Draft, event: ClientRegistered, told: Told) -> list[Json]:
    return _put(draft, event.identity)


def _changed(draft: Draft, event: ClientIdentityChanged, told: Told) -> list[Json]:
    return _put(draft, event.changes.applied_to(draft.identity))


def _put(draft: Draft, identity: Identity) -> list[Json]:
    draft.identity = identity
    without(draft.patient, *_OF_IDENTITY)
    draft.patient.update(_elements(draft, identity))
    return [draft.patient]


def _elements(draft: Draft, identity: Identity) -> Json:
    gender = words(identity.gender)
    own_ids = identifier(draft.record.client_id)
    if identity.nhs_number is not None:
        own_ids.append({"system": NHS_NUMBER, "value": identity.nhs_number})
    return known(
        extension=_extensions(identity, gender),
        identifier=own_ids,
        name=_names(identity),
        telecom=[
            {"system": system, "value": value}
            for system, value in (("phone", words(identity.phone)), ("email", words(identity.email)))
            if value is not None
        ],
        gender=gender if gender in GENDERS else None,
        birthDate=identity.birth_date,
        address=_texts(identity.address),
        contact=[
            {"relationship": [concept("http://terminology.hl7.org/CodeSystem/v2-0131", "C")], "name": name}
            for name in _texts(identity.emergency_contact)
        ],
        communication=_communication(identity),
        generalPractitioner=[{"display": name["text"]} for name in _texts(identity.gp)],
    )


def _extensions(identity: Identity, gender: str | None) -> list[Json]:
    found: list[Json] = []
    if gender is not None:
        found.append({"url": f"{_HL7}patient-genderIdentity", "valueCodeableConcept": {"text": gender}})
    if identity.interpreter_needed:
        found.append({"url": f"{_HL7}patient-interpreterRequired", "valueBoolean": True})
    pronouns = words(identity.pronouns)
    return found if pronouns is None else [*found, extension("pronouns", "String", pronouns)]


def _names(identity: Identity) -> list[Json]:
    given = words(identity.given)
    official: Json = known(family=words(identity.family), given=None if given is None else [given])
    usual = words(identity.preferred_name)
    return [
        *([{"use": "official", **official}] if official else []),
        *([] if usual is None else [{"use": "usual", "text": usual}]),
    ]


def _texts(text: str | None) -> list[Json]:
    found = words(text)
    return [] if found is None else [{"text": found}]


def _communication(identity: Identity) -> list[Json]:
    if identity.language is None or LANGUAGE.fullmatch(identity.language) is None:
        return []
    return [{"language": concept("urn:ietf:bcp:47", identity.language), "preferred": True}]


def _died(draft: Draft, event: ClientDeathRecorded, told: Told) -> list[Json]:
    _not_dead(draft)
    day: Any = event.died_on
    draft.patient["deceasedBoolean" if day is None else "deceasedDateTime"] = True if day is None else day
    return [draft.patient]


def _death_in_error(draft: Draft, event: ClientDeathEnteredInError, told: Told) -> list[Json]:
    _not_dead(draft)
    return [draft.patient]


def _not_dead(draft: Draft) -> None:
    without(draft.patient, "deceasedBoolean", "deceasedDateTime")


MAPS: dict[type, Handler] = {
    ClientRegistered: _registered,
    ClientIdentityChanged: _changed,
    ClientDeathRecorded: _died,
    ClientDeathEnteredInError: _death_in_error,
}
