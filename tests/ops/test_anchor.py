"""The anchor: an older copy of the log is found out against a checkpoint that is kept elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ops import anchor
from ops.logging import configure_logging
from ops.serving.readiness import Readiness
from ops.serving.signing import Signing
from ops.wiring import open_clinic
from tests.ops.running import add_user, data_of, init, run, served


class Anchored:
    """A clinic whose checkpoints are anchored, a copy of it from before, and what is kept on paper."""

    def __init__(self, folder: Path) -> None:
        self.data, self.place = folder / "clinic", folder / "mount"
        self.place.mkdir()
        self.founded: Any = init(self.data)
        add_user(self.data, "administrator")
        self.anchor()
        for part in ("clinic", "clinic.keys"):
            shutil.copytree(folder / part, folder / "yesterday" / part)
        self.folder = folder
        add_user(self.data, "therapist")
        self.anchor()

    def anchor(self) -> None:
        """Anchor as a service does at its start."""
        clinic = open_clinic(self.data)
        try:
            assert clinic.signer is not None
            clinic.signer.turn_epoch()
            Signing(clinic.signer, clinic.store, place=self.place).look()
        finally:
            clinic.close()

    def restore_yesterday(self) -> None:
        """Put everything back as it was, the signer's own state too."""
        for part in ("clinic", "clinic.keys"):
            shutil.rmtree(self.folder / part)
            shutil.copytree(self.folder / "yesterday" / part, self.folder / part)

    def run(self, *arguments: str, anchored: bool = True) -> Any:
        """Run a command on the clinic."""
        environment = {"WELLKEPT_ANCHOR": str(self.place)} if anchored else {}
        return run(*arguments, "--data", str(self.data), **environment)

    def recovery_file(self) -> str:
        """Return a file with the recovery key, as somebody types it."""
        path = self.folder / "paper"
        path.write_text(self.founded["recovery"].upper().replace(" ", "-") + "\n")
        return str(path)


@pytest.fixture
def anchored(tmp_path: Path) -> Anchored:
    return Anchored(tmp_path)


def test_checkpoints_are_only_added(anchored: Anchored) -> None:
    names = sorted(file.name for file in anchored.place.iterdir())
    assert [name[:8] for name in names] == ["00000000", "00000001"]
    before = {name: (anchored.place / name).read_bytes() for name in names}
    anchored.anchor()
    assert {name: (anchored.place / name).read_bytes() for name in names} == before
    assert len(list(anchored.place.iterdir())) == 3


def test_a_log_that_went_on_is_served(anchored: Anchored) -> None:
    assert anchored.run("user", "list").exit_code == 0
    with served(anchored.data, WELLKEPT_ANCHOR=str(anchored.place)) as service:
        assert json.loads(service.request("/readyz")[1]) == {"status": "ready", "faults": []}


def test_yesterdays_copy_is_refused_until_it_is_declared(anchored: Anchored) -> None:
    anchored.restore_yesterday()
    assert anchored.run("user", "list", anchored=False).exit_code == 0, "without the anchor nobody could know"
    refused = anchored.run("user", "list")
    assert (refused.exit_code, "rolled-back" in refused.stderr) == (3, True)
    paper = anchored.recovery_file()
    declared = data_of(anchored.run("declare-restore", "--recovery-key-file", paper, "--json"))
    assert declared["known_size"] > declared["index"]
    assert anchored.run("user", "list").exit_code == 0
    clinic = open_clinic(anchored.data)
    assert clinic.signer is not None
    assert clinic.signer.restored
    clinic.close()
    anchored.anchor()
    assert anchored.run("user", "list").exit_code == 0


def test_a_declaration_excuses_nothing_that_is_anchored_after_it(anchored: Anchored) -> None:
    anchored.restore_yesterday()
    data_of(anchored.run("declare-restore", "--recovery-key-file", anchored.recovery_file(), "--json"))
    for part in ("clinic", "clinic.keys"):
        shutil.rmtree(anchored.folder / "yesterday" / part)
        shutil.copytree(anchored.folder / part, anchored.folder / "yesterday" / part)
    add_user(anchored.data, "therapist", "Kim Vale")
    anchored.anchor()
    anchored.restore_yesterday()
    assert anchored.run("user", "list").exit_code == 3


def test_a_wrong_recovery_key_declares_nothing(anchored: Anchored) -> None:
    anchored.restore_yesterday()
    wrong = anchored.folder / "wrong"
    for text in ("", "00 " * 34, anchored.founded["recovery"][:-1] + "g"):
        wrong.write_text(text)
        assert anchored.run("declare-restore", "--recovery-key-file", str(wrong)).exit_code == 6
    assert anchored.run("user", "list").exit_code == 3


def test_the_checkpoint_of_another_clinic_is_no_anchor(anchored: Anchored, tmp_path: Path) -> None:
    other = Anchored(tmp_path / "other") if (tmp_path / "other").mkdir() is None else None
    assert other is not None
    last = anchor.newest(other.place)
    assert last is not None
    anchor.append(anchored.place, last.note)
    assert anchored.run("user", "list").exit_code == 3


def test_a_place_that_cannot_be_read_stops_the_start(anchored: Anchored) -> None:
    shutil.rmtree(anchored.place)
    assert anchored.run("user", "list").exit_code == 1


def test_a_place_that_cannot_be_written_is_an_alarm_and_no_more(
    anchored: Anchored, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info")
    shutil.rmtree(anchored.place)
    clinic = open_clinic(anchored.data)
    assert clinic.signer is not None
    readiness = Readiness()
    Signing(clinic.signer, clinic.store, readiness.alarm, anchored.place).look()
    assert json.loads(capsys.readouterr().err)["code"] == "alarm.anchor-unwritable"
    assert readiness.faults(clinic) == ()
    clinic.close()


def test_the_age_of_the_newest_one_can_be_asked_for(anchored: Anchored) -> None:
    clinic = open_clinic(anchored.data)
    assert clinic.signer is not None
    age = Signing(clinic.signer, clinic.store, place=anchored.place).anchor_age()
    assert age is not None
    assert 0 <= age < 600
    assert Signing(clinic.signer, clinic.store).anchor_age() is None
    assert Signing(clinic.signer, clinic.store, place=anchored.place / "gone").anchor_age() is None
    clinic.close()


def test_the_doctor_says_how_old_the_newest_outside_checkpoint_is(anchored: Anchored) -> None:
    def found(*, with_anchor: bool) -> dict[str, str]:
        findings = json.loads(anchored.run("doctor", "--json", anchored=with_anchor).stdout)["findings"]
        return {each["check"]: each["state"] for each in findings if each["check"].endswith("anchored")}

    assert found(with_anchor=True) == {"anchored": "ok"}
    assert found(with_anchor=False) == {"unanchored": "warn"}
