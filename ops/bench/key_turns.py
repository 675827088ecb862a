"""Turning the keyring's own key: how long 100,000 data keys take to be wrapped under a new generation.

- The whole turn is told beside: everything read back from the disk, and the old generation destroyed.
- Seconds of the wall, on the disk of this run; those of the processor stand beside.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

from ops.bench.figure import Bench, Group, Measured, Target
from records.generations import turn_generation
from records.key_provider import KeyFileProvider
from records.keyring import Keyring
from records.ledger import KeyClass

KEYS = 100_000
QUICK_KEYS = 2_000

REWRAP = Target("rewrap-100-000-data-keys", "s", at_most=6.0)


def measure(bench: Bench) -> Iterator[Measured]:
    """Make a keyring, and turn it twice: the rewrap alone, and all of it."""
    room, deployment = bench.room("keys"), uuid4()
    count = QUICK_KEYS if bench.quick else KEYS
    KeyFileProvider.create(room / "root.key")
    Keyring.create(room / "keyring.db", deployment)
    provider = KeyFileProvider(room / "root.key")
    with closing(Keyring(room / "keyring.db", deployment, provider, time.monotonic)) as keyring:
        keyring.ensure_all([uuid4() for _ in range(count)], KeyClass.RECORD)
        provider.begin_generation()
        began, processor = time.perf_counter(), time.process_time()
        rewrapped = keyring.rewrap()
        seconds, processor = time.perf_counter() - began, time.process_time() - processor
        began = time.perf_counter()
        turn_generation(provider, keyring, None, destroy_old=True)
        whole = time.perf_counter() - began
        if rewrapped != count or provider.generations() != (3,):
            raise AssertionError("the keyring of the benchmark did not turn")
    beside = f"{count:,} keys; {processor:.1f} s of the processor; a whole turn that destroys takes {whole:.1f} s"
    yield Measured(REWRAP.name, seconds * KEYS / count, beside)


GROUP = Group("keys", (REWRAP,), measure)
