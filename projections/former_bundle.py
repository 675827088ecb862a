"""The bundle that a record was imported from, kept beside it: sealed under the client's key, and gone when that is.

Source: the decision on imports.

- It is one sealed row for each import, bound to its client and its import.
- The event of the import holds its digest, so another one in its place is found.
- Giving it out is a reading, as any other fetching of an export.
"""

from __future__ import annotations

import hashlib
from uuid import UUID

from records.errors import LedgerMismatch, UnknownClient, UnknownItem
from records.imports import RecordImported
from records.ledger import NO_LEAF
from records.reader import Asked, Built, Reader
from records.sealing import DataKey, Place, key_id_of, open_row, seal_row
from records.store.unit import RowPut

PLACE = "former-bundle"
SCHEMA = 1
_REVISION = 1


def former_bundle_row(deployment_id: UUID, key: DataKey, client_id: UUID, import_id: UUID, bundle: bytes) -> RowPut:
    """Return the row that keeps a bundle."""
    place = Place(deployment_id, PLACE, client_id, _REVISION)
    state = seal_row(key, place, SCHEMA, NO_LEAF, (import_id.bytes,), bundle)
    return RowPut(PLACE, import_id, client_id, _REVISION, state)


class FormerBundleView:
    """The bundle of one import, as it was read; `resource` is the import's id, None the newest."""

    action = "export.fetch"

    def build(self, reader: Reader, asked: Asked) -> Built:
        """Open it. Cost: opens the whole record.

        Raises:
            UnknownItem: this client was not imported so.
            LedgerMismatch: what is kept is not what was imported.
        """
        if asked.client_id is None:
            raise UnknownClient("a bundle is of one client")
        imports = [
            recorded.event for recorded in reader.events(asked.client_id) if isinstance(recorded.event, RecordImported)
        ]
        found = next(
            (each for each in reversed(imports) if asked.resource in (None, each.import_id)),
            None,
        )
        row = None if found is None else reader.sealed_row(PLACE, found.import_id)
        if found is None or row is None or row.stream != asked.client_id:
            raise UnknownItem("import")
        key = reader.record_key(asked.client_id, key_id_of(row.state))
        place = Place(reader.deployment_id, PLACE, asked.client_id, row.version)
        bundle = open_row(key, place, SCHEMA, NO_LEAF, (found.import_id.bytes,), row.state)
        if hashlib.sha256(bundle).hexdigest() != found.provenance.bundle_sha256:
            raise LedgerMismatch("a bundle that is not the one that was imported")
        return Built(bundle)


FORMER_BUNDLE = FormerBundleView()
