"""`wellkept disclose`: one entry of a record, with its key and its proof, and nothing else opens.

Source: CRYPTO 1 and 4; the decision on disclosing one entry.

- The records clerk whose token acts releases it; the release is a disclosure, and the client is told of it.
- It goes to somebody outside, so to whom, what for and on which basis has no default.
- The file is new, 0600, and whole or not there. Whether it can be written and locked is known before anything is
  released.
- What was entered in error is not given.
"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from ops.desk import perform
from ops.exports.locking import chosen_lock, locked_into
from ops.exports.whole_file import whole_file
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, put, say
from records.disclosures import BASES, RECIPIENTS


@click.command("disclose")
@data_option
@click.argument("event", type=click.IntRange(min=0))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The zip to write; a new file.")
@click.option("--age", metavar="RECIPIENT", help="Lock the file for this public key of age.")
@click.option("--lock", is_flag=True, help="Lock the file by a passphrase, as age does.")
@click.option("--lock-with", type=click.Path(path_type=Path), help="File with the passphrase; else it is asked for.")
@click.option("--recipient-kind", required=True, type=click.Choice(RECIPIENTS))
@click.option("--recipient", required=True, help="Who gets it.")
@click.option("--recipient-address", help="Where they get it.")
@click.option("--purpose", required=True, help="What for.")
@click.option("--basis", required=True, type=click.Choice(list(BASES)))
@click.option("--consent", "consent_id", type=click.UUID, help="The consent that it rests on (basis consent).")
@click.option("--authorised-by", type=click.UUID, help="Account of who answers for it; by default whoever asks.")
@click.option("--reason", help="Why it is an emergency.")
@click.option("--second-person", type=click.UUID, help="Account of the second person in an emergency.")
@json_option
@pass_settings
def command(
    settings: Settings,
    /,
    event: int,
    output: Path,
    age: str | None,
    lock: bool,
    lock_with: Path | None,
    as_json: bool,
    **told: object,
) -> None:
    """Disclose the one entry of a record at EVENT, its index in the log, with its key, proof and verifier."""
    locked = chosen_lock(age, lock or lock_with is not None, lock_with)
    asked = {name: str(said) if isinstance(said, UUID) else said for name, said in told.items()}
    with whole_file(output) as file, locked_into(file, locked) as take:
        made = perform(settings, "export.event", {"event": event, **asked}, take=take)
    put(made | {"file": str(output.absolute())}, as_json, str(output))
    say(f"The entry at {made['event']} of client {made['client']}, and the key that opens it alone.")
    say("The release is recorded.")
    say("Whoever gets it unpacks it and runs: python verify.py --genesis FINGERPRINT")
