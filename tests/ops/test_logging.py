"""The service's log: lines of JSON with stable codes, and no words of anybody but ours."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from ops.logging import configure_logging, log, place_of
from ops.wsgi import _edge, fixed_words


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_has_code_level_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    log("info", "serve.ready", bind="127.0.0.1:1")
    log("debug", "serve.ready")
    (line,) = lines(capsys)
    assert line["code"] == "serve.ready"
    assert line["level"] == "info"
    assert line["at"].endswith("Z")


def test_the_text_of_an_error_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("debug")
    try:
        raise ValueError("canary of a name")
    except ValueError as error:
        logging.getLogger("flask.app").exception("canary in a path")
        logging.getLogger("_granian").exception("canary in a message")
        log("error", "request.crashed", **place_of(error))
    logging.getLogger("werkzeug").error("canary %s", "Zed")
    logging.getLogger("_granian").warning("the server says")
    found = lines(capsys)
    assert len(found) == 5
    assert "canary" not in json.dumps(found)
    assert [line.get("error") for line in found] == ["ValueError", "ValueError", "ValueError", None, None]
    assert found[-1]["message"] == "the server says"


def call(app: Callable[..., Iterable[bytes]], path: str, query: str = "") -> tuple[str, bytes]:
    statuses: list[str] = []
    body = app(
        {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query},
        lambda status, _headers, _info=None: statuses.append(status),
    )
    return statuses[-1], b"".join(body)


def crashing(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    raise ValueError("canary of a name")


def test_a_crash_is_a_500_with_a_request_id_that_the_log_knows(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    status, body = call(_edge(crashing, frozenset({"", "v1"}), verbose=False), "/v1/canary", "name=canary")
    crash, failure = lines(capsys)
    assert status.startswith("500")
    assert json.loads(body)["request_id"] == crash["request_id"]
    assert (failure["code"], failure["path"]) == ("request.failed", "/v1/*")
    assert "canary" not in json.dumps([crash, failure]) + body.decode()


def test_what_goes_well_is_logged_only_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    def well(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [])
        return [b"{}"]

    for level in ("info", "debug"):
        configure_logging(level)
        assert call(_edge(well, frozenset({""}), verbose=level == "debug"), "/Canary", "canary") == ("200 OK", b"{}")
    (line,) = lines(capsys)
    assert (line["code"], line["status"], line["path"]) == ("request.done", 200, "/*")


def test_only_the_words_of_the_api_are_shown_of_a_path() -> None:
    words = frozenset({"", "v1", "clients", "notes"})
    assert fixed_words("/v1/clients/0b6c/notes", words) == "/v1/clients/*/notes"
    assert fixed_words("/v1/Jane%20Doe/../clients", words) == "/v1/*/*/clients"
