"""Metrics of a worker: what it counts, what it observer up every few seconds, and `/metrics`.

Every worker listens on the address of the metrics, and answers for all workers: it reads the files
that they share. Import this module in a worker, after its fork.
"""

from __future__ import annotations

import logging
import os
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Final

from prometheus_client.exposition import MetricsHandler

from tokensvc.service import Service
from tokensvc.settings.metrics import MetricsSettings
from tokensvc.telemetry.metric_files import FOLDER_VARIABLE, add_up_ended
from tokensvc.telemetry.metrics import PrometheusMeter, ServiceGauges, registry_of
from tokensvc.web.gauges import GAUGES, ServiceObserver

GAUGE_SECONDS: Final = 5.0
"""The time between two updates of the gauges."""

ROUTES: Final = (
    "/.well-known/jwks.json",
    "/docs",
    "/healthz",
    "/openapi.json",
    "/ops",
    "/readyz",
    "/v1/bans",
    "/v1/keys",
    "/v1/ops",
    "/v1/player.js",
    "/v1/playback-urls",
    "/v1/playback-urls:batch",
    "/v1/tokens:inspect",
    "/v1/viewer-session-revocations",
)
"""The routes that have a label of their own, without what clients name in a path."""

_CLIENT_SECONDS: Final = 5  # A client that is slower is disconnected.

_logger = logging.getLogger(__name__)


class WorkerMetrics:
    """The metrics of one worker.

    Attributes:
        meter: counts.
    """

    def __init__(self, settings: MetricsSettings) -> None:
        """Metrics in the folder that the master has made. The settings have a port."""
        self._settings = settings
        self._folder = Path(os.environ[FOLDER_VARIABLE])
        self.meter = PrometheusMeter(ROUTES)
        self._gauges = ServiceGauges(GAUGES)
        self._server: _Server | None = None
        self._stop = threading.Event()

    def start(self, service: Service) -> None:
        """Set the gauges every few seconds, and answer scrapes.

        An address that can't be used is logged: the service works without its metrics.
        """
        observer = ServiceObserver(service, self.meter, self._gauges)
        threading.Thread(
            target=self._watch, args=(observer,), name="set gauges", daemon=True
        ).start()
        try:
            self._server = _Server(self._settings, self._folder)
        except OSError as exc:
            _logger.error(  # noqa: TRY400 # The sentence says it all.
                "The metrics can't be served on %s:%s: %s",
                self._settings.host,
                self._settings.port,
                exc.strerror or exc,
            )
            return
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Stop setting gauges and answering scrapes."""
        self._stop.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _watch(self, observer: ServiceObserver) -> None:
        while True:
            try:
                add_up_ended(self._folder)
                observer.observe()
            except Exception:
                _logger.exception("Can't set the gauges")
            if self._stop.wait(GAUGE_SECONDS):
                return


class _Server(ThreadingHTTPServer):
    """Answers `/metrics`, beside the other workers that listen on the same address."""

    allow_reuse_port = True
    daemon_threads = True

    def __init__(self, settings: MetricsSettings, folder: Path) -> None:
        class Handler(MetricsHandler):
            registry = registry_of(folder)
            timeout = _CLIENT_SECONDS

        super().__init__((settings.host, settings.port or 0), Handler)
