"""`wellkept erase`: the erasure of a client: requested on a ground, approved by another person, told in a list.

Source: CRYPTO 7; CONTRACT (command line).

- The commands act as the account of WELLKEPT_TOKEN_FILE, else as the operator at the machine, who requests, lists and
  makes certificates, and approves nothing.
- A purge is asked for by itself, of an erasure that is done: nothing that could be read is lost by it.
- Refused while retention or a legal hold runs; the answer says which, and until when.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click
import msgspec

from ops.desk import perform
from ops.exits import CommandFailed, Exit
from ops.settings import Settings
from ops.terminal import confirm, data_option, json_option, pass_settings, progress_bar, put, say, table, yes_option
from records.erasure import WITHDRAWN_FOR
from records.retention import BASES


@click.group("erase")
def command() -> None:
    """Erase a client for good: request, approve, withdraw, status, certificate, purge."""


@command.command("request")
@data_option
@click.argument("client", type=click.UUID)
@click.option("--basis", required=True, type=click.Choice(list(BASES)), help="The ground on which it is erased.")
@json_option
@pass_settings
def request(settings: Settings, client: UUID, basis: str, as_json: bool) -> None:
    """Request the erasure of CLIENT and print the id of the request; nothing is erased yet."""
    asked = perform(settings, "erasure.request", {"client": str(client), "basis": basis})
    put(asked, as_json, asked["id"])
    say(f"Another person approves it: wellkept erase approve {asked['id']}")


@command.command("approve")
@data_option
@click.argument("id", type=click.UUID)
@yes_option
@json_option
@pass_settings
def approve(settings: Settings, id: UUID, yes: bool, as_json: bool) -> None:
    """Approve somebody else's request ID: the record is closed and its keys are destroyed. There is no way back."""
    confirm("Destroy the keys of this client's record? Nobody can ever read it again.", yes)
    done = perform(settings, "erasure.approve", {"id": str(id)})
    put(done, as_json, done["client"])
    if done["completed"]:
        say("The record is erased. Copies of the keyring from before open nothing any more: make a new backup.")
    else:
        say("The record is closed. Its keys could not be destroyed yet; the service goes on with it by itself.")


@command.command("withdraw")
@data_option
@click.argument("id", type=click.UUID)
@click.option("--ground", required=True, type=click.Choice(list(WITHDRAWN_FOR)), help="Why it is withdrawn.")
@json_option
@pass_settings
def withdraw(settings: Settings, id: UUID, ground: str, as_json: bool) -> None:
    """Withdraw the request ID, which nobody approved."""
    done = perform(settings, "erasure.withdraw", {"id": str(id), "ground": ground})
    put(done, as_json, done["id"])
    say("The request is withdrawn.")


@command.command("purge")
@data_option
@click.argument("id", type=click.UUID)
@click.option("--dry-run", is_flag=True, help="Only say how many events would be purged.")
@yes_option
@json_option
@pass_settings
def purge(settings: Settings, id: UUID, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete the ciphertext of the completed erasure ID, which nobody can read; the digests stay. Not needed."""
    if dry_run:
        found = perform(settings, "erasure.purge", {"id": str(id), "dry_run": True})
        put(found, as_json, found["client"])
        say(f"{found['left']} events would be purged.")
        return
    confirm("Delete the ciphertext of this erased record from the database? The log still verifies.", yes)
    with progress_bar("purging") as progress:
        done = perform(settings, "erasure.purge", {"id": str(id), "dry_run": False}, progress)
    put(done, as_json, done["client"])
    say(f"{done['now']} events purged now, {done['total']} in all.")
    if not done["swept"]:
        say("The database still keeps old pages of them: see the guide, and run this again later.")
    say("Backups, standbys and archives from before still hold the ciphertext, until they are replaced.")


@command.command("certificate")
@data_option
@click.argument("id", type=click.UUID)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to write; a new one.")
@json_option
@pass_settings
def certificate(settings: Settings, id: UUID, output: Path, as_json: bool) -> None:
    """Write the certificate of the erasure ID: for the client, who keeps it, and for restores of old backups."""
    made = perform(settings, "erasure.certificate", {"id": str(id)})
    with output.open("xb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(made)) + b"\n")
    put({"certificate": str(output.absolute())}, as_json, str(output))
    say("Whoever gets it checks it by: wellkept erase check FILE --genesis FINGERPRINT")


@command.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--genesis", help="The fingerprint that stands on the clinic's forms.")
@json_option
@click.pass_context
def check(context: click.Context, file: Path, genesis: str | None, as_json: bool) -> None:
    """Check the certificate FILE offline, without any clinic. Ends with 3 where something is wrong."""
    from ops.verifier.erasure_check import check_certificate
    from ops.verify import VerificationError, parse_fingerprint

    try:
        fingerprint = None if genesis is None else parse_fingerprint(genesis)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    try:
        proved = check_certificate(file.read_bytes(), fingerprint)
    except VerificationError as error:
        raise CommandFailed(Exit.INTEGRITY, str(error)) from error
    at = datetime.fromtimestamp(proved.destroyed_us / 1_000_000, UTC)
    keys = "the key" if len(proved.keys) == 1 else f"{len(proved.keys)} keys"
    said = f"The log destroyed {keys} of client {proved.client} on {at:%d %B %Y at %H:%M:%S} UTC."
    if not proved.pinned:
        said += " But nobody said whose log that is: give the fingerprint of its genesis."
    told = {
        "status": "proved" if proved.pinned else "unpinned",
        "client": proved.client,
        "keys": [key.key_id.hex() for key in proved.keys],
        "destroyed_at": at,
        "size": proved.size,
        "origin": proved.origin,
    }
    put(told, as_json, said)
    context.exit(Exit.DONE if proved.pinned else Exit.INTEGRITY)


@command.command("status")
@data_option
@click.option("--limit", type=click.IntRange(1, 50), default=50, show_default=True, help="How many at most.")
@click.option("--after", type=click.IntRange(min=1), help="Go on from this number, as NEXT gave it.")
@json_option
@pass_settings
def status(settings: Settings, limit: int, after: int | None, as_json: bool) -> None:
    """List the erasures, the newest first: ids and codes only."""
    page = perform(settings, "erasure.list", {"limit": limit, "after": after})
    rows = [("ID", "CLIENT", "STATE", "BASIS", "REQUESTED BY", "APPROVED BY", "COMPLETED")]
    rows += [
        (
            item["id"],
            item["client"],
            item["state"] if item["purged"] is None else f"{item['state']}, purged",
            item["basis"] or "not in this log",
            item["requested_by_name"] or "",
            item["approved_by_name"] or "",
            item["completed_at"] or "",
        )
        for item in page["items"]
    ]
    put(page, as_json, table(rows))
    say(f"{page['waiting']} wait for approval." + (f" NEXT {page['next']}" if page["next"] else ""))
