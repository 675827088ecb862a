"""`wellkept audit`: who read what, for whom, when and why, over all clients; and who changed accounts and care teams.

Source: AUDIT A1-A3, A5, A6, A11.

- It is a reading like any other: it needs permission and leaves its own entry for each client that it shows.
- The entries are told from sealed events; pages follow one another up to the moment when the report was begun.
- Text is sentences, NDJSON and CSV are one entry a line, FHIR is one Bundle of AuditEvents: all from the same entries.
- Sorted by anything but time, all entries are held in memory first, so that is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click
import msgspec

from ops.desk import perform
from ops.exits import CommandFailed, Exit
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, say
from projections.audit_entry import AuditEntry
from projections.audit_fhir import audit_event
from projections.audit_groups import AuditSentence
from projections.audit_lines import csv_header, csv_line, ndjson_line
from projections.audit_question import BY_TIME, OUTCOMES, SORTS, SOURCES, Question
from records.actors import Purpose, Relation, Role

HELD_AT_MOST = 100_000
"""Entries that are sorted in memory, about a kilobyte each."""

_PAGES: dict[str, type[msgspec.Struct]] = {"audit.page": AuditEntry, "audit.sentences": AuditSentence}


class Moment(click.ParamType[datetime]):
    """A date, or a time with its zone; a date alone begins at midnight UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the aware time."""
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail("is not a date or a time such as 2026-03-01T09:00:00+00:00", param, ctx)
        if at.tzinfo is None:
            if len(value) > len("2026-03-01"):
                self.fail("needs a zone, such as +00:00", param, ctx)
            at = at.replace(tzinfo=UTC)
        return at


@click.command("audit")
@data_option
@click.option("--client", type=click.UUID, help="Only this client.")
@click.option("--actor", help="Only this account's id, or operator:NAME.")
@click.option("--action", help="Only this action of the policy table, sign_in, or the topic of a change.")
@click.option("--purpose", type=click.Choice([p.value for p in Purpose]), help="Only this stated purpose.")
@click.option("--from", "from_at", type=Moment(), help="From this date or time on.")
@click.option("--to", "to_at", type=Moment(), help="Before this date or time.")
@click.option("--outcome", type=click.Choice(OUTCOMES), help="Only what was permitted, or what was refused.")
@click.option("--relation", type=click.Choice([r.value for r in Relation]), help="Only this relation to the client.")
@click.option("--role", type=click.Choice([r.value for r in Role]), help="Only this role at that moment.")
@click.option("--outside-team", is_flag=True, help="Only those in no relation to the client.")
@click.option(
    "--source",
    type=click.Choice(SOURCES),
    default="all",
    show_default=True,
    help="Readings and refusals, changes of accounts, care teams and clinic, or all.",
)
@click.option("--sort", type=click.Choice([s + n for n in SORTS for s in ("", "-")]), default="at", show_default=True)
@click.option("--grouped", is_flag=True, help="Tell equal readings of one day once.")
@click.option(
    "--format", "form", type=click.Choice(["text", "ndjson", "csv", "fhir"]), default="text", show_default=True
)
@json_option
@pass_settings
def command(settings: Settings, /, form: str, as_json: bool, grouped: bool, **asked: Any) -> None:
    """Report who read what, and who changed accounts and care teams. --json is --format ndjson."""
    form = "ndjson" if as_json else form
    if grouped and (form == "fhir" or asked["sort"] not in BY_TIME):
        raise click.UsageError("--grouped tells sentences by time: it takes neither --format fhir nor another --sort.")
    # Each page is a reading that leaves entries; without an end the report would follow itself for ever.
    asked["to_at"] = asked["to_at"] or max(datetime.now(UTC), asked["from_at"] or datetime.min.replace(tzinfo=UTC))
    asked["staff"], asked["for_purpose"] = asked.pop("actor"), asked.pop("purpose")
    duty = "audit.sentences" if grouped else "audit.page"
    gaps: list[int] = []
    items = _items(settings, duty, asked, gaps)
    click.echo(_HEADS[form](_PAGES[duty]), nl=False)
    for number, (item, log) in enumerate(items):
        click.echo(_LINES[form](item, log, number), nl=False)
    click.echo(_ENDS.get(form, b""), nl=False)
    if gaps:
        say(f"{len(gaps)} entries could not be opened; the first is at index {gaps[0]}. See wellkept doctor.")


def _items(settings: Settings, duty: str, asked: dict[str, Any], gaps: list[int]) -> Iterator[tuple[Any, UUID]]:
    """Yield the entries of all pages, in the order that is asked for, each with the log that it is from."""
    kind = _PAGES[duty]
    if asked["sort"] in BY_TIME:
        for page in _pages(settings, duty, asked, gaps):
            log = UUID(page["log"])
            yield from ((msgspec.convert(item, kind), log) for item in page["items"])
        return
    held: list[AuditEntry] = []
    log = UUID(int=0)
    for page in _pages(settings, duty, {**asked, "sort": "at"}, gaps):
        log = UUID(page["log"])
        held += (msgspec.convert(item, AuditEntry) for item in page["items"])
        if len(held) > HELD_AT_MOST:
            raise CommandFailed(
                Exit.FAILED, f"more than {HELD_AT_MOST} entries cannot be sorted so: choose a shorter period"
            )
    yield from ((entry, log) for entry in Question.of({"sort": asked["sort"]}).in_order(held))


def _pages(settings: Settings, duty: str, asked: dict[str, Any], gaps: list[int]) -> Iterator[dict[str, Any]]:
    after: str | None = None
    while True:
        page = perform(settings, duty, msgspec.to_builtins({**asked, "after": after}))
        gaps += page["gaps"]
        yield page
        after = page["next"]
        if after is None:
            return


def _text_line(item: Any, _: UUID, __: int) -> bytes:
    at = item.at if isinstance(item, AuditEntry) else item.last_at
    whose = f"client {item.client_id}: " if item.client_id is not None else ""
    return f"{at.astimezone(UTC).isoformat(timespec='seconds')}  {whose}{item.text}\n".encode()


def _ndjson_line(item: Any, _: UUID, __: int) -> bytes:
    return ndjson_line(item)


def _csv_line(item: Any, _: UUID, __: int) -> bytes:
    return csv_line(msgspec.to_builtins(item), type(item)).encode()


def _fhir_line(item: Any, log: UUID, number: int) -> bytes:
    return (b"," if number else b"") + b"\n" + msgspec.json.encode({"resource": audit_event(item, log)})


def _nothing(_: type[msgspec.Struct]) -> bytes:
    return b""


_HEADS: dict[str, Callable[[type[msgspec.Struct]], bytes]] = {
    "text": _nothing,
    "ndjson": _nothing,
    "csv": lambda kind: csv_header(kind).encode(),
    "fhir": lambda _: b'{"resourceType":"Bundle","type":"collection","entry":[',
}
_LINES: dict[str, Callable[[Any, UUID, int], bytes]] = {
    "text": _text_line,
    "ndjson": _ndjson_line,
    "csv": _csv_line,
    "fhir": _fhir_line,
}
_ENDS = {"fhir": b"\n]}\n"}
