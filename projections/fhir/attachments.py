"""Attachments, each as a DocumentReference whose content is a file of the bundle.

Source: FHIR R4 DocumentReference, Attachment; DOMAIN 7.

- The address is that of the file in the same bundle, beside `fhir.json`. R4 knows SHA-1 only, so no digest stands here:
  the manifest holds the file's SHA-256.
- What was entered in error stays, marked so and without its texts; its file is not in the bundle.
- Whether the original was given back has no element in R4, and is an extension of ours.
"""

from __future__ import annotations

from projections.export.attached import file_name
from projections.fhir.draft import Draft, Handler, Told, marked_in_error, reference
from projections.fhir.elements import MARKS, Json, absent, extension, identifier, instant, known, local
from projections.fhir.texts import LOCAL
from records.attachments import KINDS, AttachmentAdded, AttachmentEnteredInError, AttachmentReturned

SECTION = "Attachments"
_EXTENSION = f"{LOCAL}StructureDefinition/"


def _added(draft: Draft, event: AttachmentAdded, told: Told) -> list[Json]:
    held = draft.ref("Encounter", event.session_id)
    file = known(
        contentType=event.media_type,
        url=None if told.withheld else file_name(event),
        size=event.size,
        creation=instant(told.at),
    )
    if told.withheld:
        file["extension"] = [absent("masked")]
    found = draft.add(
        "DocumentReference",
        event.attachment_id,
        SECTION,
        identifier=identifier(event.attachment_id),
        status="current",
        docStatus="final",
        type=local("attachment-kind", event.kind, KINDS.get(event.kind)),
        subject=reference(draft.patient),
        date=instant(told.exported.recorded.recorded_at),
        author=[reference(draft.patient)] if event.made_by == "client" else None,
        custodian=reference(draft.clinic),
        securityLabel=[{"coding": [each]} for each in MARKS],
        content=[{"attachment": file}],
        context=None if held is None else {"encounter": [held]},
        extension=[
            extension("attachment-made-by", "Code", event.made_by),
            *told.extension(f"{_EXTENSION}attachment-alternative-text", "alternative_text"),
            *told.extension(f"{_EXTENSION}attachment-medium", "medium"),
        ],
        **told.string("description", "title"),
    )
    return [found]


def _returned(draft: Draft, event: AttachmentReturned, told: Told) -> list[Json]:
    found = draft.find("DocumentReference", event.attachment_id)
    if found is None:
        return []
    found["extension"] = [*found["extension"], extension("attachment-returned", "DateTime", instant(told.at))]
    return [found]


def _in_error(draft: Draft, event: AttachmentEnteredInError, _: Told) -> list[Json]:
    found = marked_in_error(draft, "DocumentReference", event.attachment_id)
    for each in found:
        each["docStatus"] = "entered-in-error"
    return found


MAPS: dict[type, Handler] = {
    AttachmentAdded: _added,
    AttachmentReturned: _returned,
    AttachmentEnteredInError: _in_error,
}
