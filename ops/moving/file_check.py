"""Verifying a whole clinic's file with its passphrase: entries, states, checkpoints, epochs, and every key.

Source: CRYPTO 3, 4 and 6; decision 54.

1. Every entry, state, body and checkpoint, as the verifier does for a clinic: nothing may be missing.
2. A checkpoint that was kept outside and is not newer must be a part of the log; a newer one tells what is lacking.
3. Every key that the log names opens, or has a tombstone; none that the log destroyed is there.

The file was held to its digests before (`ops.moving.clinic_file.open_file`). Nothing is changed.
"""

from __future__ import annotations

import time
from contextlib import closing

from ops.backups.verifying import Asked, Checked, Progress, genesis_of, loss_of
from ops.live.views import check_keyring
from ops.moving.clinic_file import AlteredClinicFile, Opened
from ops.verify import Verifier, parse_checkpoint
from records.keyring import Keyring


def check_file(opened: Opened, asked: Asked, progress: Progress) -> Checked:
    """Take the three steps.

    Args:
        opened: the file.
        asked: what is known from outside; what opens the keys is the file's own.
        progress: told entries verified and entries in all.

    Raises:
        VerificationError: what fails first.
        KeyMissing: the keyring cannot be read.
    """
    source, about = opened.source, opened.about
    last_us = source.last_us()
    notes = [parse_checkpoint(note, "A checkpoint from outside") for note in asked.outside]
    older = tuple(note for note in notes if note.size <= source.size)
    # The file stands still, so it is judged by the time of its newest entry.
    policy = asked.policy._replace(genesis=asked.genesis, outside=older, now=last_us // 1_000_000)
    verifier = Verifier(source, policy, lambda done: progress(done, source.size))
    # [1] the log
    verifier.run()
    if genesis_of(source).fingerprint != about.fingerprint:
        raise AlteredClinicFile("The file names another genesis than the one of its log.")
    # [2] what is known from outside
    loss = loss_of(source, asked.outside, source.size, last_us)
    # [3] the keys
    with closing(Keyring(opened.keyring, about.deployment, opened.provider, time.monotonic)) as keyring:
        check_keyring(keyring, verifier)
    return Checked(verifier, loss)
