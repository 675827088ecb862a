"""A turn of the keyring key: a new generation, everything rewrapped under it, and the old ones destroyed.

Source: CRYPTO 6 and 7 (step 4).

- A turn never opens or rewrites a record: it wraps the data keys anew, and the signer's keys.
- What was wrapped before a turn that destroys, in this keyring or in any copy of it, opens nowhere afterwards. That is
  what makes the destruction of a data key hold against the backups of the keyring.
- Therefore a turn that destroys always begins a generation of its own: one that was begun before may already stand in a
  copy, beside a key that was destroyed since. A turn that keeps the old generations goes on with one that was begun.
- An old generation is destroyed while no process can write the keyring or the signer's directory, and only when nothing
  in them is wrapped under it. Who makes a key reads the current generation within that same lock, so no key is made
  under a generation that is gone.
- Everything may be called again after a crash at any place, and does the rest.

It knows nothing of the copies of the keyring; whoever asks for the destruction must have made one of the new
generation, and verified it (docs/how-to/rotate-keys.md).
"""

from __future__ import annotations

from contextlib import ExitStack

from records.key_provider import KeyProvider
from records.keyring import Keyring
from records.signer_state import SignerState


def turn_generation(provider: KeyProvider, keyring: Keyring, state: SignerState | None, *, destroy_old: bool) -> int:
    """Wrap every key under a new generation, and return its number.

    Costs about 10 s for 100,000 data keys; other processes read and write meanwhile.

    Args:
        provider: holds the generations.
        keyring: the data keys.
        state: the signer's keys; None where this machine has none.
        destroy_old: destroy every older generation in the end.

    Raises:
        KeyMissing: a key does not open, or the provider does not answer; nothing was destroyed.
        NotStored: something cannot be written; nothing was destroyed.
    """
    generations = provider.generations()
    # 1. A crash after this leaves a generation that new keys take, and old keys under the old one: each opens. The next
    #    call goes on with it, or begins another where it destroys.
    begun = not destroy_old and _below(keyring, state, generations[-1])
    current = generations[-1] if begun else provider.begin_generation()
    if destroy_old:
        destroy_old_generations(provider, keyring, state)
    else:
        _rewrap(keyring, state, current)
    return current


def destroy_old_generations(provider: KeyProvider, keyring: Keyring, state: SignerState | None) -> tuple[int, ...]:
    """Destroy every generation but the current one, once nothing is wrapped under it; return which those were.

    Raises:
        KeyMissing: a key does not open, or the provider does not answer; nothing was destroyed.
        NotStored: something cannot be written; nothing was destroyed.
    """
    *old, current = provider.generations()
    while True:
        _rewrap(keyring, state, current)
        with ExitStack() as stack:
            held = [stack.enter_context(each.held_still()) for each in (keyring, state) if each is not None]
            # Somebody may have made a key under an older generation before this one was begun, and stored it since.
            if all(oldest is None or oldest >= current for oldest in held):
                # 5. A crash within leaves the old keys, all of them or none; nothing needs them any more.
                provider.destroy_generations_below(current)
                return tuple(old)


def _rewrap(keyring: Keyring, state: SignerState | None, current: int) -> None:
    # 2. A crash within leaves data keys of both generations, and both keys to open them.
    keyring.rewrap(current)
    # 3. The same for the signer's keys, file by file.
    if state is not None:
        state.rewrap()
    # 4. What was written must open, read from the disk, before what opened it until now may go. Changes nothing.
    keyring.check_opens(current)
    if state is not None:
        state.check_opens()


def _below(keyring: Keyring, state: SignerState | None, generation: int) -> bool:
    """Tell whether a key is wrapped under an older generation."""
    wrapped = [key.generation for key in keyring.held()] + ([] if state is None else state.generations())
    return any(each < generation for each in wrapped)
