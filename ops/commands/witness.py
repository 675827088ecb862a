"""`wellkept witness`: another machine that co-signs the clinic's checkpoints, over the network or by a USB stick.

Source: CRYPTO 3; C2SP tlog-witness.

- The witness's machine: `init` makes its key, `add-log` takes a clinic's log up, `serve` answers over HTTP, `cosign`
  answers a request file.
- A witness is what makes a rollback of the clinic's log visible: it never signs an older or another history.
- Its directory is its own, not a clinic's; it needs no clinic, no database and no secret of one.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType

import click

from ops.exits import CommandFailed, Exit
from ops.logging import log
from ops.settings import parse_bind
from ops.terminal import json_option, put, say
from ops.witness_folder import WitnessFolder
from ops.witness_server import MAX_BODY_BYTES, WitnessServer
from records.checkpoint import SEED_BYTES
from records.errors import MalformedRequest, ProofFromElsewhere
from records.witness import encode_answer

dir_option = click.option(
    "--dir", "folder", type=click.Path(path_type=Path), required=True, help="The witness's own directory."
)


def _now_seconds() -> int:
    return int(time.time())


@click.group("witness")
def command() -> None:
    """Co-sign the checkpoints of a clinic's log, on another machine."""


@command.command("init")
@dir_option
@click.option("--name", required=True, help="The witness's name, without spaces, such as witness.example/hill.")
@json_option
def init(folder: Path, name: str, as_json: bool) -> None:
    """Make a witness: its key and its directory. Prints the verifier key that the clinic takes."""
    WitnessFolder.create(folder, name, os.urandom(SEED_BYTES))
    vkey = WitnessFolder(folder, _now_seconds).vkey
    put({"dir": str(folder.absolute()), "vkey": vkey}, as_json, vkey)
    say("Never restore this directory from a copy: it could sign a second history. Make a new witness instead.")


@command.command("add-log")
@dir_option
@click.argument("vkey")
@json_option
def add_log(folder: Path, vkey: str, as_json: bool) -> None:
    """Take up the log whose verifier key is VKEY, as `wellkept genesis` prints it at the clinic."""
    known = WitnessFolder(folder, _now_seconds).add_log(vkey)
    put({"origin": known.verifier.name, "size": known.size}, as_json, known.verifier.name)
    say(f"The last size signed of it is {known.size}.")


@command.command("serve")
@dir_option
@click.option(
    "--bind",
    default="127.0.0.1:8001",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen; near addresses only.",
)
@json_option
def serve(folder: Path, bind: str, as_json: bool) -> None:
    """Answer `POST /add-checkpoint` until SIGTERM or SIGINT."""
    place = parse_bind(bind)
    witness = WitnessFolder(folder, _now_seconds)
    server = WitnessServer(place, witness)

    def stop(_: int, __: FrameType | None) -> None:
        # The server may only be stopped from another thread than the one that it runs in.
        threading.Thread(target=server.shutdown, daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with server:
        url = f"http://{place}"
        put({"url": url, "vkey": witness.vkey}, as_json, url)
        log("info", "witness.starting", bind=str(place), logs=len(witness.logs()))
        server.serve_forever(poll_interval=0.1)


@command.command("cosign")
@dir_option
@click.argument("request", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Where the cosignature goes.")
@json_option
def cosign(folder: Path, request: Path, output: Path, as_json: bool) -> None:
    """Answer the file REQUEST of a clinic: sign what it holds, and write the cosignature to a file."""
    if request.stat().st_size > MAX_BODY_BYTES:
        raise MalformedRequest("a request that is too large")
    try:
        line = WitnessFolder(folder, _now_seconds).add_checkpoint(request.read_bytes())
    except ProofFromElsewhere as error:
        raise CommandFailed(
            Exit.FAILED, f"this witness last signed size {error.size}: ask with --old {error.size} instead"
        ) from error
    answer = encode_answer([line])
    output.write_bytes(answer)
    put({"output": str(output), "witness": line.name}, as_json, str(output))
    say("Bring this file back to the clinic.")
