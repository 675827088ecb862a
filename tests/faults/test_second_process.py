"""Two services on one SQLite clinic: the second is refused with exit 5 and its words, and the first goes on.

The lock is the kernel's and ends with its process: after a kill the next one starts, whatever file lies there.
"""

from __future__ import annotations

import signal
from pathlib import Path

from tests.check import check_store
from tests.doors import Doors
from tests.ops.running import READY_SECONDS, Served

WORDS = "another process writes this clinic"


def test_the_second_service_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    doors = Doors(tmp_path)
    client = doors.client()
    doors.note(client)
    token = doors.token_for(doors.therapist)[0]
    doors.close()
    first = Served(doors.data)
    try:
        first.wait()
        log = first.log.rename(first.log.with_suffix(".first"))
        second = Served(doors.data)
        assert second.process.wait(READY_SECONDS) == second.stop() == 5
        assert WORDS in second.log.read_text()
        assert "Traceback" not in second.log.read_text() + log.read_text()
        assert first.request(f"/v1/clients/{client}", token, Purpose_Of_Use="TREAT")[0] == 200
    finally:
        first.stop(signal.SIGKILL)

    third = Served(doors.data)
    try:
        third.wait()
        assert third.request(f"/v1/clients/{client}", token, Purpose_Of_Use="TREAT")[0] == 200
    finally:
        assert third.stop() == 0
    doors.open()
    assert len(doors.access(client)) == 2
    check_store(doors.store)
    doors.close()
