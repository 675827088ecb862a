"""Caseload and client list, answered from memory.

Source: DESIGN (Views); CONTRACT (`/v1/caseload`, `/v1/clients`); AUDIT A11.

- One small sealed row for each client is opened into memory when the roster is first used; from there on the roster
  follows the log by its index, before every answer.
- A row is no evidence: one that does not open is folded anew. Rows that moved are stored in the commit of a later
  reading.
- Therapists and supervisors see their own clients, front desk and records clerks see all. Each entry of the list has a
  name and a birth date, since a name alone identifies nobody; at most 50 a page.
- Each client that is shown gets an access entry. Search words are never stored.
- A client whose key is not there, or whose record cannot be read, is listed by its id only, and tried again each time
  it is listed.

It holds names in memory while the service runs; nothing of it is on disk in clear.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from projections.pages import limit_of
from projections.roster_state import PLACE, SNAPSHOT, RosterState, search_words
from projections.sections import notes_due
from records.actors import Actor, Relation, Role
from records.clinic_policy import ClinicPolicy
from records.errors import Erased, IntegrityFailure, InvalidContent, KeyMissing
from records.reader import Asked, Built, Reader
from records.store.unit import RowPut, SealedRow


class CaseloadItem(msgspec.Struct, frozen=True, kw_only=True):
    """One client of the reader's own.

    Attributes:
        name: given and family name; None where the record cannot be opened, then only the id is known.
        open_prompts, oldest_prompt: risk prompts that no clinician answered, and since when.
        episode: `open`, `closed` or None where there was none yet.
        next_booking, last_session: when.
        notes_due: how many sessions wait for a note longer than the clinic signs within.
        erased: the record was erased; only the id is left.
    """

    id: UUID
    erased: bool = False
    name: str | None = None
    preferred_name: str | None = None
    birth_date: str | None = None
    open_prompts: int = 0
    oldest_prompt: datetime | None = None
    episode: str | None = None
    next_booking: datetime | None = None
    last_session: datetime | None = None
    notes_due: int = 0


class CaseloadPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the caseload, open prompts first. Parameters: `limit` (1 to 50), `after` (an id, as `next` gave it)."""

    total: int
    items: tuple[CaseloadItem, ...] = ()
    next: UUID | None = None


class ListedClient(msgspec.Struct, frozen=True, kw_only=True):
    """One client in a list.

    Attributes:
        name, preferred_name: None where the record cannot be opened, then only the id is known.
        birth_date: as far as it is known (`YYYY`, `YYYY-MM` or `YYYY-MM-DD`); with the name it identifies the client.
        erased: the record was erased; only the id is left.
    """

    id: UUID
    erased: bool = False
    name: str | None = None
    preferred_name: str | None = None
    birth_date: str | None = None


class ClientList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of clients in the order of their names.

    Parameters: `name` (the beginnings of names), `mine`, `limit` (1 to 50), `after` (an id, as `next` gave it).
    """

    items: tuple[ListedClient, ...] = ()
    next: UUID | None = None


SEES_ALL = (Role.FRONT_DESK, Role.RECORDS_CLERK)
OWN_BY = {Role.THERAPIST: Relation.TEAM, Role.SUPERVISOR: Relation.SUPERVISES}
STORED_AT_ONCE = 50
_BATCH = 5_000
_NEVER = datetime.max.replace(tzinfo=UTC)

Item = TypeVar("Item")
Order = tuple[bool, datetime, bool, datetime]


class Page(NamedTuple, Generic[Item]):
    """A page of the roster: its items and their ids, how many clients match in all, and the id to go on from."""

    items: tuple[Item, ...]
    ids: tuple[UUID, ...]
    total: int
    next: UUID | None


class Roster:
    """Every client of the clinic, in memory. Any thread may use its two views, `caseload` and `client_list`."""

    def __init__(self, reader: Reader) -> None:
        """Make an empty roster; it is filled when it is first used, or by `follow`."""
        self._reader = reader
        self._lock = threading.RLock()
        self._position: int | None = None
        self._states: dict[UUID, RosterState | None] = {}
        self._words: dict[UUID, tuple[str, ...]] = {}
        self._pending: dict[UUID, RowPut] = {}
        self._in_order: list[UUID] | None = None
        self.caseload = CaseloadView(self)
        self.client_list = ClientListView(self)

    def follow(self) -> None:
        """Bring the roster to the newest entry of the log.

        Cost: at first one look-up for each client; then what moved since.
        """
        with self._lock:
            position = self._reader.position()
            if self._position is None:
                rows = {row.row_id: row for row in self._reader.sealed_rows(PLACE)}
                for client_id in self._reader.clients():
                    self._read(client_id, rows.get(client_id))
            else:
                self._catch_up(self._position, position)
            self._position = position

    def page(
        self,
        clients: Collection[UUID] | None,
        show: Callable[[UUID, RosterState | None], Item],
        *,
        words: Sequence[str] = (),
        order: Callable[[RosterState | None], Order] | None = None,
        after: UUID | None = None,
        limit: int,
    ) -> Page[Item]:
        """Return a page of clients.

        Args:
            clients: the ids that may be seen; None for all.
            show: makes an item; the state is None where the record cannot be read.
            words: each must begin a word of the name.
            order: key of the order, before the order of names.
            after: the last id of the page before.
            limit: the number of items of a page.

        Raises:
            InvalidContent: `/after` is no client of this list.
        """
        with self._lock:
            self.follow()
            found = [each for each in self._ordered() if clients is None or each in clients]
            if words:
                found = [each for each in found if _matches(self._words[each], words)]
            if order is not None:
                key = order
                found.sort(key=lambda each: key(self._states[each]))
            begin = 0
            if after is not None:
                if after not in found:
                    raise InvalidContent("/after", "Is not the end of a page of this list.")
                begin = found.index(after) + 1
            page = found[begin : begin + limit]
            for client_id in page:
                if self._states[client_id] is None:
                    self._read(client_id, None)
            more = page[-1] if page and begin + limit < len(found) else None
            return Page(tuple(show(each, self._states[each]) for each in page), tuple(page), len(found), more)

    def forget(self, client_id: UUID) -> None:
        """Drop what is held of a client whose record was closed; the id stays in the lists."""
        with self._lock:
            self._pending.pop(client_id, None)
            if client_id in self._states:
                self._put(client_id, None)

    def puts(self) -> tuple[RowPut, ...]:
        """Return rows that moved, some at a time, to be stored in the commit of a reading.

        Where that commit fails, the older rows stay and are read through at the next start.
        """
        with self._lock:
            return tuple(self._pending.pop(client_id) for client_id in list(self._pending)[:STORED_AT_ONCE])

    def _catch_up(self, after: int, position: int) -> None:
        while after < position:
            moved, read = self._reader.moved_clients(after, _BATCH)
            for client_id in moved:
                self._read(client_id, None)
            if read == after:
                return
            after = read

    def _read(self, client_id: UUID, row: SealedRow | None) -> None:
        held = self._states.get(client_id)
        try:
            if held is None:
                found = SNAPSHOT.read_row(self._reader, client_id, row)
            else:
                found = SNAPSHOT.follow(self._reader, client_id, held)
        except (KeyMissing, Erased, IntegrityFailure):
            # Listed by its id alone: its own views say what is wrong with it.
            self._put(client_id, None)
            return
        if found.state.version == 0:
            return
        self._put(client_id, found.state)
        for put in found.puts:
            before = self._pending.get(client_id)
            forward = put.only_forward and (before is None or before.only_forward)
            self._pending[client_id] = put._replace(only_forward=forward)

    def _put(self, client_id: UUID, state: RosterState | None) -> None:
        words = () if state is None else state.words()
        if client_id not in self._states or self._words.get(client_id) != words:
            self._in_order = None
        self._states[client_id] = state
        self._words[client_id] = words

    def _ordered(self) -> list[UUID]:
        if self._in_order is None:
            self._in_order = sorted(self._states, key=lambda each: (_name_order(self._states[each]), each))
        return self._in_order


def _name_order(state: RosterState | None) -> tuple[bool, str, str]:
    return (True, "", "") if state is None else (False, *state.order())


def _matches(known: Sequence[str], words: Sequence[str]) -> bool:
    return all(any(name.startswith(word) for name in known) for word in words)


class CaseloadView:
    """The reader's own clients."""

    action = "caseload.view"

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build one page: clients with open prompts first, the longest open on top, then by the next booking.

        Raises:
            InvalidContent: `/limit`, `/after`.
        """
        at, policy, erased = asked.at, reader.directory.clinic.policy, reader.directory.clinic.erased

        def order(state: RosterState | None) -> Order:
            if state is None:
                return (True, _NEVER, True, _NEVER)
            oldest, booked = min(state.prompts.values(), default=None), state.next_booking(at)
            return (oldest is None, oldest or _NEVER, booked is None, booked or _NEVER)

        page = self._roster.page(
            _own_clients(reader, asked.actor),
            lambda client_id, state: _caseload_item(client_id, state, policy, at, client_id in erased),
            order=order,
            after=asked.parameters.get("after"),
            limit=limit_of(asked.parameters),
        )
        return Built(CaseloadPage(total=page.total, items=page.items, next=page.next), self._roster.puts(), page.ids)


class ClientListView:
    """Clients that the reader may see, by name."""

    action = "client.list"

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Build one page.

        Raises:
            InvalidContent: `/limit`, `/after`, or `/name` without a letter or digit.
        """
        actor, name = asked.actor, asked.parameters.get("name")
        words = search_words(name) if name is not None else ()
        if name is not None and not words:
            raise InvalidContent("/name", "Holds nothing to search for.")
        everyone = actor.role in SEES_ALL and not asked.parameters.get("mine")
        page = self._roster.page(
            None if everyone else _own_clients(reader, actor),
            lambda client_id, state: _listed(client_id, state, client_id in reader.directory.clinic.erased),
            words=words,
            after=asked.parameters.get("after"),
            limit=limit_of(asked.parameters),
        )
        return Built(ClientList(items=page.items, next=page.next), self._roster.puts(), page.ids)


def _own_clients(reader: Reader, actor: Actor) -> Collection[UUID]:
    relation = OWN_BY.get(actor.role)
    return reader.directory.clients_of(actor.id, relation) if relation is not None else ()


def _caseload_item(
    client_id: UUID, state: RosterState | None, policy: ClinicPolicy, at: datetime, erased: bool
) -> CaseloadItem:
    if state is None or erased:
        return CaseloadItem(id=client_id, erased=erased)
    return CaseloadItem(
        id=client_id,
        name=state.name,
        preferred_name=state.preferred_name,
        birth_date=state.birth_date,
        open_prompts=len(state.prompts),
        oldest_prompt=min(state.prompts.values(), default=None),
        episode=state.episode,
        next_booking=state.next_booking(at),
        last_session=state.last_session,
        notes_due=len(notes_due.render(state.notes_due, policy, lambda moment: moment < at)),
    )


def _listed(client_id: UUID, state: RosterState | None, erased: bool) -> ListedClient:
    if state is None or erased:
        return ListedClient(id=client_id, erased=erased)
    return ListedClient(id=client_id, name=state.name, preferred_name=state.preferred_name, birth_date=state.birth_date)
