"""The service's own log: JSON lines on stderr, each with a stable code, never with clinical content.

Source: DESIGN (promise 5); CRYPTO 8.

- A line is `{"code", "level", "at", …}`. Codes are in `CODES` and stay; whoever watches the service matches on them.
- No query string, no header, no body, no name. A path is shown by its fixed words only.
- An error is shown by its class and the place in the code, never by its text, which may hold what was entered.
- What libraries log goes through the same formatter; only the server's and the pool's own words are passed on.

It is not the access log: who read what is in the ledger (`records.access_log`).
"""

from __future__ import annotations

import logging
import logging.config
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO, cast

import structlog

CODES = {
    "serve.starting": "The service is about to listen; `bind`, `engine`, `threads` and `workers` say how.",
    "serve.ready": "The clinic is open, its keys open, and requests are answered.",
    "serve.stopped": "What was in flight is answered, and nothing new is taken; log and keys are closed next.",
    "request.done": "A request was answered (level debug): `method`, `path`, `status`, `ms`.",
    "request.failed": "A request was answered with 5xx: `method`, `path`, `status`, `ms`.",
    "request.crashed": "An error that the application did not catch was answered with 500: `request_id`, `error`.",
    "control.done": "A command went through the running service: `duty`.",
    "control.refused": "A command that came through the running service was not done: `duty` and `error`.",
    "control.unavailable": "The path of `control.sock` is too long on this system; commands cannot reach the service.",
    "alarm.http.defect": "A request met an unforeseen error in the application: `error`, `where` and `request_id`.",
    "alarm.http.integrity": "A request met altered data or a missing key: `error` and `request_id`.",
    "alarm.seal-broken": "A stored event is not what was written or does not open: `index` in the ledger and `error`.",
    "alarm.stray-rows": "The log holds events that no ledger entry names: `rows`. They are nobody's and are not read.",
    "alarm.queue": "More changes wait for their commit than one commit takes: `figure`, `value`, `limit`.",
    "alarm.checkpoint-lag": "The log runs ahead of its newest checkpoint: `figure`, `value`, `limit`.",
    "alarm.anchor-age": "No checkpoint was kept elsewhere for too long: `figure`, `value` and `limit` in seconds.",
    "alarm.unmeasured": "A figure could not be taken: `figure`, `error` and `at_code`.",
    "watch.cleared": "A figure is back within its limit after an alarm: `figure` and `value`.",
    "metrics.serving": "Metrics of this process are served: `bind`.",
    "alarm.signer-stopped": "The log is not the one that was signed: `index`, `error`. Nothing is signed any more.",
    "alarm.signing-delayed": "A checkpoint could not be stored or a key not read; it is tried again: `error`.",
    "alarm.scrub-found": "What was stored long ago is not what was written: the first bad `index`, and `error`.",
    "alarm.anchor-unwritable": "A checkpoint could not be put where `WELLKEPT_ANCHOR` says: `error`.",
    "signing.stopped": "The signing thread ended; the alarm before it says why.",
    "erasure.completed": "An erasure that was approved before was completed by the service: `erasure`.",
    "alarm.erasure-delayed": "An erasure that was approved cannot be completed now; it goes on: `erasure`, `error`.",
    "alarm.tending-delayed": "The service could not follow the log by itself; it tries again: `error`, `at_code`.",
    "backup.made": "A backup was made: `entries`, and `bytes` of its log and views.",
    "clinic.exported": "Somebody was given the whole clinic as a file; `entries` leave at least.",
    "clock.declared": "Somebody declared the machine's clock right: `newest_us` of the log, and `now_us`.",
    "witness.starting": "The witness listens; `bind` and `logs`, the number of logs that it knows, say how.",
    "witness.signed": "The witness signed a checkpoint: `origin` and `size`.",
    "witness.refused": "The witness did not sign what it was asked to: `status` and `error`.",
    "alarm.witness.forked": "A log asked for a signature over a second history: `origin`; `forks/` keeps it.",
    "alarm.witness.broken": "The witness could not read or keep its own files, so it signs nothing: `error`.",
    "library.message": "A library had something to say: `logger`, and `message` where it is known to hold no content.",
}
"""Every code with its meaning, for the reference page."""

_SPOKEN = ("_granian", "granian", "psycopg.pool")


class _Stderr:
    """Whatever stderr is when a line is written; it may be another one than when logging was set up."""

    def write(self, text: str) -> int:
        """Write text."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Push it out."""
        sys.stderr.flush()


STDERR = _Stderr()


def configure_logging(level: str) -> None:
    """Send the service's log, and that of libraries, to stderr as JSON lines from `level` on."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[_stamp, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, STDERR)),
        cache_logger_on_first_use=False,
    )
    logging.config.dictConfig(library_config(level))


def library_config(level: str) -> dict[str, Any]:
    """Return the configuration of the standard library's logging: one handler, ours, for every logger."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": "ops.logging.LibraryFormatter"}},
        "handlers": {
            "lines": {"class": "logging.StreamHandler", "stream": "ext://ops.logging.STDERR", "formatter": "lines"}
        },
        "root": {"handlers": ["lines"], "level": max("WARNING", level.upper(), key=_level_number)},
        "loggers": {
            name: {"handlers": ["lines"], "level": max("WARNING", level.upper(), key=_level_number), "propagate": False}
            for name in _SPOKEN
        },
    }


def log(level: str, code: str, **facts: Any) -> None:
    """Write one line.

    Raises:
        KeyError: the code is not in `CODES`.
    """
    if code not in CODES:
        raise KeyError(code)
    getattr(structlog.get_logger(), level)(code, **facts)


def alarm(code: str, facts: Mapping[str, object]) -> None:
    """Write an alarm of the record service; see `records.store.mapper.Alarm`."""
    log("error", f"alarm.{code}", **facts)


def place_of(error: BaseException) -> dict[str, str]:
    """Return class and place of an error, without its text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    at = "" if trace is None else f"{trace.tb_frame.f_globals.get('__name__', '')}:{trace.tb_lineno}"
    return {"error": type(error).__name__, "at_code": at}


class LibraryFormatter(logging.Formatter):
    """Formats what libraries log as our lines, without the text of errors."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON line."""
        facts: dict[str, Any] = {"logger": record.name}
        if record.name.startswith(_SPOKEN) and not record.exc_info:
            facts["message"] = record.getMessage().splitlines()[0]
        if record.exc_info and record.exc_info[1] is not None:
            facts |= place_of(record.exc_info[1])
        line = _stamp(None, record.levelname.lower(), {"event": "library.message", **facts})
        return str(structlog.processors.JSONRenderer()(None, "", line))


def _stamp(_: Any, level: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    line = {"code": facts.pop("event"), "level": level, **facts}
    return structlog.processors.TimeStamper(fmt="iso", utc=True, key="at")(None, level, line)


def _level_number(name: str) -> int:
    return logging.getLevelNamesMapping()[name]
