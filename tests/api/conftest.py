"""A clinic behind its HTTP app, and callers of every role whose every answer is held against the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.caller import Served
from tests.clinic import make_clinic


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A new clinic with a client of the therapist, served over HTTP."""
    clinic = make_clinic(tmp_path / "clinic")
    served = Served(clinic)
    yield served
    clinic.close()
