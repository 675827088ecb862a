"""What tests of the record share: a clinic that stands, checked for every invariant of its log when a test is done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.check import check_store
from tests.doors import Doors


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    """A clinic with its people, on SQLite."""
    made = Doors(tmp_path)
    yield made
    made.close()


@pytest.fixture
def checked(doors: Doors) -> Iterator[Doors]:
    """The same; when the test is done, its log must hold every invariant."""
    yield doors
    check_store(doors.store)
