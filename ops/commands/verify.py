"""`wellkept verify`: whether a log is whole (this clinic's, a bundle's, a backup's), or the export of a record.

Source: CRYPTO 4; CONTRACT (command line).

- What is trusted comes from the arguments: the fingerprint, checkpoints that were kept outside, witnesses. Without a
  fingerprint, a live clinic is held to its signer's log key.
- A folder with `backup.json` is a backup: its files, log, keys and views are verified where they lie. The root key is
  the one of the settings. Without a fingerprint it is held to this machine's signer, where it is of the same clinic.
- A whole clinic's file (`wellkept export --all`) is a bundle in which no sealed content may be missing.
- A folder or zip with `manifest.json` is the export of a record, or one entry that was disclosed: it is verified as its
  own `verify.py` does.
- Where the settings name an anchor, its newest checkpoint counts as one kept outside.
- The answer is one sentence, the first bad index where there is one, and counts; with --json one line for programs.
"""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from uuid import UUID

import click
import msgspec

from ops import verify
from ops.backups.files import is_backup, keyring_beside
from ops.moving.clinic_file import ClinicFile, is_clinic_file
from ops.settings import Settings
from ops.terminal import data_option, json_option, pass_settings, progress_bar, say
from ops.verifier.record import verify_given


class _Parsed(click.ParamType[object]):
    """A text that a function of the verifier takes, or refuses with ValueError."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return what was parsed."""
        if not isinstance(value, str):
            return value
        try:
            return verify.parse_fingerprint(value) if self.name == "fingerprint" else verify.parse_witness(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command("verify")
@data_option
@click.argument("bundle", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--genesis", type=_Parsed("fingerprint"), help="The fingerprint that stands on the clinic's forms.")
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A checkpoint that was kept outside; may be given several times.",
)
@click.option(
    "--witness", "witnesses", multiple=True, type=_Parsed("key"), help="The key of a witness that is trusted."
)
@click.option("--quorum", type=click.IntRange(min=0), help="How many of the witnesses must have co-signed; else all.")
@click.option("--client", type=click.UUID, help="Hold this client's access stream against the log, too.")
@click.option(
    "--report",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An access report of this client as JSON, kept from before: what it counted must still be so.",
)
@click.option(
    "--keyring",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="With a backup: the folder with the copy of the keyring; BACKUP.keys where absent.",
)
@click.option("--require-anchor", is_flag=True, help="Fail where nothing from outside is known.")
@json_option
@pass_settings
@click.pass_context
def command(
    context: click.Context,
    settings: Settings,
    bundle: Path | None,
    genesis: str | None,
    checkpoints: tuple[Path, ...],
    witnesses: tuple[verify.Witness, ...],
    quorum: int | None,
    client: UUID | None,
    report: Path | None,
    keyring: Path | None,
    require_anchor: bool,
    as_json: bool,
) -> None:
    """Verify this clinic's log, or BUNDLE (log, export, one entry, backup) offline. Ends with 3 where it is wrong."""
    if bundle is not None and client is not None:
        raise click.UsageError("--client needs the clinic's keys; it does not go with a bundle.")
    if report is not None and client is None:
        raise click.UsageError("--report is the access report of a client: name the client by --client.")
    wanted = len(witnesses) if quorum is None else quorum
    policy = verify.Policy(genesis, (), witnesses, wanted, require_anchor, int(time.time()))
    if bundle is not None and is_backup(bundle):
        found = _backup(settings, policy, bundle, keyring, checkpoints)
    elif keyring is not None:
        raise click.UsageError("--keyring goes with a backup.")
    elif bundle is not None and is_clinic_file(bundle):
        found = _clinic_file(policy, bundle, checkpoints)
    elif bundle is not None and _is_record(bundle):
        found = verify_given(bundle, policy, checkpoints)
    elif bundle is not None:
        found = verify.verify_bundle(bundle, policy, checkpoints)
    else:
        found = _live(settings, policy, checkpoints, client, report)
    click.echo(verify.render_json(found) if as_json else verify.render(found), nl=False)
    context.exit(found.exit)


def _clinic_file(policy: verify.Policy, path: Path, checkpoints: tuple[Path, ...]) -> verify.Report:
    """Verify a whole clinic's file as the bundle that it is, states and all; its keys are its receiver's matter."""
    try:
        return verify.verify(ClinicFile(path), policy._replace(outside=verify.read_outside(checkpoints)))
    except verify.VerificationError as error:
        return verify.failed(error)


def _is_record(path: Path) -> bool:
    """Say whether a bundle is of a record or of one entry; whether it is a sound one is told by what verifies it."""
    if path.is_dir():
        return (path / "manifest.json").is_file()
    try:
        with zipfile.ZipFile(path) as archive:
            return "manifest.json" in archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return False


def _backup(
    settings: Settings, policy: verify.Policy, folder: Path, keyring: Path | None, checkpoints: tuple[Path, ...]
) -> verify.Report:
    from ops.backups.verifying import asked_of, check_backup, known_genesis, read_backup
    from ops.wiring import Paths

    try:
        backup = read_backup(folder, keyring or keyring_beside(folder.absolute()))
        told = backup.manifest
        say(f"A backup of clinic {told.deployment}, made at {told.made_at:%Y-%m-%d %H:%M:%S} UTC by {told.version}.")
        genesis = policy.genesis or known_genesis(settings, backup)
        key_file = settings.key_file or Paths(settings.data).key_file
        asked = asked_of(settings, key_file, genesis, checkpoints, policy)._replace(views=True)
        with progress_bar("verifying") as progress:
            checked = check_backup(backup, asked, progress)
    except verify.VerificationError as error:
        return verify.failed(error)
    if backup.keyring is None or not asked.has_keys:
        missing = "its root key" if not asked.has_keys else "the copy of its keyring"
        checked.verifier.warnings.append(f"No key was opened: {missing} is not at hand.")
    if checked.loss is not None:
        checked.verifier.warnings.append(f"This backup is older than the newest known checkpoint: {checked.loss}.")
    return checked.verifier.report(None)


def _live(
    settings: Settings, policy: verify.Policy, checkpoints: tuple[Path, ...], client: UUID | None, report: Path | None
) -> verify.Report:
    from ops.live.verifying import verify_clinic
    from ops.live.views import StatedReport
    from ops.wiring import deployment_of

    deployment_of(settings.data)
    try:
        outside = (*verify.read_outside(checkpoints), *_anchored(settings.anchor))
    except verify.VerificationError as error:
        return verify.failed(error)
    stated = None
    if report is not None:
        try:
            stated = msgspec.json.decode(report.read_bytes(), type=StatedReport)
        except msgspec.MsgspecError as error:
            raise click.UsageError("--report is no access report as JSON.") from error
    try:
        with progress_bar("verifying") as progress:
            return verify_clinic(settings, policy._replace(outside=outside), client, progress, stated)
    except verify.VerificationError as error:
        # The file itself is damaged, so that nothing more can be said of its log.
        return verify.failed(error)


def _anchored(anchor: Path | None) -> tuple[verify.Checkpoint, ...]:
    """Return the newest checkpoint in the anchor."""
    from ops.anchor import newest

    found = None if anchor is None else newest(anchor)
    return () if found is None else (verify.parse_checkpoint(found.note, "The anchored checkpoint"),)
