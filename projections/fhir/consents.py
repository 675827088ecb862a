"""Consents, and who gave them where that is not the client.

Source: FHIR R4 Consent, RelatedPerson.

- `inactive` is a consent that was withdrawn, superseded, or ran out by the date of the export.
- The form is the policy that the consent rests on (invariant ppc-1). Its text is not in the record, only its SHA-256,
  which has an extension of its own since an R4 Attachment wants SHA-1.
- A guardian or attorney is one RelatedPerson each for the record: it holds no names of theirs.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from projections.fhir.draft import Draft, Handler, Told, marked_in_error, reference
from projections.fhir.elements import LOINC, Json, concept, ended, extension, identifier, instant, known, local, term
from projections.fhir.texts import LOCAL, words
from records.consent import (
    ConsentEnteredInError,
    ConsentGiven,
    ConsentOffered,
    ConsentRefused,
    ConsentWithdrawn,
    Form,
)
from records.registration import LANGUAGE

SECTION = "Consents"
RELATED = {"guardian": ("GUARD", "guardian"), "attorney": ("POWATT", "power of attorney")}
RESEARCH = ("research", "case-study")
TREATMENT = ("treatment", "telehealth", "emdr", "touch", "guardian", "group-confidentiality", "couple-no-secrets")
_URL = f"{LOCAL}StructureDefinition/"


def _offered(draft: Draft, event: ConsentOffered, told: Told) -> list[Json]:
    return [_add(draft, told, event.consent_id, event.kind, event.form, "proposed")]


def _refused(draft: Draft, event: ConsentRefused, told: Told) -> list[Json]:
    consent = _add(draft, told, event.consent_id, event.kind, event.form, "rejected")
    consent["provision"] = {"type": "deny"}
    return [consent]


def _given(draft: Draft, event: ConsentGiven, told: Told) -> list[Json]:
    consent = _add(draft, told, event.consent_id, event.kind, event.form, "active")
    giver = _giver(draft, event)
    made = [each for each in (draft.find("RelatedPerson", event.given_by),) if each is not None]
    consent["performer"] = [giver]
    consent["verification"] = [{"verified": True, "verifiedWith": giver, "verificationDate": instant(told.at)}]
    lasts = known(start=instant(told.at), end=None if event.expires_at is None else instant(event.expires_at))
    draft.consent_periods[consent["id"]] = lasts
    consent["provision"] = known(type="permit", period=dict(lasts))
    if "recipient" in told.texts:
        role = term("v3-ParticipationType", "IRCP", "information recipient")
        consent["provision"]["actor"] = [{"role": role, "reference": told.string("display", "recipient")}]
    consent["extension"] = _details(event)
    for path in ("restrictions", "capacity_note"):
        consent["extension"] += told.extension(f"{_URL}{path.replace('_', '-')}", path)
    ended = [] if event.supersedes is None else _end(draft, event.supersedes, told)
    if _over(draft, lasts):
        consent["status"] = "inactive"
    return [consent, *made, *ended]


def _over(draft: Draft, lasts: Json) -> bool:
    return "end" in lasts and datetime.fromisoformat(lasts["end"]) <= draft.record.as_of


def _add(draft: Draft, told: Told, consent_id: UUID, kind: str, form: Form, status: str) -> Json:
    of_form = [extension("form-sha256", "String", form.text_sha256)] if form.text_sha256 else []
    categories = [concept(LOINC, "59284-0", "Consent Document"), local("consent-kind", kind)]
    if kind == "privacy-notice":
        categories.append(term("consentcategorycodes", "npp", "Notice of Privacy Practices"))
    scope = "research" if kind in RESEARCH else "treatment" if kind in TREATMENT else "patient-privacy"
    shown_form = known(
        extension=of_form,
        language=form.language if LANGUAGE.fullmatch(form.language) else None,
        title=words(f"{form.form_id} {form.form_version}"),
    )
    return draft.add(
        "Consent",
        consent_id,
        SECTION,
        identifier=identifier(consent_id),
        status=status,
        scope=term("consentscope", scope),
        category=categories,
        patient=reference(draft.patient),
        dateTime=instant(told.at),
        organization=[reference(draft.clinic)],
        sourceAttachment=shown_form or None,
        policy=[{"uri": f"{LOCAL}form/{quote(form.form_id, safe='')}/{quote(form.form_version, safe='')}"}],
    )


def _giver(draft: Draft, event: ConsentGiven) -> Json:
    if event.given_by not in RELATED:
        return reference(draft.patient)
    related = draft.find("RelatedPerson", event.given_by)
    if related is None:
        role = term("v3-RoleCode", *RELATED[event.given_by])
        related = draft.add(
            "RelatedPerson", event.given_by, SECTION, patient=reference(draft.patient), relationship=[role]
        )
    return reference(related)


def _details(event: ConsentGiven) -> list[Json]:
    told = (
        ("method", "Code", event.method),
        ("authority", "String", words(event.authority)),
        ("scope", "String", words(event.scope)),
        ("witness", "String", words(event.witnessed_by)),
        ("interpreter", "Boolean", True if event.interpreter else None),
    )
    return [extension(f"consent-{name}", kind, value) for name, kind, value in told if value is not None]


def _end(draft: Draft, consent_id: UUID, told: Told) -> list[Json]:
    consent = draft.find("Consent", consent_id)
    if consent is None:
        return []
    consent["status"] = "inactive"
    provision = consent.get("provision", {})
    if "period" in provision:
        provision["period"] = ended(provision["period"], told.at)
    return [consent]


def _withdrawn(draft: Draft, event: ConsentWithdrawn, told: Told) -> list[Json]:
    found = _end(draft, event.consent_id, told)
    for consent in found:
        consent.setdefault("extension", []).append(extension("withdrawn-by", "Code", event.channel))
        received = {"url": f"{_URL}withdrawal-received-by", "valueReference": draft.staff(event.received_by)}
        consent["extension"].append(received)
    return found


def _in_error(draft: Draft, event: ConsentEnteredInError, told: Told) -> list[Json]:
    found = marked_in_error(draft, "Consent", event.consent_id)
    restored = None if event.restores is None else draft.find("Consent", event.restores)
    if restored is None:
        return found
    lasts = draft.consent_periods[restored["id"]]
    restored["status"] = "inactive" if _over(draft, lasts) else "active"
    restored["provision"]["period"] = dict(lasts)
    return [*found, restored]


MAPS: dict[type, Handler] = {
    ConsentOffered: _offered,
    ConsentGiven: _given,
    ConsentRefused: _refused,
    ConsentWithdrawn: _withdrawn,
    ConsentEnteredInError: _in_error,
}
