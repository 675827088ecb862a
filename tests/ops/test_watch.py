"""The watch: an alarm when a limit is passed, again after an hour, cleared when it is back; codes are known."""

from __future__ import annotations

import ast
import json
import threading
import time
from pathlib import Path

import pytest

from ops.logging import CODES, alarm, configure_logging
from ops.serving.figures import MEANINGS, Figures, figures_of
from ops.serving.watch import AGAIN_SECONDS, LIMITS, Limit, Watch
from ops.wiring import open_clinic
from records.errors import NotStored
from records.store.unit import Unit
from tests.ops.running import init

ROOT = Path(__file__).parent.parent.parent


class Seconds:
    """A monotonic clock that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Gauge:
    """A figure that a test sets, or that fails."""

    def __init__(self, value: float | None = 0) -> None:
        self.value = value
        self.broken = False

    def __call__(self) -> float | None:
        if self.broken:
            raise NotStored("the disk is gone")
        return self.value


class Watched:
    """A watch over figures that a test sets, with what it told."""

    def __init__(self) -> None:
        self.gauges = {name: Gauge() for name in Figures._fields}
        self.seconds = Seconds()
        self.told: list[tuple[str, dict[str, object]]] = []
        self.watch = Watch(Figures(**self.gauges), lambda *told: self.told.append(told), self.seconds)

    def look(self) -> list[str]:
        """Look once; return the codes that were told."""
        before = len(self.told)
        self.watch.look()
        return [code for code, _ in self.told[before:]]


@pytest.fixture
def watched() -> Watched:
    configure_logging("info")
    return Watched()


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.figure)
def test_a_figure_past_its_limit_is_told_once_an_hour_until_it_is_back(
    watched: Watched, limit: Limit, capsys: pytest.CaptureFixture[str]
) -> None:
    gauge = watched.gauges[limit.figure]
    gauge.value = limit.most
    assert watched.look() == []
    gauge.value = limit.most + 1
    assert watched.look() == [limit.code]
    assert watched.told[0][1] == {"figure": limit.figure, "value": limit.most + 1, "limit": limit.most}
    assert watched.look() == []
    watched.seconds.now += AGAIN_SECONDS
    assert watched.look() == [limit.code]
    gauge.value = 0
    capsys.readouterr()
    assert watched.look() == []
    line = json.loads(capsys.readouterr().err)
    assert (line["code"], line["figure"]) == ("watch.cleared", limit.figure)
    gauge.value = limit.most + 1
    assert watched.look() == [limit.code]


def test_a_figure_that_cannot_be_taken_is_an_alarm_and_one_without_number_is_none(watched: Watched) -> None:
    watched.gauges["anchor_age_seconds"].value = None
    assert watched.look() == []
    watched.gauges["writer_queue"].broken = True
    assert watched.look() == ["unmeasured"]
    facts = watched.told[0][1]
    assert (facts["figure"], facts["error"]) == ("writer_queue", "NotStored")
    assert "disk" not in str(facts)
    assert watched.look() == []


def test_figures_that_nobody_takes_are_not_made_up() -> None:
    told: list[object] = []
    Watch(Figures(writer_queue=Gauge(), ledger_entries=Gauge()), lambda *each: told.append(each)).look()
    assert told == []


def test_it_looks_by_itself_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.serving.watch.LOOK_SECONDS", 0.01)
    seen = threading.Event()
    figures = Figures(writer_queue=Gauge(10_000), ledger_entries=Gauge())
    watch = Watch(figures, lambda code, facts: seen.set())
    watch.start()
    assert seen.wait(10)
    watch.close()
    assert not any(thread.name == "watch" for thread in threading.enumerate())


def test_the_queue_holds_what_waits_for_the_writer(tmp_path: Path) -> None:
    init(tmp_path / "clinic")
    clinic = open_clinic(tmp_path / "clinic")
    figures = figures_of(clinic)
    assert (figures.writer_queue(), figures.ledger_entries()) == (0, clinic.store.head().next_index)
    group = clinic.store._group  # type: ignore[attr-defined]  # the writer's turn is held from here
    group._writing = True
    waiting = [threading.Thread(target=clinic.store.commit, args=(Unit(),)) for _ in range(3)]
    for thread in waiting:
        thread.start()
    until = time.monotonic() + 10
    while clinic.store.waiting() < 3 and time.monotonic() < until:
        time.sleep(0.01)
    assert figures.writer_queue() == 3
    group._lead()
    for thread in waiting:
        thread.join()
    assert figures.writer_queue() == 0
    clinic.close()


def test_every_alarm_that_the_code_raises_has_its_line() -> None:
    raised: set[str] = {limit.code for limit in LIMITS}
    for folder in ("records", "projections", "api", "ops"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                    continue
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in ("alarm", "_alarm", "tell", "_tell", "_told") and isinstance(node.args[0].value, str):
                    raised.add(node.args[0].value)
    assert {"seal-broken", "stray-rows", "unmeasured", "http.defect"} <= raised
    assert {f"alarm.{code}" for code in raised} == {code for code in CODES if code.startswith("alarm.")}


def test_an_alarm_is_a_line_with_a_stable_code(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    alarm("queue", {"figure": "writer_queue", "value": 300, "limit": 256})
    line = json.loads(capsys.readouterr().err)
    assert (line["code"], line["level"], line["value"]) == ("alarm.queue", "error", 300)


def test_every_figure_has_its_meaning() -> None:
    assert set(MEANINGS) == set(Figures._fields)
    assert {limit.figure for limit in LIMITS} <= set(MEANINGS)
