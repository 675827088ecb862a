"""The store: one durable, append-only log with its ledger, on SQLite or PostgreSQL.

Source: DESIGN (Store), CRYPTO 2 and 5. The duties of every store, held by one contract suite on both engines:

- **One transaction** holds a unit's events, their ledger entries, its sealed rows and its idempotency row: all or none.
- **Durable when it returns**: WAL with synchronous=FULL, PostgreSQL with synchronous_commit=on and fsync=on. No setting
  trades this for speed.
- **Index, time and access versions** are given by the writer under one lock, in commit order, dense from 0.
- **Expected version**: a unit whose stream moved is dropped with `LostRace`; nothing of it is stored, and no other
  unit of the batch is touched.
- **Idempotency**: a known key writes nothing and returns the first request's row.
- **Read-back**: before commit, the rows that were written are read and compared; a trigger cannot swallow one.
- **Append-only**: triggers refuse any change of events and ledger but the purge of a payload, and any of clear bodies
  and hash tiles. Checkpoints come and go: each proves itself by its signatures.
- `NotStored` says that nothing is stored; `OutcomeUnknown` that it may be. A commit whose answer was lost is looked up
  by stream, version and digest before anything is said.
- Any thread may call any method; a reading never waits for a writer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from uuid import UUID

from records.store.unit import (
    AuditRow,
    CheckpointRow,
    Committed,
    IdempotencyRow,
    LogHead,
    SealedRow,
    StoredRow,
    Tally,
    Unit,
)


class Store(ABC):
    """A durable log: see the module's docstring for what every engine owes."""

    @abstractmethod
    def commit(self, unit: Unit) -> Committed:
        """Commit a unit; returns when it is durable.

        Raises:
            LostRace: an expected version did not hold; nothing of the unit is stored.
            Erased: the unit writes to a stream that an erasure closed; nothing of it is stored.
            RuleBroken: it purges an event of a stream that no erasure closed; nothing of it is stored.
            NotStored: the log could not be written; nothing of the unit is stored.
            OutcomeUnknown: the answer of the commit was lost and could not be looked up.
            LedgerMismatch: what was read back is not what was written; nothing is stored.
        """

    @abstractmethod
    def sweep(self) -> bool:
        """Let the database's own files go of what was purged, as far as the engine can; may be done again.

        Returns:
            Whether that is done; False where readers or missing rights stood in the way.

        Raises:
            NotStored: the database cannot be reached or written.
        """

    @abstractmethod
    def waiting(self) -> int:
        """Return how many units of this process wait for their commit."""

    @abstractmethod
    def head(self) -> LogHead:
        """Return where the log stands now, as committed."""

    @abstractmethod
    def history(self, stream: UUID, after: int = 0, upto: int | None = None) -> list[StoredRow]:
        """Return a stream's rows with `after < version <= upto`, in order, each beside its ledger entry.

        Raises:
            LedgerMismatch: the ledger names a version that is not stored, or versions are not dense.
            NotStored: the database cannot be read.
        """

    @abstractmethod
    def entries(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Return up to `limit` ledger entries with index > `after`, in order."""

    @abstractmethod
    def clinic_entries(self, after: int) -> list[tuple[int, bytes]]:
        """Return all event entries of class CLINIC with index > `after`, in order."""

    @abstractmethod
    def key_entries(self) -> list[tuple[int, bytes]]:
        """Return all entries of keys created or destroyed, in order."""

    @abstractmethod
    def body(self, index: int) -> bytes | None:
        """Return the clear body of an entry, or None where it has none."""

    @abstractmethod
    def bodies(self, after: int = -1) -> list[tuple[int, bytes]]:
        """Return all clear bodies with index > `after`, in order."""

    @abstractmethod
    def tile(self, level: int, n: int) -> bytes | None:
        """Return a full hash tile, 8,192 bytes, or None where it is not full yet."""

    @abstractmethod
    def checkpoint(self) -> CheckpointRow | None:
        """Return the newest checkpoint, or None."""

    @abstractmethod
    def checkpoints(self) -> list[CheckpointRow]:
        """Return every checkpoint that is kept, in order of size."""

    @abstractmethod
    def leads_signing(self) -> bool:
        """Take, keep or ask for the lead in signing; True while this store holds it. One store at a time does."""

    @abstractmethod
    def tally(self) -> Tally:
        """Count what is stored, at one moment; O(log). Asked before a clinic is served."""

    @abstractmethod
    def row(self, place: str, row_id: UUID) -> SealedRow | None:
        """Return a sealed row, or None."""

    @abstractmethod
    def rows(self, place: str) -> list[SealedRow]:
        """Return all sealed rows of a place, in no order."""

    @abstractmethod
    def drop_rows(self, place: str) -> int:
        """Delete all sealed rows of a view, durable; return how many. `KEPT_PLACES` are no views."""

    @abstractmethod
    def idempotency(self, key: bytes) -> IdempotencyRow | None:
        """Return what is kept of a request, or None."""

    @abstractmethod
    def audit_position(self) -> int:
        """Return the ledger index that the audit index includes, -1 at first."""

    @abstractmethod
    def audit_rows(
        self,
        *,
        client_id: UUID | None = None,
        actor: str | None = None,
        purpose: str | None = None,
        from_us: int | None = None,
        to_us: int | None = None,
        after: tuple[int, int] | None = None,
        newest_first: bool = False,
        limit: int = 50,
    ) -> Sequence[AuditRow]:
        """Return rows of the audit index with `from_us <= at < to_us`, in order of time and then of index.

        Args:
            client_id: only rows of this client.
            actor: only rows of this person.
            purpose: only rows of this purpose; read past others, so a rare one costs what lies between.
            from_us: the first time, in microseconds since 1970 UTC.
            to_us: the time before which they lie.
            after: time and index of the row to go on from, in the order that is asked for.
            newest_first: the other way round.
            limit: how many at most.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back connections and locks. Nothing that was acknowledged depends on it."""
