"""What the signer of this machine knows of its log, whatever the database says: whose it is, and how far it was signed.

- A live clinic's log is its own where its genesis names the log key that the signer holds.
- The signer's own position is a checkpoint that the database cannot alter. Whoever sets back the database alone is
  caught by it; whoever sets back the whole machine only by a checkpoint that was kept elsewhere.

It holds no private key longer than it takes to ask for its public half.
"""

from __future__ import annotations

from ops.keys.providers import open_provider
from ops.live.log import LiveLog
from ops.settings import Settings
from ops.verify import EPOCH, Forked, Policy, RolledBack, Verifier, WrongGenesis, parse_epoch_body
from ops.wiring import Paths, deployment_of
from records.signer_state import Position, SignerState


def signer_state(settings: Settings) -> SignerState:
    """Return the state of this clinic's signer."""
    paths = Paths(settings.data)
    return SignerState(paths.signer, deployment_of(settings.data), open_provider(settings))


def own_fingerprint(state: SignerState, log: LiveLog) -> str:
    """Return the fingerprint of the stored genesis, where it is the signer's.

    Raises:
        WrongGenesis: it is not there, or names another log key.
        MalformedBody: it is none.
        KeyMissing: the signer's log key is not there.
    """
    body = log.body(0)
    genesis = None if body is None else parse_epoch_body(body, EPOCH, 0).genesis
    if genesis is None or genesis.log_key != state.log_key().public:
        raise WrongGenesis("The log does not begin with the genesis of this clinic's signer.", 0)
    return genesis.fingerprint


def watching(policy: Policy, position: Position) -> Policy:
    """Return the policy that also asks for the root at the signer's own position."""
    return policy._replace(sizes=policy.sizes | {position.size})


def check_position(verifier: Verifier, position: Position) -> None:
    """Hold the verified log to what the signer signed last.

    Raises:
        RolledBack: it ends before.
        Forked: it is another history.
    """
    if position.size > verifier.size:
        ends = f"The log ends at entry {verifier.size - 1}, and its signer signed {position.size} entries"
        raise RolledBack(f"{ends}: it was set back to an older state.", verifier.size)
    if position.size and verifier.roots.get(position.size) != position.root:
        raise Forked(f"The signer signed {position.size} entries of another history than this one.", 1)
