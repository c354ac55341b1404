"""The service as a WSGI application for any server: `tokensvc.web.wsgi:app()`.

A server may call `app` before it forks its workers. Threads and connections don't survive a fork,
so every process that serves requests builds and starts its own service.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from flask import Flask

from tokensvc.audit import Audit, JsonLinesAudit
from tokensvc.audit_output import AuditOutput
from tokensvc.clock import SystemClock
from tokensvc.errors import TokensvcError
from tokensvc.meter import Meter
from tokensvc.service import Overrides, Service, build
from tokensvc.settings import Settings, load_settings
from tokensvc.web.app import create_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

STANDARD_OUTPUT = 1

_log = logging.getLogger(__name__)


def app(settings: Settings | None = None) -> Application:
    """The application for these settings. Default: the settings that the environment selects.

    Raises:
        SettingsInvalid: the settings, or the key-encryption secret that they name, can't be used.
    """
    settings = settings or load_settings(None, os.environ)
    application = Application(settings)
    application.build(JsonLinesAudit(sys.stdout))
    return application


class Metrics(Protocol):
    """Measures a service in one process."""

    @property
    def meter(self) -> Meter:
        """Counts."""
        ...

    def start(self, service: Service) -> None:
        """Measure the service, and let its metrics be read."""
        ...

    def close(self) -> None:
        """Stop, if it was started."""
        ...


class Traces(Protocol):
    """Records the spans of requests."""

    def close(self) -> None:
        """Send what is recorded, and stop."""
        ...


class Application:
    """A WSGI application that starts the service once in each process.

    The audit is written to standard output, one JSON line for each decision.

    Args:
        settings: the settings.
        create_flask_app: makes the routes over a service.
        metrics: measures the service, if it is to be measured.
        traces: records the spans of its requests, if they are traced; closed with the service.
    """

    def __init__(
        self,
        settings: Settings,
        create_flask_app: Callable[[Service], Flask] = create_app,
        metrics: Metrics | None = None,
        traces: Traces | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._traces = traces
        self._create_flask_app = create_flask_app
        self._lock = threading.Lock()
        self._service: Service | None = None
        self._audit: AuditOutput | None = None
        self._flask_app: Flask | None = None
        os.register_at_fork(after_in_child=self._forget)

    def build(self, audit: Audit) -> tuple[Service, Flask]:
        """A service and its Flask application, not started.

        Raises:
            SettingsInvalid: the settings, or the secret that they name, can't be used.
        """
        overrides: Overrides = {} if self._metrics is None else {"meter": self._metrics.meter}
        service = build(self._settings, SystemClock(), audit, **overrides)
        return service, self._create_flask_app(service)

    def start(self) -> None:
        """Start the service in this process, unless it is running already.

        Raises:
            SettingsInvalid: the settings, or the secret that they name, can't be used.
            AuditUnavailable: standard output is closed.
        """
        with self._lock:
            if self._service is not None:
                return
            audit = AuditOutput(STANDARD_OUTPUT)
            service, flask_app = self.build(audit)
            try:
                service.start()
            except TokensvcError:
                service.close()
                audit.close()
                raise
            self._service, self._flask_app, self._audit = service, flask_app, audit
            if self._metrics is not None:
                self._metrics.start(service)

    def close(self) -> None:
        """Stop the service in this process, if it is running."""
        with self._lock:
            service, self._service, self._flask_app = self._service, None, None
            audit, self._audit = self._audit, None
        if self._metrics is not None:
            self._metrics.close()
        if self._traces is not None:
            self._traces.close()
        if service is not None:
            service.close()
        if audit is not None:
            audit.close()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request. The first one in a process starts the service."""
        flask_app = self._flask_app or self._started_flask_app()
        return flask_app(environ, start_response)

    def _started_flask_app(self) -> Flask:
        try:
            self.start()
        except TokensvcError as exc:
            _log.error("The service can't start: %s", exc)  # The text says it all.
        # Without a started service, every route that needs it answers with 503, and the next
        # request tries to start it again.
        return self._flask_app or self.build(JsonLinesAudit(sys.stdout))[1]

    def _forget(self) -> None:
        """In a forked process: drop the parent's service and lock."""
        self._lock = threading.Lock()
        self._service = self._flask_app = self._audit = None
