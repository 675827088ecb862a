"""How everything stood when the export was made: who the client is, consents, treatments, goals, questionnaires.

Source: DOMAIN 1, 2, 3, 5; AUDIT A4 (disclosures).

- It is the current view of the service (`projections.client_view`), as of the export's one date, in plain words.
- A free text that it repeats names its place in the record, so that it can be compared like the history.
- Disclosures are all told, the newest first, those entered in error marked.

Notes, safety and history have files of their own.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from projections.client_view import ClientDocument
from projections.export.material import ExportedRecord, Shown
from projections.export.presented import Entry, Line, Section
from projections.export.presenting_history import EventLines, is_header, marks_of
from projections.export.presenting_words import FIELDS, day, field_of, in_words, moment
from projections.sections.assessments import MeasureItem, Score
from projections.sections.consents import ConsentItem
from projections.sections.corrections import State as Corrections
from projections.sections.episodes import EpisodeItem
from projections.sections.goals import GoalItem
from records.disclosures import DisclosureMade
from records.registration import Identity

RELIABLE: dict[str, str] = {
    "improved": "better by more than chance would explain",
    "deteriorated": "worse by more than chance would explain",
    "none": "no more than chance would explain",
}
"""What a change is worth → in words (reliable change)."""


class Summary:
    """Tells the sections of one record's current view."""

    def __init__(self, record: ExportedRecord, view: ClientDocument, lines: EventLines) -> None:
        self._record = record
        self._event_lines = lines
        self._view = view
        self._zone = ZoneInfo(record.time_zone)
        self._texts = _texts_of(record)

    def identity(self) -> Section:
        """Return who the client is, with the newest value of each detail."""
        item = self._view.identity
        if item is None:
            return Section(title="Who you are", intro=("The registration is not shown.",))
        known = {name: getattr(item, name) for name in Identity.__struct_fields__}
        lines = [self._line(name, value) for name, value in known.items() if value not in (None, "", False)]
        lines.append(self._line("registered_at", item.registered_at))
        if item.deceased:
            lines.append(self._line("died_on", item.died_on or "on a day that is not known"))
        return Section(title="Who you are", entries=(Entry(title="Details as they stand now", lines=tuple(lines)),))

    def consents(self) -> Section:
        """Return consents in force, and how the other kinds stand."""
        items = self._view.consents
        return Section(
            title="Consents",
            intro=() if items else ("No consents are recorded.",),
            entries=tuple(map(self._consent, items)),
        )

    def treatments(self) -> Section:
        """Return courses of treatment, and the sessions that come next."""
        entries = [self._episode(each) for each in self._view.episodes]
        coming = [each for each in (self._view.next_session, *self._view.bookings) if each is not None]
        if coming:
            lines = tuple(Line(label="Session", text=self._moment(each.start)) for each in coming)
            entries.append(Entry(title="Sessions that were booked", lines=lines))
        return Section(
            title="Treatments",
            intro=() if entries else ("No treatments are recorded.",),
            entries=tuple(entries),
        )

    def goals(self) -> Section:
        """Return goals with how far they came."""
        shown = self._view.goals
        intro = [] if shown.items else ["No goals are recorded."]
        if shown.in_error:
            intro.append(f"{shown.in_error} marked as entered in error: see the history.")
        entries = tuple(self._goal(number, each) for number, each in enumerate(shown.items, 1))
        return Section(title="Goals", intro=tuple(intro), entries=entries)

    def questionnaires(self) -> Section:
        """Return scores with their change."""
        items = self._view.measures
        return Section(
            title="Questionnaires",
            intro=("A score is a reason to talk, and no verdict.",) if items else ("No questionnaires are recorded.",),
            entries=tuple(map(self._measure, items)),
        )

    def disclosures(self, corrections: Corrections) -> Section:
        """Return to whom something of the record was given, the newest first."""
        made = [each for each in reversed(self._record.events) if isinstance(each.recorded.event, DisclosureMade)]
        entries = tuple(
            Entry(
                title=f"Given on {self._moment(each.recorded.event.occurred_at)} (entry {each.recorded.version})",
                version=each.recorded.version,
                marks=marks_of(each, corrections),
                lines=self._event_lines.content_of(each),
            )
            for each in made
        )
        return Section(title="Disclosures", intro=() if made else ("No disclosures are recorded.",), entries=entries)

    def _moment(self, at: datetime) -> str:
        return moment(at, self._zone)

    def _line(self, name: str, value: object, label: str = "") -> Line:
        """Return a line of ours from a value of the view; codes, days and moments are told in words."""
        if isinstance(value, datetime):
            text = self._moment(value)
        else:
            text = in_words(self._record, field_of("", (name,)), msgspec.to_builtins(value))
        return Line(label=label or FIELDS.get(name, name.replace("_", " ").capitalize()), text=text)

    def _lines(
        self, item: ConsentItem | EpisodeItem | GoalItem, labels: dict[str, str]
    ) -> tuple[int | None, list[Line]]:
        """Return lines of an item, and the version of the one event whose free texts they name by their place."""
        version, lines = None, []
        for name, label in labels.items():
            value = getattr(item, name)
            if value in (None, "", ()):
                continue
            said = self._texts.get((item.id, name, value)) if isinstance(value, str) else None
            if said is not None and version in (None, said):
                version = said
                lines.append(Line(label=label, exact=value, place=name))
            else:
                lines.append(self._line(name, value, label))
        return version, lines

    def _consent(self, item: ConsentItem) -> Entry:
        labels = {
            "since": "Since",
            "given_by": "Given by",
            "method": "How",
            "expires_at": "Until",
            "scope": "Covers",
            "recipient": "Who may be told",
            "restrictions": "What is left out",
        }
        version, lines = self._lines(item, labels)
        return Entry(
            title=f"{_said(item.kind)} (entry {item.version})",
            version=version,
            marks=(item.status.replace("-", " "),),
            lines=tuple(lines),
        )

    def _episode(self, item: EpisodeItem) -> Entry:
        labels = {
            "problem": "What brought you",
            "modality": "Kind of therapy",
            "modality_label": "Also called",
            "format": "Form",
            "setting": "Where",
            "protocol": "Plan",
            "phase": "Phase of the next session",
            "planned_sessions": "Sessions planned",
            "sessions_held": "Sessions held",
            "opened_at": "Began",
            "closed_at": "Ended",
            "close_note": "On the ending",
        }
        version, lines = self._lines(item, labels)
        if item.close_reason is not None:
            text = in_words(self._record, field_of("episode.closed", ("reason",)), item.close_reason)
            lines.append(Line(label="How it ended", text=text))
        return Entry(
            title=f"Treatment that began on {day(item.opened_at.astimezone(self._zone).date())}",
            version=version,
            marks=("open",) if item.closed_at is None else ("ended",),
            lines=tuple(lines),
        )

    def _goal(self, number: int, item: GoalItem) -> Entry:
        labels = {
            "text": "In your words",
            "reason": "Why it was paused or ended",
            "set_at": "Set on",
            "agreed_by": "Agreed by",
            "baseline": "At the start",
            "first_rating": "First rating",
            "last_rating": "Last rating",
            "rated_at": "Last rated on",
            "better_by": "Better by",
        }
        version, lines = self._lines(item, labels)
        if item.reliable is not None:
            lines.append(Line(label="What the change is worth", text=RELIABLE[item.reliable]))
        return Entry(
            title=f"Goal {number} (entry {item.version})",
            version=version,
            marks=(item.status.replace("-", " "),),
            lines=tuple(lines),
        )

    def _measure(self, item: MeasureItem) -> Entry:
        lines = [Line(label="Filled in", text=f"{item.count} time{'' if item.count == 1 else 's'}")]
        if item.first is not None and item.first != item.last:
            lines.append(Line(label="First score", text=self._score(item.first)))
        lines.append(Line(label="Latest score", text=self._score(item.latest)))
        if item.better_by is not None:
            word = "Better by" if item.better_by >= 0 else "Worse by"
            lines.append(Line(label=word, text=f"{abs(item.better_by):g}"))
        if item.reliable is not None:
            lines.append(Line(label="What the change is worth", text=RELIABLE[item.reliable]))
        if item.remark is not None:
            lines.append(Line(label="To bear in mind", text=item.remark))
        return Entry(title=item.measure, lines=tuple(lines))

    def _score(self, score: Score) -> str:
        total = "no total" if score.score is None else f"{score.score:g}"
        band = "" if score.band is None else f", {score.band}"
        return f"{total}{band} – {self._moment(score.taken_at)} (entry {score.version})"


def _texts_of(record: ExportedRecord) -> dict[tuple[UUID, str, str], int]:
    """Return resource, path and free text → the newest version that says so; what is withheld is not in it."""
    found: dict[tuple[UUID, str, str], int] = {}
    for event in record.events:
        subject = event.recorded.event.subject_id
        for part in event.segments:
            if subject is not None and isinstance(part, Shown) and not is_header(part.path):
                found[subject, part.path, part.content.decode()] = event.recorded.version
    return found


def _said(code: str) -> str:
    return code.replace("-", " ").capitalize()
