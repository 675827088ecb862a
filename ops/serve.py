"""Serving: one process with threads on SQLite, several processes on PostgreSQL, both on granian.

Source: DESIGN (scale, dependencies), CONTRACT (`wellkept serve`).

- An address that others can reach needs TLS here or trusted proxies in front.
- With one worker the service is one process: it holds the writing lock, answers commands through `control.sock`, and a
  kill ends all of it. With several, each opens the clinic for itself after it was started.
- Stopping is graceful: nothing new is taken, what is in flight is answered, then log and keys are closed.
- It creates neither a database nor a key.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.common import AbstractServer
from granian.server.mp import MPServer
from granian.server.mt import MTServer

from ops import desk
from ops.control import ControlServer
from ops.exits import CommandFailed, Exit
from ops.logging import configure_logging, library_config, log
from ops.opening import open_from
from ops.process_guards import end_with_parent
from ops.serving.overseer import Overseer
from ops.serving.readiness import Readiness
from ops.settings import Bind, Settings
from ops.wiring import Clinic
from ops.wsgi import Extend, Wsgi, begin_signing, make_wsgi, open_wsgi, spare_collector

BACKLOG = 1024


class _OneProcess(MTServer):
    """Granian's server of worker threads, with its one worker in this process.

    The library keeps it for Python without a global lock, since several workers would wait for it. One worker whose
    requests run in a pool of threads is what its server of processes runs, too, only without a process between.
    """

    def _check_gil(self) -> None:
        """One worker does not mind."""

    def serve(self, spawn_target: Any = None, target_loader: Any = None, wrap_loader: bool = True) -> None:
        """Serve until a signal says stop."""
        AbstractServer.serve(self, spawn_target, target_loader, wrap_loader)


def serve(settings: Settings, ready: Callable[[], None], extend: Extend | None = None) -> None:
    """Serve the clinic until SIGTERM or SIGINT.

    Args:
        settings: which clinic, where and how.
        ready: called once when the clinic is open and the service is about to listen.
        extend: adds routes of one's own, with one worker only.

    Raises:
        CommandFailed: the settings cannot be served (exit 2), or the address is taken.
        NotInitialised, KeyMissing, ClinicLocked, NotStored, IntegrityFailure: the clinic cannot be opened.
    """
    check_bind(settings)
    configure_logging(settings.log_level)
    readiness = Readiness()
    with closing(open_from(settings, told=readiness.alarm)) as clinic:
        check_free(settings.bind)
        log(
            "info",
            "serve.starting",
            bind=str(settings.bind),
            engine="sqlite" if settings.database_url is None else "postgresql",
            threads=settings.threads,
            workers=settings.workers,
        )
        if settings.workers == 1:
            _serve_here(clinic, settings, readiness, ready, extend)
            return
    # The clinic was opened once to know that it can be; each worker opens it anew.
    ready()
    _server(MPServer, settings).serve(target_loader=partial(_worker, settings, os.getpid()), wrap_loader=False)
    log("info", "serve.stopped")


def check_bind(settings: Settings) -> None:
    """Refuse what may not be served.

    Raises:
        CommandFailed: exit 2, with the reason.
    """
    protected = settings.tls_certificate_file is not None or settings.trusted_proxies
    if not settings.bind.is_loopback and not protected:
        raise CommandFailed(
            Exit.USAGE,
            "an address that other machines can reach needs TLS (WELLKEPT_TLS_CERTIFICATE_FILE and"
            " WELLKEPT_TLS_KEY_FILE) or a proxy in front (WELLKEPT_TRUSTED_PROXIES)",
        )
    if settings.workers > 1 and settings.database_url is None:
        raise CommandFailed(Exit.USAGE, "more than one worker needs PostgreSQL (WELLKEPT_DATABASE_URL)")


def _serve_here(
    clinic: Clinic, settings: Settings, readiness: Readiness, ready: Callable[[], None], extend: Extend | None
) -> None:
    with ExitStack() as ending:
        control = _control(clinic, settings)
        if control is not None:
            ending.callback(control.close)
        signing = begin_signing(clinic, settings, readiness)
        ending.callback(signing.stop)
        overseer = Overseer(clinic, settings, readiness, signing)
        ending.callback(overseer.close)
        wsgi = make_wsgi(clinic, settings, readiness, extend, overseer.observe)
        spare_collector()
        log("info", "serve.ready")
        ready()
        _server(_OneProcess, settings).serve(target_loader=lambda: wsgi, wrap_loader=False)
        log("info", "serve.stopped")


def _control(clinic: Clinic, settings: Settings) -> ControlServer | None:
    if settings.database_url is not None:
        # PostgreSQL takes any number of writers: commands open the log for themselves.
        return None
    try:
        return ControlServer(settings.data, partial(desk.do, clinic))
    except OSError:
        log("warning", "control.unavailable")
        return None


def _worker(settings: Settings, parent: int) -> Wsgi:
    """Open the clinic in a worker process and return its application."""
    end_with_parent(parent)
    configure_logging(settings.log_level)
    wsgi = open_wsgi(settings)
    log("info", "serve.ready")
    return wsgi


def _server(kind: type[AbstractServer[Any]], settings: Settings) -> AbstractServer[Any]:
    host, port = settings.bind
    return kind(
        target="wellkept",
        address="127.0.0.1" if host == "localhost" else host,
        port=port,
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=settings.threads,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        log_level=LogLevels.warning,
        log_dictconfig=library_config(settings.log_level),
        ssl_cert=settings.tls_certificate_file,
        ssl_key=settings.tls_key_file,
    )


def check_free(bind: Bind) -> None:
    """Refuse an address that is taken: the server shares its ports, so it would take half of another's requests.

    Raises:
        CommandFailed: something listens there, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind.host, bind.port))
        except OSError as error:
            raise CommandFailed(Exit.FAILED, f"{bind} cannot be listened on: {error.strerror}") from error
