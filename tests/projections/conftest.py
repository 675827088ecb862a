"""A clinic with people of every role for each test of views."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clinic import StaffedClinic, make_clinic


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[StaffedClinic]:
    """A new clinic on SQLite."""
    made = make_clinic(tmp_path / "clinic")
    yield made
    made.close()
