"""Verifying a live clinic: its entries as an auditor would, then everything that only the clinic itself can compare.

Source: CRYPTO 4.

1. Every entry, stored ciphertext, body and checkpoint, by `ops.verify`, in one snapshot of the tables; pinned to the
   genesis that the caller names, else to the signer's log key; and held to the signer's own position.
2. What stands beside the entries: strays, bodies, hash tiles (`ops.live.tables`).
3. Tables, indexes, triggers and rules (`ops.live.schema`).
4. The keyring against the log, and the tables that list things across clients against a rebuild (`ops.live.views`).

It writes nothing, and it may run while the clinic is served.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from ops.live.log import LiveLog, Tables, open_tables
from ops.live.schema import check_schema
from ops.live.signer import check_position, own_fingerprint, signer_state, watching
from ops.live.tables import check_tables
from ops.live.views import StatedReport, check_client, check_keys, check_views
from ops.settings import Settings
from ops.verify import Policy, Report, VerificationError, Verifier


def verify_clinic(
    settings: Settings,
    policy: Policy,
    client: UUID | None,
    progress: Callable[[int, int], None],
    stated: StatedReport | None = None,
) -> Report:
    """Verify the clinic that the settings name.

    Args:
        settings: where it is.
        policy: what is known from elsewhere.
        client: a client whose access stream is to be held against the log too.
        progress: told entries done and entries in all.
        stated: an access report of this client that was kept, to be held against the log.

    Raises:
        NotStored: the database cannot be read.
        KeyMissing: the root key, the keyring or the signer's state is not there at all.
    """
    state = signer_state(settings)
    # Asked before the snapshot is taken: the signer is never ahead of what is stored.
    position = state.position()
    with open_tables(settings) as tables:
        log = LiveLog(tables)
        verifier = Verifier(log, policy)
        try:
            pinned = policy._replace(genesis=policy.genesis or own_fingerprint(state, log))
            ((size,),) = tables.select("SELECT count(*) FROM ledger")
            watched = watching(pinned, position)
            if stated is not None and stated.complete_up_to.checkpoint is not None:
                watched = watched._replace(sizes=watched.sizes | {stated.complete_up_to.checkpoint.size})
            verifier = Verifier(log, watched, lambda done: progress(done, size))
            verifier.run()
            check_position(verifier, position)
            _check_beside(settings, tables, verifier)
            if client is not None:
                check_client(settings, verifier, client, stated)
        except VerificationError as error:
            return verifier.report(error)
        return verifier.report(None)


def _check_beside(settings: Settings, tables: Tables, verifier: Verifier) -> None:
    """Take steps 2 to 4."""
    events = sum(version for version, _, _ in verifier.heads.values())
    check_tables(tables, events=events, bodies=verifier.bodies, signed=verifier.signed_size, size=verifier.size)
    check_schema(tables)
    check_keys(settings, verifier)
    check_views(settings, tables, verifier)
