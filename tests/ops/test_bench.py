"""The benchmark names every figure in every run, marks it truthfully, and works from end to end.

How fast this machine is is no test: no number is held to its target here.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.bench import main
from ops.bench.command import GROUPS, results_of
from ops.bench.figure import Bench, Group, Measured, NotMeasured, Target
from ops.bench.report import Result
from ops.bench.rounds import Turn, rate_ratio, run_threads, take_turns

NAMES = [target.name for group in GROUPS for target in group.targets]


def test_every_figure_has_a_name_of_its_own_and_one_bound():
    assert len(set(NAMES)) == len(NAMES)
    for group in GROUPS:
        for target in group.targets:
            assert (target.at_least is None) != (target.at_most is None), target.name


def test_list_names_every_figure(capsys: pytest.CaptureFixture[str]):
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert [line.split()[1] for line in listed.splitlines()] == NAMES


def test_an_unknown_name_is_a_usage_error(capsys: pytest.CaptureFixture[str]):
    assert main(["--only", "no-such-figure"]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("target", "value", "mark"),
    [
        (Target("a", "x", at_least=0.6), 0.6, "pass"),
        (Target("a", "x", at_least=0.6), 0.5999, "below"),
        (Target("a", "ms", at_most=25.0), 25.0, "pass"),
        (Target("a", "ms", at_most=25.0), 25.001, "below"),
    ],
)
def test_a_mark_is_never_rounded_in_the_figures_favour(target: Target, value: float, mark: str):
    result = Result(target, Measured("a", value))
    assert result.mark == mark
    assert result.document()["mark"] == mark


def group_of(*values: float, error: Exception | None = None) -> Group:
    """Return a group of three figures of which so many are measured before an error."""

    def measure(_: Bench) -> Iterator[Measured]:
        for number, value in enumerate(values):
            yield Measured(f"figure-{number}", value)
        if error is not None:
            raise error

    return Group("group", tuple(Target(f"figure-{number}", "x", at_least=1.0) for number in range(3)), measure)


def test_what_is_missing_is_named_with_the_reason(tmp_path: Path):
    results = list(results_of(group_of(2.0, error=NotMeasured("needs a compiler")), Bench(tmp_path)))
    assert [(result.target.name, result.mark, result.reason) for result in results] == [
        ("figure-0", "pass", ""),
        ("figure-1", "not measured", "needs a compiler"),
        ("figure-2", "not measured", "needs a compiler"),
    ]


def test_a_failure_is_said_and_leaves_the_figures_before_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    results = list(results_of(group_of(0.5, 2.0, error=ValueError("broken")), Bench(tmp_path)))
    assert [result.mark for result in results] == ["below", "pass", "not measured"]
    assert results[2].reason == "failed with ValueError"
    assert "broken" in capsys.readouterr().err


def test_turns_alternate_and_the_first_is_not_counted():
    order: list[str] = []

    def turn(name: str, rate: float) -> Turn:
        order.append(name)
        return Turn(1000.0 if len(order) <= 2 else rate)

    slow, quick = take_turns(3, lambda: turn("slow", 1.0), lambda: turn("quick", 4.0))
    assert order == ["slow", "quick"] * 4
    assert rate_ratio(quick, slow) == 4.0
    assert statistics.median(each.rate for each in slow) == 1.0


def test_an_error_in_a_thread_ends_the_turn():
    def fail() -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        run_threads([lambda: None, fail], 0.01)


def test_only_what_is_counted_counts():
    turn = run_threads([lambda: None], 0.02, [lambda: None])
    assert turn.rate > 0
    assert list(turn.latencies) == sorted(turn.latencies)
    assert turn.median_ms <= turn.p99_ms


def quick_run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """Make a quick run; return name → mark, after holding that nothing failed."""
    assert main(["--quick", "--json", *arguments]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["quick"] is True
    for figure in said["figures"]:
        assert (figure["measured"] is None) == (figure["mark"] == "not measured"), figure
        assert figure["measured"] is None or figure["measured"] > 0, figure
    return {figure["name"]: figure["mark"] for figure in said["figures"]}


def test_a_quick_run_over_http_measures_all_its_figures(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    marks = quick_run(capsys, "--only", "http", "--dir", str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert set(marks) == {name for name in NAMES if name.startswith("http-")}
    assert "not measured" not in marks.values()


@pytest.mark.slow
def test_a_quick_run_names_every_figure(capsys: pytest.CaptureFixture[str]):
    # Not under pytest's folder, which its owner alone may enter: a PostgreSQL that root starts is somebody else.
    marks = quick_run(capsys)
    assert sorted(marks) == sorted(NAMES)
    measured = {name for name, mark in marks.items() if mark != "not measured"}
    # What needs a file, a compiler or an environment of its own may be missing; the rest may not.
    assert {name for name in NAMES if name.startswith(("writes-", "http-", "view-", "rebuild-", "postgres-"))} - {
        "writes-32-threads-slow-disk"
    } <= measured
