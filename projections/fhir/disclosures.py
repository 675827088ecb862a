"""What was given to somebody outside, as Communications; and legal holds, as administrative Flags.

Source: FHIR R4 Communication, Flag.

- A recipient is no one of the document: their name stands as the words of a reference.
- What a hold is for stands with the event that placed it (`projections.fhir.provenance`), since a Flag has no room.
"""

from __future__ import annotations

from projections.fhir.draft import Draft, Handler, Told, marked_in_error, reference
from projections.fhir.elements import Json, ended, extension, identifier, instant, local, period, term
from projections.fhir.texts import LOCAL, attachment
from records.disclosures import BASES, DisclosureEnteredInError, DisclosureMade
from records.legal_hold import AUTHORITIES, LegalHoldLifted, LegalHoldPlaced

SECTION = "Disclosures"
HOLDS = "Legal holds"
_URL = f"{LOCAL}StructureDefinition/"


def _made(draft: Draft, event: DisclosureMade, told: Told) -> list[Json]:
    texts = told.texts
    consent = draft.ref("Consent", event.consent_id)
    basis = local("disclosure-basis", event.basis, BASES.get(event.basis))
    basis.update(told.string("text", "purpose"))
    details: list[Json] = [extension("recipient-kind", "Code", event.recipient_kind)]
    details += told.extension(f"{_URL}recipient-address", "recipient_address")
    if event.second_person is not None:
        details.append(extension("second-person", "Reference", draft.staff(event.second_person)))
    if event.manifest_sha256 is not None:
        details.append(extension("manifest-sha256", "String", event.manifest_sha256))
    given = draft.add(
        "Communication",
        event.disclosure_id,
        SECTION,
        extension=details,
        identifier=identifier(event.disclosure_id),
        basedOn=None if consent is None else [consent],
        status="completed",
        category=[local("communication", "disclosure")],
        subject=reference(draft.patient),
        sent=instant(told.at),
        recipient=[told.string("display", "recipient")] if "recipient" in texts else None,
        sender=draft.staff(event.authorised_by),
        reasonCode=[basis],
        payload=[
            {"contentAttachment": attachment(text, told.segment(path))}
            for path, text in texts.items()
            if path == "description"
        ],
        note=[told.string("text", "reason")] if "reason" in texts else None,
    )
    return [given]


def _in_error(draft: Draft, event: DisclosureEnteredInError, told: Told) -> list[Json]:
    return marked_in_error(draft, "Communication", event.disclosure_id)


def _placed(draft: Draft, event: LegalHoldPlaced, told: Told) -> list[Json]:
    kind = local("hold-authority", event.authority, AUTHORITIES.get(event.authority)) | {"text": "Legal hold"}
    flag = draft.add(
        "Flag",
        f"hold/{event.hold_id}",
        HOLDS,
        identifier=identifier(event.hold_id),
        status="active",
        category=[term("flag-category", "admin", "Administrative")],
        code=kind,
        subject=reference(draft.patient),
        period=period(told.at),
        author=draft.staff(event.entered_by),
    )
    return [flag]


def _lifted(draft: Draft, event: LegalHoldLifted, told: Told) -> list[Json]:
    flag = draft.find("Flag", f"hold/{event.hold_id}")
    if flag is None:
        return []
    flag["status"] = "inactive"
    flag["period"] = ended(flag["period"], told.at)
    return [flag]


MAPS: dict[type, Handler] = {
    DisclosureMade: _made,
    DisclosureEnteredInError: _in_error,
    LegalHoldPlaced: _placed,
    LegalHoldLifted: _lifted,
}
