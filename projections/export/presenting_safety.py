"""What endangers the client, first of all that an export says.

Source: DOMAIN 2, rules 1 to 5; Simon 2013 (an answer to a risk item is a reason to ask, never a score).

- First answers that nobody followed up, then what a clinician would be alarmed of, then risk assessments that stand,
  the newest first, each in the clinician's words.
- Nothing here reassures: where there is nothing, it says what was looked for.
- It is as of the export's one date: what was due then is told, and nothing that became due since.
- A page that says this is read in distress: it names the emergency number of the clinic's jurisdiction.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from projections.client_view import ClientDocument
from projections.export.material import ExportedEvent, ExportedRecord
from projections.export.presented import Entry, Line, Section
from projections.export.presenting_history import EventLines
from projections.export.presenting_words import moment
from projections.sections.risk import PromptItem
from records.risk import RiskAssessed, RiskAssessmentEnteredInError

EMERGENCY: dict[str, str] = {"uk": "999", "us": "911, or 988 for a crisis line", "eu": "112"}
"""Jurisdiction → whom to call when life is in danger."""


def safety(record: ExportedRecord, view: ClientDocument, lines: EventLines) -> Section:
    """Return open answers to risk items, alerts, and the risk assessments that stand."""
    judged = _standing(record)
    call = EMERGENCY.get(record.jurisdiction, "the emergency number")
    intro = [
        f"If you or somebody else is in danger now, call {call}. This is a copy: nobody at the clinic sees you read it."
    ]
    if not view.risk_prompts:
        intro.append("No answer about risk was waiting for a follow-up when this copy was made.")
    if not judged:
        intro.append("No risk assessment is recorded.")
    entries = [_prompt(record, each) for each in view.risk_prompts]
    if view.alerts:
        entries.append(Entry(title="To look at", lines=tuple(Line(text=each.text) for each in view.alerts)))
    entries += [
        _assessment(lines, each, "newest" if place == 0 else "earlier") for place, each in enumerate(reversed(judged))
    ]
    return Section(title="Safety", intro=tuple(intro), entries=tuple(entries))


def _standing(record: ExportedRecord) -> list[ExportedEvent]:
    """Return the risk assessments that were not entered in error, in the order in which they took place."""
    events = [each.recorded.event for each in record.events]
    in_error = {event.risk_id for event in events if isinstance(event, RiskAssessmentEnteredInError)}
    judged = [
        each
        for each in record.events
        if isinstance(each.recorded.event, RiskAssessed) and each.recorded.event.risk_id not in in_error
    ]
    return sorted(judged, key=lambda each: each.recorded.event.occurred_at)


def _prompt(record: ExportedRecord, prompt: PromptItem) -> Entry:
    at = moment(prompt.taken_at, ZoneInfo(record.time_zone))
    lines = [
        Line(
            text=f"Item {prompt.item} of {prompt.measure}, filled in on {at}, was answered with {prompt.value}. "
            "No clinician's answer to it is recorded."
        )
    ]
    if prompt.reopened:
        lines.append(Line(text="The risk assessment that had answered it was entered in error."))
    return Entry(
        title=f"An answer that waits for a follow-up (entry {prompt.version})", marks=("open",), lines=tuple(lines)
    )


def _assessment(lines: EventLines, event: ExportedEvent, mark: str) -> Entry:
    version = event.recorded.version
    return Entry(
        title=f"Risk assessed (entry {version})",
        version=version,
        marks=(mark,),
        lines=lines.without_numbers_of(event),
    )
