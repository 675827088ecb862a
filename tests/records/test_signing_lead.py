"""Who signs, where many processes may: one leads, and the next goes on with its state."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines import PostgresEngine
from tests.signer_log import Log


@pytest.mark.postgres
def test_one_process_signs_and_the_next_takes_the_lead_with_its_state(
    postgres_engine: PostgresEngine, tmp_path: Path
) -> None:
    (tmp_path / "keys").mkdir()
    log = Log(postgres_engine, tmp_path / "keys")
    first, other = log.signer(), postgres_engine.open()
    second = log.signer(other)
    assert (first.leads, second.leads) == (True, False)
    log.write()
    second.flush()
    assert second.lag()[0] == 3, "whoever does not lead signs nothing"
    second.turn_epoch()
    first.flush()
    assert (second.lag()[0], second.signed_size) == (0, 4)
    log.store.close()
    log.store = other
    log.write()
    second.flush()
    assert second.leads
    assert second.signed()[0] == 7
    log.check()


@pytest.mark.postgres
def test_a_lead_that_was_lost_is_not_believed_in(postgres_engine: PostgresEngine, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    log = Log(postgres_engine, tmp_path / "keys")
    first = log.signer()
    postgres_engine.outside(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    other = postgres_engine.open()
    second = log.signer(other)
    assert second.leads
    log.write()
    first.flush()
    assert not first.leads
    second.flush()
    assert second.signed()[0] == 4
    log.check()
