"""`wellkept witness`: another machine that co-signs the clinic's checkpoints, over the network or by a USB stick.

Source: CRYPTO 3; C2SP tlog-witness.

- The witness's machine: `init` makes its key, `add-log` takes a clinic's log up, `serve` answers over HTTP, `cosign`
  answers a request file.
- The clinic's machine: `request` writes what to ask, `accept` takes the answer in, `submit` does both over HTTP.
- A witness is what makes a rollback of the clinic's log visible: it never signs an older or another history.
- The witness's directory is its own, not a clinic's; it needs no clinic, no database and no secret of one.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import click

from ops.commands.checkpoint import write_new
from ops.desk import perform
from ops.exits import CommandFailed, Exit
from ops.logging import log
from ops.opening import open_from
from ops.settings import Settings, parse_bind
from ops.terminal import data_option, json_option, pass_settings, put, say
from ops.witness.folder import WitnessFolder
from ops.witness.server import MAX_BODY_BYTES, WitnessServer
from ops.witness.witnessing import ask, request_for
from records.checkpoint import SEED_BYTES
from records.errors import LedgerMismatch, MalformedNote, MalformedRequest, ProofFromElsewhere
from records.signed_note import COSIGNATURE_V1, VerifierKey, encode_vkey, parse_vkey
from records.witness import encode_answer

dir_option = click.option(
    "--dir", "folder", type=click.Path(path_type=Path), required=True, help="The witness's own directory."
)


class _Vkey(click.ParamType[VerifierKey]):
    """The verifier key of a witness."""

    name = "vkey"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> VerifierKey:
        """Return the key."""
        try:
            key = parse_vkey(value)
        except MalformedNote:
            self.fail("is not a verifier key, as `wellkept witness init` prints it", param, ctx)
        if key.type != COSIGNATURE_V1:
            self.fail("is not the key of a witness", param, ctx)
        return key


witness_option = click.option(
    "--witness",
    type=_Vkey(),
    required=True,
    metavar="VKEY",
    help="The witness's verifier key, as its `init` printed it; take it from the witness itself.",
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
    write_new(output, encode_answer([line]))
    put({"output": str(output), "witness": line.name}, as_json, str(output))
    say("Bring this file back to the clinic.")


@command.command("request")
@data_option
@witness_option
@click.option("--old", type=click.IntRange(0), help="The size that the witness says it last signed.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Where the request goes.")
@json_option
@pass_settings
def request(settings: Settings, witness: VerifierKey, old: int | None, output: Path, as_json: bool) -> None:
    """Write what to ask a witness, to bring to its machine. Keep the file until the answer is taken in."""
    with closing(open_from(settings, read_only=True)) as clinic:
        asked = request_for(clinic, witness, old)
    write_new(output, asked)
    put({"output": str(output)}, as_json, str(output))
    say("On the witness's machine: wellkept witness cosign --dir DIR FILE -o ANSWER.")


@command.command("accept")
@data_option
@witness_option
@click.argument("request", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("answer", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
@pass_settings
def accept(settings: Settings, witness: VerifierKey, request: Path, answer: Path, as_json: bool) -> None:
    """Take the file ANSWER of a witness in, which it gave to the file REQUEST."""
    _take_in(settings, witness, request.read_bytes(), answer.read_bytes(), as_json)


@command.command("submit")
@data_option
@witness_option
@click.argument("address")
@json_option
@pass_settings
def submit(settings: Settings, witness: VerifierKey, address: str, as_json: bool) -> None:
    """Ask the witness at ADDRESS (http://…) to sign the newest checkpoint, and take its answer in."""
    with closing(open_from(settings, read_only=True)) as clinic:
        asked = request_for(clinic, witness)
        answered = ask(address, asked)
        if answered.size is not None:
            # The witness signed something whose answer never came back, or of which nothing is kept here.
            asked = request_for(clinic, witness, answered.size)
            answered = ask(address, asked)
    if answered.answer is None:
        raise LedgerMismatch("a log that shows the witness another history than before")
    _take_in(settings, witness, asked, answered.answer, as_json)


def _take_in(settings: Settings, witness: VerifierKey, request: bytes, answer: bytes, as_json: bool) -> None:
    taken = perform(
        settings,
        "witness.accept",
        {
            "request": b64encode(request).decode("ascii"),
            "answer": b64encode(answer).decode("ascii"),
            "witness": encode_vkey(witness),
        },
    )
    put(taken, as_json, f"{taken['witness']} signed size {taken['size']}")
    say("The signature is kept with the checkpoint; every export will carry it.")
