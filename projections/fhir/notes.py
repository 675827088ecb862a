"""Signed notes, their addenda and amendments, each as a DocumentReference of its own.

Source: FHIR R4 DocumentReference; LOINC 34904-3 (mental health progress note).

- An amendment replaces the text before it, which is `superseded`; an addendum is appended to the note as it was signed.
- One section of a note is one `content`, whose attachment holds exactly its bytes.
- What was entered in error stays, marked so and without its texts: each has the reason `masked` in its place.
"""

from __future__ import annotations

from uuid import UUID

from projections.fhir.draft import Draft, Handler, Told, reference
from projections.fhir.elements import LOINC, MARKS, Json, absent, extension, identifier, instant, known, local, period
from projections.fhir.texts import attachment
from records.notes import NoteAddendumSigned, NoteAmended, NoteEnteredInError, NoteSigned

SECTION = "Notes"
TYPES: dict[str, Json] = {
    "progress": {"coding": [{"system": LOINC, "code": "34904-3", "display": "Mental health Progress note"}]}
}


def _signed(draft: Draft, event: NoteSigned, told: Told) -> list[Json]:
    held = draft.ref("Encounter", event.session_id)
    note = _add(draft, told, f"{event.note_id}/1", event.entered_by, "sections")
    note["identifier"] = identifier(event.note_id)
    note["type"] = TYPES.get(event.kind) or local("note-kind", event.kind)
    note["extension"] = [extension("note-format", "Code", event.format)]
    if event.late_entry:
        note["extension"].append(extension("late-entry", "Boolean", True))
    context = known(encounter=None if held is None else [held], period=period(event.about))
    if context:
        note["context"] = context
    return [note]


def _add(draft: Draft, told: Told, key: str, author: str, field: str) -> Json:
    signer = draft.staff(author)
    texts = {path: text for path, text in told.texts.items() if path.partition("/")[0] == field}
    content = [
        {"attachment": known(**attachment(text, told.segment(path)), title=path.partition("/")[2] or None)}
        for path, text in texts.items()
    ]
    empty = {"attachment": {"extension": [absent("masked" if told.withheld else "unknown")]}}
    return draft.add(
        "DocumentReference",
        key,
        SECTION,
        status="current",
        docStatus="final",
        subject=reference(draft.patient),
        date=instant(told.at),
        author=[signer],
        authenticator=signer,
        custodian=reference(draft.clinic),
        securityLabel=[{"coding": [each]} for each in MARKS],
        content=content or [empty],
    )


def _texts_of(draft: Draft, note_id: UUID) -> list[Json]:
    """Return the texts of a note in the order in which they were signed, its addenda not among them."""
    found = []
    number = 1
    while (text := draft.find("DocumentReference", f"{note_id}/{number}")) is not None:
        found.append(text)
        number += 1
    return found


def _amended(draft: Draft, event: NoteAmended, told: Told) -> list[Json]:
    before = draft.find("DocumentReference", f"{event.note_id}/{event.text_version - 1}")
    note = _add(draft, told, f"{event.note_id}/{event.text_version}", event.entered_by, "sections")
    note["docStatus"] = "amended"
    note["identifier"] = identifier(event.note_id)
    note["extension"] = [extension("note-format", "Code", event.format)]
    if before is None:
        return [note]
    note.update({name: before[name] for name in ("type", "context") if name in before})
    note["relatesTo"] = [{"code": "replaces", "target": reference(before)}]
    before["status"] = "superseded"
    return [note, before]


def _addended(draft: Draft, event: NoteAddendumSigned, told: Told) -> list[Json]:
    texts = _texts_of(draft, event.note_id)
    addendum = _add(draft, told, f"{event.note_id}/addendum/{event.addendum_id}", event.entered_by, "text")
    addendum["identifier"] = identifier(event.addendum_id)
    addendum["description"] = "Addendum"
    if texts:
        addendum["relatesTo"] = [{"code": "appends", "target": reference(texts[0])}]
        addendum.update({name: texts[0][name] for name in ("type", "context") if name in texts[0]})
    draft.addenda.setdefault(event.note_id, []).append(addendum)
    return [addendum]


def _in_error(draft: Draft, event: NoteEnteredInError, told: Told) -> list[Json]:
    found = [*_texts_of(draft, event.note_id), *draft.addenda.get(event.note_id, [])]
    for text in found:
        text["status"] = text["docStatus"] = "entered-in-error"
    return found


MAPS: dict[type, Handler] = {
    NoteSigned: _signed,
    NoteAmended: _amended,
    NoteAddendumSigned: _addended,
    NoteEnteredInError: _in_error,
}
