"""The WSGI application of a clinic: what the server process runs, and what another WSGI server may load.

- The clinic is opened in the process that serves it, never before a fork: the writing lock and the connections are the
  process's own.
- `application()` takes everything from the environment (for example `granian --interface wsgi --factory
  ops.wsgi:application`).
- This is the outermost edge: an error that the application did not turn into an answer is a 500 without any text.
- Behind a trusted proxy, the address of the caller is the one that the proxy names.
"""

from __future__ import annotations

import gc
import re
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from granian.utils.proxies import wrap_wsgi_with_proxy_headers

from ops.logging import configure_logging, log, place_of
from ops.opening import open_from
from ops.process_guards import guard_process
from ops.serving.one_core import settle_thread
from ops.serving.overseer import Overseer
from ops.serving.readiness import Readiness
from ops.serving.signing import Signing
from ops.settings import Settings, read_settings
from ops.wiring import Clinic

_HEADERS = [("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")]
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
COLLECT_AFTER = (20_000, 20, 20)
"""Allocations before a young collection; young ones before a middle one; middle ones before a whole one."""
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Observe = Callable[[str, int, float], None]
"""Is told method, status and seconds of each answer."""
Extend = Callable[[Any], None]
"""Adds routes to an app before it is served, as the benchmark does with its constant document."""


def application() -> Wsgi:
    """Return the application for the settings of the environment.

    Raises:
        SettingsError, NotInitialised, KeyMissing, ClinicLocked, NotStored, IntegrityFailure: it cannot be served.
    """
    guard_process()
    settings = read_settings()
    configure_logging(settings.log_level)
    return open_wsgi(settings)


def open_wsgi(settings: Settings) -> Wsgi:
    """Open the clinic of the settings for as long as the process runs, and return its application."""
    readiness = Readiness()
    clinic = open_from(settings, told=readiness.alarm)
    # A worker that is killed leaves what it did not sign to whoever takes the lead next.
    signing = begin_signing(clinic, settings, readiness)
    served = make_wsgi(clinic, settings, readiness, observe=Overseer(clinic, settings, readiness, signing).observe)
    spare_collector()
    return served


def begin_signing(clinic: Clinic, settings: Settings, readiness: Readiness) -> Signing:
    """Start the thread that signs beside the service, and return it."""
    assert clinic.signer is not None, "what is served was opened for writing"
    signing = Signing(clinic.signer, clinic.store, readiness.alarm, settings.anchor)
    signing.start()
    return signing


def spare_collector() -> None:
    """Let the garbage collector leave alone what stays for ever, and look at the rest less often.

    A clinic holds its people and clients in memory; going over them with every few requests would cost more than all
    that a request leaves behind.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def make_wsgi(
    clinic: Clinic,
    settings: Settings,
    readiness: Readiness,
    extend: Extend | None = None,
    observe: Observe | None = None,
) -> Wsgi:
    """Return the application of an open clinic; `extend` may add routes to it, `observe` is told of each answer."""
    from api.app import create_app

    # Whoever lists clients first should not be the one who waits for all of them to be read.
    clinic.roster.follow()
    # Nor should whoever exports first be the one for whom the verifier is put together.
    clinic.releasing.exports.make_ready()
    app = create_app(clinic, alarm=readiness.alarm, ready=lambda: readiness.faults(clinic))
    if extend is not None:
        extend(app)
    words = {word for rule in app.url_map.iter_rules() for word in rule.rule.split("/") if not word.startswith("<")}
    wsgi = _edge(app.wsgi_app, frozenset(words), verbose=settings.log_level == "debug", observe=observe)
    if settings.workers == 1:
        wsgi = _on_one_core(wsgi)
    if settings.trusted_proxies:
        wsgi = wrap_wsgi_with_proxy_headers(wsgi, list(settings.trusted_proxies))
    return wsgi


def _on_one_core(inner: Wsgi) -> Wsgi:
    """Wrap an application that one process serves; several processes are spread by the kernel."""

    def settled(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        settle_thread()
        return inner(environ, start_response)

    return settled


def _edge(inner: Wsgi, words: frozenset[str], *, verbose: bool, observe: Observe | None = None) -> Wsgi:
    """Wrap an application: log what failed (and, verbose, everything), and let no error text out."""

    def edge(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        began = time.perf_counter()
        answered: list[str] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            answered.append(status)
            return start_response(status, headers, exc_info)

        try:
            body = inner(environ, start)
        except Exception as error:  # noqa: BLE001 - the outermost edge towards HTTP
            # Nothing above this catches anything: the server would close the connection and log the error's text.
            request_id = str(uuid.uuid4())
            log("error", "request.crashed", method=_fixed_method(environ), request_id=request_id, **place_of(error))
            start("500 Internal Server Error", _HEADERS)
            problem = {"type": "/problems/defect", "title": "Defect", "status": 500, "request_id": request_id}
            body = [msgspec.json.encode(problem)]
        status = int(answered[-1][:3])
        if observe is not None:
            observe(_fixed_method(environ), status, time.perf_counter() - began)
        if status >= 500 or verbose:
            log(
                "error" if status >= 500 else "debug",
                "request.failed" if status >= 500 else "request.done",
                method=_fixed_method(environ),
                path=fixed_words(environ["PATH_INFO"], words),
                status=status,
                ms=round((time.perf_counter() - began) * 1000, 1),
            )
        return body

    return edge


def _fixed_method(environ: dict[str, Any]) -> str:
    method: str = environ["REQUEST_METHOD"]
    return method if method in _METHODS else "*"


def fixed_words(path: str, words: frozenset[str]) -> str:
    """Return the path with everything but the API's own words replaced, since people type names anywhere."""
    return "/".join(part if part in words else "*" for part in re.split("/", path))
