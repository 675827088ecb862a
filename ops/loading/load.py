"""Loading a clinic's history from a file of the clinic-year format, through the same decisions as everything else.

- The clinic must have no clients yet. Nothing of a file is loaded that cannot be read to its end.
- Every line is settled: accepted, refused by a rule, or skipped by its kind. The three sum up to the lines of the file.
- Refusals are listed by line, in order, with the rule and what it named; never with a value of the file.
- Lines share commits of some hundred events. When it breaks off, whole commits stand, and the load is begun again in a
  new clinic.

The mapping is documented in `docs/how-to/load-a-clinic-year.md`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from ops.loading.lines import LineLoader, Verdict
from ops.loading.year_format import outline_of, read_lines
from ops.wiring import Clinic, now, operator
from records.migration import Migration
from records.request import Request

PROGRESS_LINES = 500

Progress = Callable[[int, int], None]
"""(lines done, lines in all) → shown to whoever waits."""


class Refusal(msgspec.Struct, frozen=True):
    """One line that a rule refused.

    Attributes:
        line: its number in the file, from 1.
        rule: the rule's code.
        what: the consent kind, item or field that the rule named; empty where it names none.
        kept: `breach` where what happened is recorded all the same, else None.
    """

    line: int
    rule: str
    what: str = ""
    kept: str | None = None


class LoadReport(msgspec.Struct, frozen=True):
    """What became of a file.

    Attributes:
        lines: how many it has; the sum of accepted, refused and skipped.
        accepted: how many lines stand in the record.
        refused: rule → how many lines it refused.
        skipped: kind → how many lines the record does not hold.
        refusals: every refused line, in order.
        events: how many events were written.
        seconds: how long it took.
    """

    lines: int
    accepted: int
    refused: dict[str, int]
    skipped: dict[str, int]
    refusals: tuple[Refusal, ...]
    events: int
    seconds: float


def load_file(clinic: Clinic, path: Path, progress: Progress | None = None) -> LoadReport:
    """Load a file into a clinic that has no clients yet.

    Args:
        clinic: an opened clinic.
        path: the file, `.gz` or plain.
        progress: is told every few hundred lines.

    Returns:
        What became of each line.

    Raises:
        RuleBroken: `clinic-not-empty`.
        UnreadableLine: the file is damaged or of another format; nothing was loaded.
        OSError: the file cannot be opened.
        NotStored, OutcomeUnknown: the log could not be written; whole commits stand.
    """
    begun = time.monotonic()
    migration = Migration(clinic.service, clinic.store, clinic.keyring, now)
    outline = outline_of(path)
    loader = LineLoader(migration, clinic.service.streams, outline, operator())
    verdicts: list[Verdict] = []
    for number, line in read_lines(path):
        if number == 1:
            loader.prepare(loader.local(line.at))
        verdicts += loader.take(number, line)
        if progress is not None and number % PROGRESS_LINES == 0:
            progress(number, outline.lines)
    verdicts += loader.take_waiting()
    migration.commit()
    _keep_drafts(clinic, loader)
    if progress is not None:
        progress(outline.lines, outline.lines)
    return _report(outline.lines, verdicts, migration.events, time.monotonic() - begun)


def _keep_drafts(clinic: Clinic, loader: LineLoader) -> None:
    """Save what was drafted and never signed, as a draft of its author."""
    for name, (author, client_id, draft) in loader.drafts.items():
        clinic.drafts.save(client_id, loader.id_of(name), draft, Request(author, "load:drafts"))


def _report(lines: int, verdicts: list[Verdict], events: int, seconds: float) -> LoadReport:
    refusals = sorted(
        (Refusal(each.line, each.rule, each.what, each.kept) for each in verdicts if each.rule is not None),
        key=lambda refusal: refusal.line,
    )
    refused = Counter(refusal.rule for refusal in refusals)
    skipped = Counter(each.skipped for each in verdicts if each.skipped is not None)
    return LoadReport(
        lines=lines,
        accepted=len(verdicts) - len(refusals) - skipped.total(),
        refused=dict(sorted(refused.items())),
        skipped=dict(sorted(skipped.items())),
        refusals=tuple(refusals),
        events=events,
        seconds=seconds,
    )
