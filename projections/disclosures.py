"""The account of disclosures: every disclosure of a client's record, in pages, and as a letter to the client.

Source: US 45 CFR 164.528 (six years back; date, recipient and address, description, purpose); AUDIT (client requests).

- The list holds every disclosure ever recorded, the newest first, those entered in error too, marked.
- The letter holds the disclosures of the clinic's period (`accounting_years`) without those entered in error, which it
  counts. It says so where entries of the record could not be opened: what they hold is not known.
- What was made without a basis, or rests on a consent, is in it like everything else: more than the law asks for.
- The letter is plain text and HTML with every word escaped.

It sends nothing.
"""

from __future__ import annotations

from datetime import datetime
from html import escape
from uuid import UUID

import msgspec

from projections.client_state import SNAPSHOT
from projections.pages import limit_of
from projections.sections.disclosures import DisclosureItem, in_error, made, shown
from projections.sections.viewing import Viewing
from records.catalogue import CATALOGUE
from records.disclosures import BASES, DisclosureEnteredInError, DisclosureMade
from records.errors import UnknownClient
from records.event import Event
from records.reader import Asked, Built, Reader
from records.registration import Identity
from records.store.mapper import Unreadable


class DisclosurePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of disclosures, the newest first.

    Parameters of the view: `limit` (1 to 50), `after` (the version to go on from, as `next` gave it).

    Attributes:
        total: how many were ever recorded.
        gaps: versions of entries of the record that could not be opened; some may be disclosures.
        next: the version to go on from; None where this is the last page.
    """

    client_id: UUID
    total: int
    items: tuple[DisclosureItem, ...] = ()
    gaps: tuple[int, ...] = ()
    next: int | None = None


class AccountingLetter(msgspec.Struct, frozen=True, kw_only=True):
    """The accounting of disclosures, for the client.

    Attributes:
        from_at, to_at: the period.
        count: how many disclosures it holds.
        left_out: how many of the period were entered in error.
        gaps: how many entries of the record could not be opened.
        text, html: the letter.
    """

    client_id: UUID
    from_at: datetime
    to_at: datetime
    count: int
    left_out: int
    gaps: int
    text: str
    html: str


SHOWS: tuple[type[Event], ...] = (DisclosureMade, DisclosureEnteredInError)
IGNORED: tuple[type[Event], ...] = tuple(cls for cls in CATALOGUE.values() if cls not in SHOWS)
"""An account of disclosures holds nothing else of a record."""


class DisclosuresView:
    """The list."""

    action = "client.disclosures"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build one page. Cost: opens the whole record.

        Raises:
            UnknownClient: there is no such client.
            InvalidContent: `/limit`.
        """
        client_id, limit = _client_of(asked), limit_of(asked.parameters)
        places, gaps = _every(reader, client_id)
        after: int | None = asked.parameters.get("after")
        left = [(version, item) for version, item in reversed(places) if after is None or version < after]
        viewing = _viewing(reader, asked)
        page = DisclosurePage(
            client_id=client_id,
            total=len(places),
            items=tuple(shown(item, viewing) for _, item in left[:limit]),
            gaps=gaps,
            next=left[limit - 1][0] if len(left) > limit else None,
        )
        return Built(page)


class AccountingView:
    """The letter."""

    action = "client.accounting"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Write the letter. Cost: opens the whole record.

        Raises:
            UnknownClient: there is no such client.
        """
        client_id = _client_of(asked)
        clinic = reader.directory.clinic
        from_at, to_at = _years_before(asked.at, clinic.policy.accounting_years), asked.at
        places, gaps = _every(reader, client_id)
        of_period = [item for _, item in places if from_at <= item.made_at <= to_at]
        viewing = _viewing(reader, asked)
        items = [shown(item, viewing) for item in of_period if not item.entered_in_error]
        items.sort(key=lambda item: item.made_at)
        found = SNAPSHOT.read_through(reader, client_id)
        lines = _letter(
            clinic.name, found.state.identity.item, items, viewing.day(from_at), viewing.day(to_at), viewing
        )
        left_out = len(of_period) - len(items)
        closing = _closing(left_out, len(gaps))
        letter = AccountingLetter(
            client_id=client_id,
            from_at=from_at,
            to_at=to_at,
            count=len(items),
            left_out=left_out,
            gaps=len(gaps),
            text=_as_text(lines, closing),
            html=_as_html(lines, closing),
        )
        return Built(letter, found.puts)


# --- the letter

Block = tuple[str, list[tuple[str, str]]]
"""A heading, and its lines: a label, which may be empty, and what it says."""


def _letter(
    clinic: str, identity: Identity | None, items: list[DisclosureItem], begin: str, end: str, viewing: Viewing
) -> list[Block]:
    name = "" if identity is None else f"{identity.given} {identity.family}".strip()
    address = None if identity is None else identity.address
    head = [("", clinic), ("For", name or "the client of this record")]
    if address:
        head.append(("", address))
    head.append(("Period", f"{begin} to {end}"))
    blocks: list[Block] = [("Accounting of disclosures", head)]
    if not items:
        blocks.append(("", [("", "No disclosure of your record was recorded in this period.")]))
    for number, item in enumerate(items, 1):
        lines = [
            ("To", item.recipient or ""),
            ("Address", item.recipient_address or "not known"),
            ("What", item.description or ""),
            ("Purpose", item.purpose or ""),
            ("Basis", BASES.get(item.basis, item.basis)),
            ("Authorised by", item.authorised_by_name),
        ]
        if item.reason:
            lines.append(("Reason", item.reason))
        blocks.append((f"{number}. {viewing.day(item.made_at)}", lines))
    return blocks


def _closing(left_out: int, gaps: int) -> list[str]:
    lines = []
    if left_out:
        entries = "entry was" if left_out == 1 else "entries were"
        lines.append(f"{left_out} {entries} recorded by mistake and left out.")
    if gaps:
        entries = "entry" if gaps == 1 else "entries"
        lines.append(f"{gaps} {entries} of your record could not be opened, so this account may lack something.")
    return lines


def _as_text(blocks: list[Block], closing: list[str]) -> str:
    parts = []
    for heading, lines in blocks:
        told = [heading] if heading else []
        told += [f"{label}: {said}" if label else said for label, said in lines]
        parts.append("\n".join(told))
    return "\n\n".join([*parts, *closing]) + "\n"


def _as_html(blocks: list[Block], closing: list[str]) -> str:
    parts = []
    for number, (heading, lines) in enumerate(blocks):
        level = "h1" if number == 0 else "h2"
        told = f"<{level}>{escape(heading)}</{level}>\n" if heading else ""
        said = [f"<b>{escape(label)}:</b> {_in_html(text)}" if label else _in_html(text) for label, text in lines]
        parts.append(f"{told}<p>{'<br>'.join(said)}</p>")
    parts += [f"<p>{escape(line)}</p>" for line in closing]
    style = "body{font-family:serif;max-width:40em;margin:2em auto}"
    head = f'<meta charset="utf-8"><title>Accounting of disclosures</title><style>{style}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _in_html(text: str) -> str:
    return escape(text).replace("\n", "<br>")


# --- what both need


def _client_of(asked: Asked) -> UUID:
    if asked.client_id is None:
        raise UnknownClient("an account of disclosures is of one client")
    return asked.client_id


def _every(reader: Reader, client_id: UUID) -> tuple[list[tuple[int, DisclosureItem]], tuple[int, ...]]:
    """Return every disclosure with the version that made it, in that order, and versions of gaps."""
    found: dict[UUID, tuple[int, DisclosureItem]] = {}
    gaps: list[int] = []
    events = reader.events(client_id)
    if not events:
        raise UnknownClient("no such client")
    for recorded in events:
        event = recorded.event
        if isinstance(event, DisclosureMade):
            found[event.disclosure_id] = recorded.version, made(event, recorded)
        elif isinstance(event, DisclosureEnteredInError) and event.disclosure_id in found:
            version, item = found[event.disclosure_id]
            found[event.disclosure_id] = version, in_error(item, event, recorded)
        elif isinstance(event, Unreadable):
            gaps.append(recorded.version)
    return list(found.values()), tuple(gaps)


def _viewing(reader: Reader, asked: Asked) -> Viewing:
    directory = reader.directory
    return Viewing(role=asked.actor.role, at=asked.at, policy=directory.clinic.policy, name_of=directory.name_of)


def _years_before(at: datetime, years: int) -> datetime:
    try:
        return at.replace(year=at.year - years)
    except ValueError:
        # The 29 February of a leap year.
        return at.replace(year=at.year - years, day=28)


DISCLOSURES = DisclosuresView()
ACCOUNTING = AccountingView()
