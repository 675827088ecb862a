"""One event of a record, gathered for somebody outside: what it says, its sealed bytes, and the key that opens them.

Source: CRYPTO 1, 2 and 4 (disclosing one event key opens exactly one ciphertext); the decision on disclosing one entry.

- What was entered in error is not given: it may be about somebody else. That is asked each time, also of an entry
  that was released before it was found to be an error.
- An event that does not open is not given either: nobody could check it.
- Of the rest of the record nothing is in it: no other version, no other time, no count.

It writes nothing, and the key goes nowhere but into the bundle.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from projections.export.material import Shown
from projections.sections.corrections import corrections_of
from records.checkpoint import origin_of
from records.epoch import genesis_fingerprint
from records.errors import RuleBroken, UnknownItem
from records.event import Recorded
from records.reader import Reader
from records.store.mapper import Unreadable


class DisclosedEvent(NamedTuple):
    """One event and what it takes to open and to check it. Its repr shows no key.

    Attributes:
        clinic: what `event.json` says of the clinic, key by key as `record.json` does.
        client_id: whose record.
        recorded: the event, opened.
        segments: header first, then free texts in their stored order.
        payload: the sealed bytes as stored.
        key: the event key, 32 bytes.
    """

    clinic: dict[str, str]
    client_id: UUID
    recorded: Recorded
    segments: tuple[Shown, ...]
    payload: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"DisclosedEvent(index={self.recorded.index})"


def gather_event(reader: Reader, client_id: UUID, index: int) -> DisclosedEvent:
    """Return the event at an index of the log.

    Cost: opens the whole record, since a later event may say that this one was entered in error.

    Raises:
        UnknownItem: no event of this client is at this index.
        RuleBroken: `log-not-signed`, `entered-in-error`, or `event-unreadable`.
        Erased, KeyMissing: see `Reader.open`.
    """
    genesis = reader.body(0)
    if reader.checkpoint() is None or genesis is None:
        raise RuleBroken("log-not-signed", "The log has no checkpoint yet; try again in a moment.")
    rows = reader.rows(client_id)
    place = next((place for place, row in enumerate(rows) if row.position == index), None)
    if place is None:
        raise UnknownItem("event")
    opened = reader.open_salted(client_id, rows)
    recorded, salted = opened[place]
    if isinstance(recorded.event, Unreadable):
        raise RuleBroken("event-unreadable", "This entry cannot be opened, so nobody could check it.")
    subject = recorded.event.subject_id
    corrections = corrections_of(each for each, _ in opened).items
    if subject in corrections and corrections[subject].in_error:
        raise RuleBroken("entered-in-error", "This was entered in error; it may be about somebody else.")
    clinic = reader.directory.clinic
    return DisclosedEvent(
        clinic={
            "name": clinic.name,
            "deployment_id": str(reader.deployment_id),
            "origin": origin_of(reader.deployment_id),
            "fingerprint": genesis_fingerprint(genesis),
            "jurisdiction": clinic.policy.jurisdiction,
            "time_zone": clinic.policy.timezone,
        },
        client_id=client_id,
        recorded=recorded,
        segments=tuple(Shown(path=each.path, salt=salt, content=each.content) for salt, each in salted),
        payload=rows[place].state,
        key=reader.event_key(client_id, rows[place]),
    )
