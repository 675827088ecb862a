"""The log's own proofs over HTTP: checkpoint, tiles and proofs, in the formats of C2SP, so that any tool can check it.

Source: C2SP tlog-checkpoint, tlog-tiles; CRYPTO 3; decision 36.

- Checkpoint, hash tiles and proofs are for everyone who is signed in. Entries are a reading: for the privacy officer,
  with a purpose, and recorded.
- Nothing is shown that the newest checkpoint does not cover; anything else is not found.
- No answer may be kept on the way (`no-store`), although tiles never change: one rule for all of `/v1`.
"""

from __future__ import annotations

from typing import Any

from flask import Response

from api.answers import answer, raw, schema_of
from api.calls import Proving, Reading
from api.concept import Concept
from api.door import proves, reads
from api.fields import Body, QueryWhole
from projections.log_proofs import EntriesView, LogProof
from records.errors import InvalidContent

OCTETS = "application/octet-stream"
BINARY = {"type": "string", "format": "binary"}
MAX_SIZE = 999_999_999
_NUMBER = r"(x[0-9]{3}/){0,6}[0-9]{3}(\.p/[1-9][0-9]{0,2})?$"


def _place(pattern: str, description: str) -> list[dict[str, Any]]:
    schema = {"type": "string", "pattern": pattern}
    return [{"in": "path", "name": "tile", "required": True, "description": description, "schema": schema}]


class ProofQuery(Body):
    """Which proof: of the entry `index`, or of the consistency with the tree of size `old`; one of the two."""

    index = QueryWhole(0, MAX_SIZE, metadata={"description": "The entry that is to be proved."})
    old = QueryWhole(0, MAX_SIZE, metadata={"description": "The size of the older tree."})
    size = QueryWhole(0, MAX_SIZE, metadata={"description": "The size of the tree; by default the newest signed."})


blueprint = Concept("log", "The log's own proofs")


@blueprint.route("/log/checkpoint", methods=["GET"])
@proves("log.read", query=Body, media_type="text/plain", document={"type": "string"})
def show_checkpoint(proving: Proving) -> Response:
    """Show the newest checkpoint, as a signed note."""
    return raw(proving.proofs.checkpoint().note, "text/plain; charset=utf-8")


@blueprint.route("/log/tile/entries/<path:tile>", methods=["GET"])
@reads(
    EntriesView.action,
    query=Body,
    document=BINARY,
    media_types=(OCTETS,),
    path=_place(f"^{_NUMBER}", "Number of the tile, as `x001/067`, and `.p/<width>` for a partial one."),
)
def show_entries(reading: Reading, tile: str) -> Response:
    """Show a tile of the log's entries, each behind its length."""
    reading.query["tile"] = tile
    return raw(reading.show(reading.proofs.entries), OCTETS)


@blueprint.route("/log/tile/<path:tile>", methods=["GET"])
@proves(
    "log.read",
    query=Body,
    media_type=OCTETS,
    document=BINARY,
    path=_place(
        f"^(0|[1-9]|[1-5][0-9]|6[0-3])/{_NUMBER}",
        "Level and number, as `0/x001/067`, and `.p/<width>` for a partial one.",
    ),
)
def show_tile(proving: Proving, tile: str) -> Response:
    """Show a tile of the log's hashes."""
    return raw(proving.proofs.tile(tile), OCTETS)


@blueprint.route("/log/proof", methods=["GET"])
@proves("log.read", query=ProofQuery, media_type="application/json", document=schema_of(LogProof))
def show_proof(proving: Proving) -> Response:
    """Prove that an entry is in the log, or that an older tree is a prefix of a newer one."""
    index, old, size = (proving.query.get(name) for name in ("index", "old", "size"))
    if (index is None) == (old is None):
        raise InvalidContent("/query", "Names one of index and old.")
    if old is not None:
        return answer(proving.proofs.consistency(old, size))
    return answer(proving.proofs.inclusion(int(index or 0), size))
