"""PostgreSQL dies or its answer is lost in the middle of a request: the caller's retry, with its key, writes once.

- A commit whose answer is lost is either found out at once (201), or said to be unknown (503 `outcome-unknown`).
- A commit that never arrived is 503 `not-stored`.
- Sent again with the same Idempotency-Key, to this service or to one that was started anew, it is 201 and stands once.
- A record is shown only where its reading is stored, whatever became of the answer.

What the store alone does of this is in tests/records/store/test_postgres_store.py.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.caller import Served, T
from tests.check import check_store
from tests.clinic import StaffedClinic, make_clinic
from tests.records.store.cut_connection import Cut, CutConnection
from tests.throwaway_postgres import ThrowawayPostgres
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.postgres

TEXT = "We met by the lighthouse."
NOTE = {"kind": "progress", "format": "free", "sections": {"text": TEXT}}
NOT_STORED, UNKNOWN = (503, "/problems/not-stored"), (503, "/problems/outcome-unknown")


class CutClinic:
    """A served clinic whose way to its database can be cut."""

    def __init__(self, path: Path, url: str, proxy: CutConnection) -> None:
        self.proxy = proxy
        self.staffed: StaffedClinic = make_clinic(path, database_url=url)
        self.staffed.opened.close()
        self.staffed.database_url = proxy.url(url)
        self.staffed.opened = self.staffed._open()
        self.served = Served(self.staffed)

    def texts(self) -> list[str]:
        """Return the texts of the client's notes."""
        events = [recorded.event for recorded in self.staffed.reader.events(self.served.client_id)]
        return [event.sections["text"] for event in events if type(event).__name__ == "NoteSigned"]


@pytest.fixture
def clinic(postgres_server: ThrowawayPostgres, postgres_url: str, tmp_path: Path) -> Iterator[CutClinic]:
    proxy = CutConnection(postgres_server.socket)
    made = CutClinic(tmp_path / "clinic", postgres_url, proxy)
    yield made
    made.staffed.opened.close()
    proxy.close()


LEAST_KILLS, MOST_KILLS = 2, 20


def said(answer: Any) -> tuple[int, str]:
    """Return the status of an answer and the type of its problem, where it is one."""
    return answer.status_code, answer.json.get("type", "")


@pytest.mark.parametrize(
    ("cut", "first", "restarted"),
    [
        pytest.param(Cut.BEFORE, NOT_STORED, False, id="before"),
        pytest.param(Cut.AFTER, (201, ""), False, id="after"),
        pytest.param(Cut.LATE, (201, ""), False, id="late"),
        pytest.param(Cut.AFTER_AND_AWAY, UNKNOWN, False, id="after, and away"),
        pytest.param(Cut.AFTER_AND_AWAY, UNKNOWN, True, id="after, away, and started anew"),
    ],
)
def test_a_note_whose_commit_is_cut_stands_once_after_its_retry(
    clinic: CutClinic, cut: Cut, first: tuple[int, str], restarted: bool
) -> None:
    served, proxy = clinic.served, clinic.proxy
    proxy.cut = cut
    assert said(served.post("/notes", NOTE, key="one")) == first
    assert proxy.cuts == 1
    proxy.away = False
    if restarted:
        served.restart()
    again, once_more = (served.post("/notes", NOTE, key="one") for _ in range(2))
    assert said(again) == said(once_more) == (201, "")
    assert again.json == once_more.json
    assert clinic.texts() == [TEXT]
    check_store(clinic.staffed.store)


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER, Cut.AFTER_AND_AWAY], ids=lambda cut: cut.name)
def test_a_reading_whose_commit_is_cut_shows_nothing_that_has_no_entry(clinic: CutClinic, cut: Cut) -> None:
    served, proxy = clinic.served, clinic.proxy
    served.note(TEXT)
    # The first reading of a year makes its key, in a commit of its own.
    assert served.get("/timeline").status_code == 200
    before = len(served.access())
    proxy.cut = cut
    answer = served.get("/timeline")
    shown = answer.status_code == 200
    assert proxy.cuts == 1
    assert shown == (cut is Cut.AFTER)
    assert (TEXT in answer.text) == shown
    proxy.away = False
    assert len(served.access()) - before == (0 if cut is Cut.BEFORE else 1)
    assert served.get("/timeline").status_code == 200
    check_store(clinic.staffed.store)


def test_a_killed_server_under_load_loses_nothing_that_was_acknowledged(
    clinic: CutClinic, postgres_server: ThrowawayPostgres
) -> None:
    """The server is killed (SIGKILL) and recovers from its log; callers send again until they are answered."""
    served, staffed = clinic.served, clinic.staffed
    clients = [staffed.register(given=f"Client {number}") for number in range(6)]
    acknowledged: list[list[str]] = [[] for _ in clients]
    refused: list[tuple[int, str]] = []
    done = threading.Event()

    def work(place: int) -> None:
        http, path = served.app.test_client(), served.of("/notes", clients[place])
        while not done.is_set():
            text = f"Note {len(acknowledged[place])} of {place}."
            body = {**NOTE, "sections": {"text": text}}
            key = f"note-{place}-{len(acknowledged[place])}"
            answer = http.post(path, json=body, headers=served.headers("POST", T, None, key, None))
            if answer.status_code == 201:
                acknowledged[place].append(text)
            else:
                assert answer.json is not None
                refused.append(said(answer))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(clients))]
    for thread in threads:
        thread.start()
    kills = 0
    # A kill may find every caller waiting for a connection, and then cuts nothing.
    while kills < LEAST_KILLS or (not refused and kills < MOST_KILLS):
        before = sum(map(len, acknowledged))
        until(lambda before=before: sum(map(len, acknowledged)) > before + 30)
        postgres_server.kill()
        postgres_server.start()
        kills += 1
    before = sum(map(len, acknowledged))
    until(lambda: sum(map(len, acknowledged)) > before + 30)
    done.set()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)

    assert refused, "no request was cut, so nothing is proven"
    assert set(refused) <= {NOT_STORED, UNKNOWN}
    for client, texts in zip(clients, acknowledged, strict=True):
        events = [recorded.event for recorded in staffed.reader.events(client)]
        stored = [event.sections["text"] for event in events if type(event).__name__ == "NoteSigned"]
        assert stored[: len(texts)] == texts, "an acknowledged note is lost, or written twice"
        assert len(stored) <= len(texts) + 1, "more is stored than was in flight"
    check_store(staffed.store)
    # The lead in signing ended with its session: a turn finds that out, and a later one leads again.
    until(lambda: staffed.opened.signer.flush() or staffed.opened.signer.lag()[0] == 0)
    assert staffed.store.checkpoint().size == staffed.store.head().next_index
