"""An export as people read it: nothing of the record is missing, nothing withheld is in it, safety is first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from projections.export.material import ExportedEvent, ExportedRecord, Shown, Withheld
from projections.export.presented import Entry, Line, Presented, Section
from projections.export.presenting import for_paper, present
from projections.export.presenting_words import TOPICS, UNNAMED, is_technical
from records.catalogue import CATALOGUE
from records.event import StreamKind
from records.notes import NoteEnteredInError
from records.risk import RiskAssessmentEnteredInError
from records.store.mapper import Unreadable
from tests.projections.exported import NOTE, ExportedLog, every_topic, reading, stamp, story, story_log


def section(document: Presented, title: str) -> Section:
    (found,) = [each for each in document.sections if each.title == title]
    return found


def all_lines(*sections: Section) -> Iterator[tuple[Entry, Line]]:
    return ((entry, line) for each in sections for entry in each.entries for line in entry.lines)


def said(found: Section) -> str:
    """Everything that a section tells, as one text."""
    parts = [*found.intro]
    for entry in found.entries:
        parts += [entry.title, *entry.marks]
        parts += [f"{line.label}: {line.exact if line.text is None else line.text}" for line in entry.lines]
    return "\n".join(parts)


def scalars(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Each scalar of a header by its full pointer, the way RFC 6901 writes it."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from scalars(inner, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value):
            yield from scalars(inner, f"{pointer}/{place}")
    else:
        yield pointer, value


def header(event: ExportedEvent) -> Any:
    first = event.segments[0]
    assert isinstance(first, Shown)
    return json.loads(first.content)


def at_pointer(value: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def assert_whole(record: ExportedRecord) -> None:
    """Each scalar of each header, and each free text, stands in the history exactly once."""
    history = section(present(record), "History")
    assert [entry.version for entry in history.entries] == [each.recorded.version for each in record.events]
    for event, entry in zip(record.events, history.entries, strict=True):
        covered: Counter[str] = Counter()
        for line in entry.lines:
            if line.place is None:
                assert line.exact is None
            elif line.place.startswith("/"):
                value = at_pointer(header(event), line.place)
                plain = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
                assert line.exact == (value if isinstance(value, str) else plain)
                covered.update(line.place + below for below, _ in scalars(value))
            else:
                covered[line.place] += 1
                assert (line.place, line.exact) in [
                    (each.path, each.content.decode()) for each in event.segments[1:] if isinstance(each, Shown)
                ]
        wanted = [pointer for pointer, _ in scalars(header(event))]
        wanted += [each.path for each in event.segments[1:] if isinstance(each, Shown)]
        assert covered == Counter(wanted)


def test_the_history_of_a_story_is_whole() -> None:
    assert_whole(story_log().record())


def test_the_history_of_every_topic_with_every_field_is_whole() -> None:
    assert_whole(every_topic().record())


def test_every_topic_of_a_record_has_words() -> None:
    assert set(TOPICS) == {topic for topic, cls in CATALOGUE.items() if cls.stream_kind is StreamKind.CLIENT}


def test_fields_that_nobody_knows_yet_are_shown_by_their_own_names() -> None:
    log = ExportedLog()
    made = log.add(story()[0])
    strange = {"topic": "moon.seen", "phase_of": {"a/b~c": [{"x": 1.5}, {"x": None}]}, "none": {}, "empty": ""}
    event = msgspec.structs.replace(
        made, segments=(Shown(path="v9", salt=bytes(32), content=json.dumps(strange).encode()),)
    )
    record = log.record(events=(event,))

    assert_whole(record)
    history = section(present(record), "History")
    assert history.entries[0].title == "1. Moon: seen"
    assert "/phase_of/a~1b~0c/0/x" in {line.place for line in history.entries[0].lines}


def test_what_endangers_the_client_comes_first() -> None:
    document = present(story_log().record())

    assert [each.title for each in document.sections] == [
        *("Safety", "Who you are", "Consents", "Treatments", "Goals", "Questionnaires", "Notes", "Files"),
        *("Disclosures", "History", "Who looked"),
    ]
    told = said(document.sections[0])
    assert "call 999" in told
    assert "Item 9 of PHQ-9, filled in on 4 March 2026, 10:00 (Europe/London), was answered with 1." in told
    assert "No clinician's answer to it is recorded." in told
    assert "Thoughts of not waking up, no plan." in told
    assert "Asked about: Thoughts of suicide: Present" in told


def test_a_risk_assessment_that_was_an_error_is_not_told_as_one() -> None:
    log = story_log()
    log.add(RiskAssessmentEnteredInError(risk_id=UUID(int=7, version=4), reason="Another client.", **stamp(20)))
    document = present(log.record())

    assert "Thoughts of not waking up" not in said(section(document, "Safety"))
    assert "No risk assessment is recorded." in said(section(document, "Safety"))
    assert "entered in error (see entry 12)" in said(section(document, "History"))


def test_the_newest_text_of_a_note_stands_before_the_earlier_one() -> None:
    notes = section(present(story_log().record()), "Notes")

    assert [(entry.version, entry.marks) for entry in notes.entries] == [
        (9, ("amended",)),
        (8, ("addition",)),
        (7, ("earlier text",)),
    ]
    told = said(notes)
    assert told.index("Sleep diary for two weeks.") < told.index("Sleep diary until next week.")
    assert ("sections/plan", "Sleep diary for two weeks.") in {(line.place, line.exact) for _, line in all_lines(notes)}


def test_a_note_that_was_an_error_is_counted_and_told_by_the_history_only() -> None:
    log = story_log()
    log.add(NoteEnteredInError(note_id=NOTE, reason="Another client.", **stamp(20)))
    notes = section(present(log.record()), "Notes")

    assert notes.entries == ()
    assert notes.intro == ("No notes.", "1 marked as entered in error: see the history.")


def test_goals_questionnaires_consents_and_treatments_are_told_in_words() -> None:
    document = present(story_log().record())

    assert "In your words: Sleep through three nights a week." in said(section(document, "Goals"))
    assert "Last rating: 4" in said(section(document, "Goals"))
    assert "Latest score: 13, moderate" in said(section(document, "Questionnaires"))
    assert "Treatment (entry 2)\nin force" in said(section(document, "Consents"))
    assert "What brought you: Cannot sleep since the move." in said(section(document, "Treatments"))
    assert "Form: Individual" in said(section(document, "Treatments"))
    assert "On the basis of: Your own request" in said(section(document, "Disclosures"))
    assert "Birth date: 2 April 1981" in said(section(document, "Who you are"))


def test_a_free_text_that_a_summary_repeats_names_its_place() -> None:
    document = present(story_log().record())
    found = {
        (entry.version, line.place): line.exact
        for entry, line in all_lines(*(section(document, title) for title in ("Treatments", "Goals")))
        if line.place is not None
    }

    assert found == {(3, "problem"): "Cannot sleep since the move.", (5, "text"): "Sleep through three nights a week."}


@pytest.mark.parametrize("only", [None, ["formulation", "details/ideation", "actions"]])
def test_what_is_withheld_is_told_at_the_top_and_stands_nowhere(only: list[str] | None) -> None:
    log = ExportedLog()
    for event in story():
        risky = type(event).__name__ == "RiskAssessed"
        bare = msgspec.structs.replace(event, formulation="", details={}, actions=None) if risky else event
        made = log.add(event, "entered-in-error" if risky else None, only)
        # The event that an export holds has lost what is withheld.
        recorded = msgspec.structs.replace(made.recorded, event=bare)
        log.events[-1] = msgspec.structs.replace(made, recorded=recorded)
    record = log.record()
    document = present(record)
    count = sum(isinstance(part, Withheld) for each in record.events for part in each.segments)

    told = "\n".join(map(said, document.sections))
    assert (
        f"{count} parts: Marked by the clinic as written into this record by mistake"
        in dict(document.facts)["Left out"]
    )
    assert "waking up" not in told
    assert "calls her sister" not in told
    assert "partly left out" in said(section(document, "History"))


def test_an_event_that_cannot_be_opened_keeps_its_place() -> None:
    log = story_log()
    made = log.add(Unreadable(**stamp(30)), "unreadable")
    document = present(log.record())

    assert made.recorded.version == 12
    assert "12. An entry that is not shown\ncould not be opened" in said(section(document, "History"))
    assert "1 entries of this record cannot be opened" in said(section(document, "Safety"))


def test_staff_are_named_only_where_the_record_names_them() -> None:
    named = present(story_log().record())
    unnamed = present(story_log().record(staff={}))

    assert "Written by: Jo Lind" in said(section(named, "History"))
    assert f"Written by: {UNNAMED}" in said(section(unnamed, "History"))
    assert "Jo Lind" not in "\n".join(map(said, unnamed.sections))


def test_who_looked_is_told_by_day_and_equal_readings_are_one_sentence() -> None:
    looked = section(present(story_log().record()), "Who looked")

    assert looked.intro[0].startswith("3 readings, changes and refusals were logged.")
    told = said(looked)
    assert "Jo Lind, your therapist, read the summary of your record 2 times on 2 March 2026" in told
    assert "Your therapist read the summary of your record on 2 March 2026 at" in told


def test_readings_that_cannot_be_opened_are_counted() -> None:
    log = story_log()
    log.add_reading(Unreadable(**stamp(15)))

    assert "1 entry of this day could not be opened" in said(section(present(log.record()), "Who looked"))


def test_a_record_without_a_registration_that_is_shown_has_no_name() -> None:
    document = present(ExportedLog().record())

    assert document.title == "Health record"
    assert dict(document.facts)["Holds"] == "0 entries of the record, and 0 about who looked at it"
    assert section(document, "Who looked").intro[0] == "Nobody has looked at this record."


def test_the_facts_say_that_the_fingerprint_must_be_compared() -> None:
    log = story_log()
    facts = dict(present(log.record()).facts)

    assert log.fingerprint in facts["Fingerprint, as this copy states it"]
    assert "it proves nothing by itself" in facts["Fingerprint, as this copy states it"]
    assert facts["As it stood on"].endswith("(Europe/London)")


def test_ids_and_digests_are_technical_and_clinical_text_never_is() -> None:
    for each in every_topic().record().events:
        assert not any(is_technical(part.path) for part in each.segments if isinstance(part, Shown))
    assert is_technical("/request_id")
    assert is_technical("/form/text_sha256")
    assert not is_technical("/level")


def test_the_same_record_gives_the_same_document() -> None:
    log = story_log()

    assert msgspec.json.encode(present(log.record())) == msgspec.json.encode(present(log.record()))


def test_a_reading_names_no_address() -> None:
    log = story_log()
    log.add_reading(reading(address="192.0.2.7"))

    assert "192.0.2.7" not in said(section(present(log.record()), "Who looked"))


def test_the_paper_leaves_out_numbers_and_codes_and_nothing_else() -> None:
    presented = present(story_log().record())
    paper = for_paper(presented)
    for section, shorter in zip(presented.sections, paper.sections, strict=True):
        for entry, kept in zip(section.entries, shorter.entries, strict=True):
            assert kept.title == entry.title
            left = [line for line in entry.lines if line not in kept.lines]
            assert all(is_technical(line.place or "") for line in left)
            assert not any(is_technical(line.place or "") for line in kept.lines)
    places = [line.place for section in presented.sections for entry in section.entries for line in entry.lines]
    assert "/request_id" in places


def test_who_wrote_is_not_named_as_a_reader_where_the_clinic_names_no_readers() -> None:
    log = story_log()
    named, unnamed = (present(log.record(names_readers=names)) for names in (True, False))
    assert "Jo Lind" in said(section(named, "Who looked"))
    assert "Jo Lind" not in said(section(unnamed, "Who looked"))
    assert "Jo Lind" in said(section(unnamed, "History"))
