"""Declaring a restore: the one way on for a log whose signer or whose anchor knows more than the log holds.

Source: CRYPTO 3 and 7; decision 17.

It takes the writing lock, so that nobody serves meanwhile, and opens no clinic: what is declared about would not open.
"""

from __future__ import annotations

from contextlib import closing

from ops import anchor
from ops.backups.restore import known_size as known_when_restored
from ops.keys.providers import open_provider
from ops.logging import alarm
from ops.settings import Settings
from ops.wiring import Paths, deployment_of, now_us, open_store, require_whole
from records.checkpoint import parse_signed_checkpoint
from records.errors import ClinicLocked, VerificationError
from records.genesis import declare_restore
from records.signer_state import SignerState


def declare(settings: Settings, secret: bytes, known_size: int) -> tuple[int, int]:
    """Declare a restore; return the index of the declaration and the size that it says was known outside.

    Raises:
        NotInitialised: there is no clinic here, or one of another format.
        KeyMissing: it is not this log's recovery key, or the root key is not there.
        ClinicLocked: the clinic is served.
        IntegrityFailure: the log is not whole.
        NotStored: it could not be written.
    """
    paths = Paths(settings.data)
    deployment_id = deployment_of(paths.data)
    state = SignerState(paths.signer, deployment_id, open_provider(settings))
    with closing(open_store(paths, settings.database_url)) as store:
        if not store.leads_signing():
            raise ClinicLocked("the clinic is served, and another process signs it")
        require_whole(store, alarm)
        known = max(known_size, _anchored_size(settings), known_when_restored(paths.data))
        return declare_restore(store, state, deployment_id, secret, known, now_us), known


def _anchored_size(settings: Settings) -> int:
    last = None if settings.anchor is None else anchor.newest(settings.anchor)
    if last is None:
        return 0
    try:
        return parse_signed_checkpoint(last.note)[0].size
    except VerificationError:
        # It proves nothing, so nothing is excused by it.
        return 0
