"""The proof of a bundle: that its events and readings are in the clinic's log, and how many there are.

Source: CRYPTO 2 and 3; RFC 6962; the decision on exports for the layout.

- `log.json` holds the ledger's entries of the record, of its readings, of every epoch and of the release, and one
  proof that all of them are in the tree of the checkpoint.
- `heads.json` shows the last version of the record and of its readings at the last epoch below the export: so many
  there were, and none is kept back. What came after that epoch is shown, but its number is not proved.
- `bodies/` are the epochs: whoever knows the genesis' fingerprint knows by them which keys may sign the checkpoint.
- Hashes of neighbours are in it, and nothing else of anybody.

It is made after the release, so the manifest does not hold it; it is checked by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from projections.export.material import ExportedRecord
from projections.log_proofs import LogProofs
from records.errors import RuleBroken
from records.ledger import Kind
from records.merkle import leaf_hash, root_of_hashes, shared_proof
from records.payload import Segment
from records.reader import Reader
from records.signed_note import encode_base64

LOG_FORMAT, HEADS_FORMAT = "wellkept-entries/1", "wellkept-heads/1"
BODIES = "proof/bodies/"
_AT_ONCE = 20_000


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """The event of a release as it stands in the log: its index, and its segments beside their salts."""

    index: int
    salted: tuple[tuple[bytes, Segment], ...]


def prove(reader: Reader, proofs: LogProofs, record: ExportedRecord, release: Release) -> dict[str, bytes]:
    """Return the files of `proof/` by their names.

    Cost: reads every entry below the last epoch (for the heads), and a hash for each gap between the entries.

    Raises:
        RuleBroken: `export-not-signed`: no checkpoint covers the release yet.
    """
    # As they were read with the record, so that none of them is looked up again.
    shown = {event.recorded.index: event.entry for event in record.events}
    shown.update((reading.recorded.index, reading.entry) for reading in record.readings)
    files = prove_entries(reader, proofs, shown, release)
    turns = [int(name.rsplit("/", 1)[1]) for name in files if name.startswith(BODIES)]
    heads = _heads(reader, record, max(index for index in turns if index <= record.at))
    return files | {"proof/heads.json": _json(heads)}


def prove_entries(reader: Reader, proofs: LogProofs, shown: Mapping[int, bytes], release: Release) -> dict[str, bytes]:
    """Return the same without the heads, for these entries by their index: nothing is said of how many there were.

    Cost: a hash for each gap between the entries.

    Raises:
        RuleBroken: `export-not-signed`: no checkpoint covers the release yet.
    """
    checkpoint = proofs.checkpoint()
    if checkpoint.size <= release.index:
        raise RuleBroken("export-not-signed", "No checkpoint covers the release yet; try again in a moment.")
    turns = [(index, body) for index, body in reader.bodies() if index < checkpoint.size and _turns(reader, index)]
    further = {index for index, _ in turns} | {release.index}
    known = {index: reader.log_entries(index, index + 1)[0] for index in further} | dict(shown)
    entries = dict(sorted(known.items()))
    files = {
        "proof/checkpoint": checkpoint.note,
        "proof/log.json": _json(
            {
                "format": LOG_FORMAT,
                "size": checkpoint.size,
                "entries": {str(index): encode_base64(entry) for index, entry in entries.items()},
                "hashes": [encode_base64(each) for each in proofs.shared(set(entries), checkpoint.size)],
            }
        ),
        "proof/release.json": _json(
            {
                "index": release.index,
                "segments": [
                    {"path": each.path, "salt": salt.hex(), "content": each.content.decode()}
                    for salt, each in release.salted
                ],
            }
        ),
    }
    return files | {f"{BODIES}{index}": body for index, body in turns}


def _turns(reader: Reader, index: int) -> bool:
    (entry,) = reader.log_entries(index, index + 1)
    return entry[7] in (Kind.EPOCH, Kind.RESTORE_DECLARED)


def _heads(reader: Reader, record: ExportedRecord, epoch_index: int) -> Mapping[str, Any]:
    """Return the shared proof of the record's and its readings' last versions in an epoch's root of heads."""
    heads: dict[bytes, int] = {}
    for start in range(0, epoch_index, _AT_ONCE):
        for entry in reader.log_entries(start, min(start + _AT_ONCE, epoch_index)):
            if entry[7] <= Kind.ACCESS:
                heads[entry[16:32]] = int.from_bytes(entry[32:40], "big")
    ordered = sorted(heads)
    shown = [each.entry[16:32] for each in record.events[:1]] + [each.entry[16:32] for each in record.readings[:1]]
    places = {stream: ordered.index(stream) for stream in shown if stream in heads}
    hashes = [leaf_hash(stream + heads[stream].to_bytes(8, "big")) for stream in ordered]
    return {
        "format": HEADS_FORMAT,
        "index": epoch_index,
        "size": len(ordered),
        "places": {str(UUID(bytes=stream)): place for stream, place in places.items()},
        "heads": {str(UUID(bytes=stream)): heads[stream] for stream in places},
        "hashes": [encode_base64(each) for each in _shared_of(hashes, places.values())],
    }


def _shared_of(hashes: Sequence[bytes], wanted: Any) -> list[bytes]:
    def subtree(level: int, index: int) -> bytes:
        return root_of_hashes(hashes[index << level : (index + 1) << level])

    return shared_proof(subtree, wanted, len(hashes))


def _json(document: Mapping[str, Any]) -> bytes:
    # Nothing outside binds these bytes but their meaning, so there is no byte in them that means nothing.
    return msgspec.json.encode(document)
