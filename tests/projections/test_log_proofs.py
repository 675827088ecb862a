"""Proofs of the log before it is signed, and while it grows past what is signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from projections.log_proofs import LogProofs
from records.errors import UnknownItem
from records.merkle import check_consistency, root_of_hashes
from records.reader import Reader
from records.store.unit import CheckpointRow
from tests.clinic import make_clinic
from tests.signed_clinic import sign_log


class Unsigned:
    """A reader of a log that nobody signed."""

    def checkpoint(self) -> None:
        """There is none."""

    def log_tile(self, level: int, n: int) -> None:
        """There is none."""


def test_a_log_that_is_not_signed_shows_nothing() -> None:
    proofs = LogProofs(cast(Reader, Unsigned()))
    for ask in (
        proofs.checkpoint,
        lambda: proofs.tile("0/000.p/1"),
        lambda: proofs.entry_tile("000.p/1"),
        lambda: proofs.inclusion(0),
        lambda: proofs.consistency(0),
    ):
        with pytest.raises(UnknownItem):
            cast(Any, ask)()


def test_proofs_go_on_while_the_log_grows(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path / "clinic")
    proofs = LogProofs(clinic.reader)
    heads: list[tuple[CheckpointRow, bytes]] = []
    client = clinic.register()
    for _ in range(3):
        clinic.note(client)
        row = sign_log(clinic)
        heads.append((row, proofs.root(row.size)))
    (old, old_root), (new, new_root) = heads[0], heads[-1]

    check_consistency(old.size, old_root, new.size, new_root, proofs.consistency_hashes(old.size, new.size))
    data = proofs.tile(f"0/000.p/{new.size}")
    assert root_of_hashes([data[at : at + 32] for at in range(0, len(data), 32)]) == new_root
    clinic.close()
