"""The errors of the record: each names a state of the world, never an input value, a name or clinical text.

Errors leave the write side as they are; the HTTP side maps each class to one problem document.

    WellkeptError
    ├── Refused                   the request is understood and will not be done
    │   ├── NotPermitted          role, relation or purpose does not allow it
    │   ├── UnknownClient         no such client (or its existence stays hidden)
    │   ├── UnknownItem           no such note, session, goal … in this client's record
    │   ├── Erased                the client's key was destroyed on purpose
    │   ├── RuleBroken            a rule of the concept forbids it now
    │   │   └── ConsentMissing    no live consent of the kind that the act needs
    │   ├── StaleRecord           the resource moved since it was read (If-Match)
    │   ├── VersionRequired       the act builds on what was read, and no version was named
    │   ├── ProofFromElsewhere    a witness last signed another size than the proof begins at
    │   ├── InvalidContent        the content cannot be true or is out of range
    │   ├── IdempotencyKeyReused  the key was used for another body
    │   └── TooManyAttempts       too many one-time codes were wrong a moment ago
    ├── Unavailable               nothing is wrong with the request; try again later
    │   ├── NotStored             the log could not be written; nothing of it is stored
    │   ├── OutcomeUnknown        the answer of the commit was lost; retry with the same key
    │   ├── KeyMissing            a data key that was never destroyed is not there
    │   │   └── KeyProviderUnreachable  what holds the root of the keys does not answer now
    │   └── ClinicLocked          another process writes this clinic
    ├── IntegrityFailure          what is stored is not what was written
    │   ├── SealBroken            a ciphertext does not open in its place
    │   ├── LedgerMismatch        rows and ledger disagree
    │   ├── UnknownTopic          an event that this version does not know
    │   ├── RolledBack            a checkpoint that is kept elsewhere is not a part of this log
    │   └── VerificationError     a signed or hashed proof does not prove what it claims
    │       ├── MalformedNote        the bytes are no signed note
    │       ├── MalformedCheckpoint  the note's text is no checkpoint
    │       ├── MissingSignature     a signature that is required is not there
    │       ├── BadSignature         a signature is not the named key's over these bytes
    │       ├── BadProof             an inclusion or consistency proof does not lead to the root
    │       ├── MalformedFrontier    a tree's right edge has not the hashes of its size
    │       ├── MalformedTile        a tile, its path or its entries are not well formed
    │       ├── MalformedEpoch       the body of an epoch or a restore is not well formed
    │       ├── MalformedRequest     what a witness is asked, or what it answers, is not well formed
    │       └── ForkedLog            a log signed two histories that cannot both be true
    └── LostRace                  another writer appended first (inside the write side only)

Source: the house rules of the record service; RFC 9457 for how they are shown.
"""

from __future__ import annotations


class WellkeptError(Exception):
    """The root of every error that the record raises on purpose."""


class Refused(WellkeptError):
    """The request is understood and will not be done."""


class NotPermitted(Refused):
    """Role, relation or purpose does not allow the act.

    Attributes:
        reason: a code such as `role`, `relation` or `purpose`, for the access entry, not for the caller.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("not permitted")
        self.reason = reason


class UnknownClient(Refused):
    """No such client, or its existence stays hidden from this actor."""


class UnknownItem(Refused):
    """No such item in this client's record.

    Attributes:
        kind: what was looked for (`note`, `session`, …), never its id.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(f"unknown {kind}")
        self.kind = kind


class Erased(Refused):
    """The client's key was destroyed on purpose; nothing can be read or added."""


class RuleBroken(Refused):
    """A rule of the concept forbids the act in the present state.

    Attributes:
        rule: a stable code in kebab case, such as `note-already-signed`.
        detail: one sentence for people, without names or values.
    """

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(rule)
        self.rule = rule
        self.detail = detail


class ConsentMissing(RuleBroken):
    """No live consent of the kind that the act needs.

    Attributes:
        kind: the consent kind, for example `treatment` or `telehealth`.
    """

    def __init__(self, kind: str) -> None:
        super().__init__("consent-missing", f"A live consent of kind '{kind}' is needed first.")
        self.kind = kind


class StaleRecord(Refused):
    """The resource moved since it was read."""


class VersionRequired(Refused):
    """The act builds on what was read, so the version that was read must be named."""


class ProofFromElsewhere(Refused):
    """A witness signs on from exactly what it last signed, and the proof begins at another size.

    Attributes:
        size: the size that the witness last signed, from which a proof must begin.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"the witness last signed size {size}, and the proof begins elsewhere")
        self.size = size


class InvalidContent(Refused):
    """The content cannot be true or is out of range.

    Attributes:
        pointer: a JSON pointer to the field of the request, for example `/answers/8`.
        detail: one sentence without the value.
    """

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"invalid content at {pointer}")
        self.pointer = pointer
        self.detail = detail


class IdempotencyKeyReused(Refused):
    """The idempotency key was used before for another body."""


class TooManyAttempts(Refused):
    """Too many one-time codes were wrong a moment ago, so none is looked at now.

    Attributes:
        retry_after_seconds: when the next one is looked at.
    """

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("too many one-time codes were wrong")
        self.retry_after_seconds = retry_after_seconds


class Unavailable(WellkeptError):
    """Nothing is wrong with the request; the service cannot do it now."""


class NotStored(Unavailable):
    """The log could not be written, and nothing of the request is stored."""


class OutcomeUnknown(Unavailable):
    """The answer of the commit was lost; a retry with the same key tells."""


class KeyMissing(Unavailable):
    """A data key that was never destroyed on purpose is not there: an integrity alarm."""


class KeyProviderUnreachable(KeyMissing):
    """What holds the root of the keys does not answer now; nothing is lost, and it recovers by itself."""


class ClinicLocked(Unavailable):
    """Another process holds the clinic's writing lock."""


class IntegrityFailure(WellkeptError):
    """What is stored is not what was written."""


class SealBroken(IntegrityFailure):
    """A ciphertext does not open in its place: altered, moved, or an older version."""


class LedgerMismatch(IntegrityFailure):
    """Stored rows and ledger entries disagree.

    Attributes:
        index: the first ledger index at which it shows, or None where no index can be named.
    """

    def __init__(self, what: str, index: int | None = None) -> None:
        super().__init__(what if index is None else f"{what} at index {index}")
        self.index = index


class UnknownTopic(IntegrityFailure):
    """A sealed event names a topic or a payload version that this version does not know."""


class RolledBack(IntegrityFailure):
    """A checkpoint that is kept elsewhere is not a part of this log: an older copy of it, or a fork."""


class VerificationError(IntegrityFailure):
    """A note, checkpoint, proof, tile or epoch does not prove what it claims; each leaf is one class of defect."""


class MalformedNote(VerificationError):
    """The bytes are no signed note in its one strict form."""


class MalformedCheckpoint(VerificationError):
    """The text of a note is no checkpoint in its one strict form, or not the one that is claimed."""


class MissingSignature(VerificationError):
    """A signature that is required is not there, or not in its place."""


class BadSignature(VerificationError):
    """A signature is not the named key's over exactly these bytes."""


class BadProof(VerificationError):
    """An inclusion or consistency proof does not lead to the root, or cannot exist."""


class MalformedFrontier(VerificationError):
    """The right edge of a tree does not hold the hashes that its size requires."""


class MalformedTile(VerificationError):
    """A tile, its path or a bundle of entries is not well formed."""


class MalformedEpoch(VerificationError):
    """The body of an epoch or a declared restore, or a fingerprint, is not well formed or not this log's."""


class MalformedRequest(VerificationError):
    """What a witness is asked, or what it answers, is not well formed."""


class ForkedLog(VerificationError):
    """A log signed two histories that cannot both be true: the two checkpoints together are the evidence."""


class LostRace(WellkeptError):
    """Another writer appended to the stream first; the door retries or gives up."""
