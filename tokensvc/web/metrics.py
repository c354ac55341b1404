"""Metrics of a worker: what it counts, what it looks up every few seconds, and `/metrics`.

Every worker listens on the address of the metrics, and answers for all workers: it reads the files
that they share. Import this module in a worker, after its fork.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Final

from prometheus_client.exposition import MetricsHandler

from tokensvc.access.api_keys import ApiKeys
from tokensvc.clock import Moment
from tokensvc.errors import TokensvcError
from tokensvc.keyring.drains import drain_ends
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.view import RingView
from tokensvc.service import Service
from tokensvc.settings.metrics import MetricsSettings
from tokensvc.state.watch import Watched
from tokensvc.telemetry.metric_files import FOLDER_VARIABLE, add_up_ended
from tokensvc.telemetry.metrics import PrometheusMeter, ServiceGauges, registry_of

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

_GAUGES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "tokensvc_key_pairs": ("Key pairs by their state.", ("region", "state")),
    "tokensvc_active_key_age_seconds": (
        "Time since the active key pair became active; -1 if there is none.",
        ("region",),
    ),
    "tokensvc_drain_seconds": (
        "Time until the next retiring key pair may be deleted; 0 if none is retiring.",
        ("region",),
    ),
    "tokensvc_reconcile_age_seconds": (
        "Time since `tokensvc keys reconcile` succeeded; -1 if it never did.",
        ("region",),
    ),
    "tokensvc_view_age_seconds": (
        "Time since a document of the state was read; -1 if it never was.",
        ("document",),
    ),
    "tokensvc_issuer_keys_age_seconds": (
        "Time since the keys of an issuer were fetched; -1 if they never were.",
        ("issuer",),
    ),
    "tokensvc_bans": ("Bans and kicks that are kept, also those that are over.", ()),
    "tokensvc_bans_pending": ("Bans and kicks that Amazon IVS has not confirmed yet.", ()),
    "tokensvc_signing": (
        "1 if this region can sign now, else 0.",
        ("region",),
    ),
}

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
        self._gauges = ServiceGauges(_GAUGES)
        self._server: _Server | None = None
        self._stop = threading.Event()

    def start(self, service: Service) -> None:
        """Set the gauges every few seconds, and answer scrapes.

        An address that can't be used is logged: the service works without its metrics.
        """
        threading.Thread(
            target=self._watch, args=(service,), name="set gauges", daemon=True
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

    def _watch(self, service: Service) -> None:
        while True:
            try:
                add_up_ended(self._folder)
                set_gauges(self._gauges, service)
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


def set_gauges(gauges: ServiceGauges, service: Service) -> None:
    """Set every gauge to what the service knows now."""
    moment = Moment.of(service.clock)
    _set_view_age(gauges, "api-keys", service.api_keys, moment)
    _set_view_age(gauges, "bans", service.bans.watched, moment)
    _set_bans(gauges, service, moment)
    for region, view in service.rings.items():
        _set_view_age(gauges, f"ring {region}", view, moment)
        _set_ring(gauges, region, view, moment)
        run = service.reconciles.record().region(region)
        succeeded_at = None if run is None else run.succeeded_at
        gauges.set("tokensvc_reconcile_age_seconds", _age(succeeded_at, moment), region)
    for issuer in service.oidc.issuers if service.oidc else ():
        age = issuer.keeper.age_seconds(moment)
        fetched = -1.0 if age is None else age
        gauges.set("tokensvc_issuer_keys_age_seconds", fetched, issuer.terms.name)


def _set_bans(gauges: ServiceGauges, service: Service, moment: Moment) -> None:
    with suppress(TokensvcError):
        book = service.bans.within(service.access_max_age_seconds, moment)
        gauges.set("tokensvc_bans", len(book.events))
        gauges.set("tokensvc_bans_pending", sum(ban.unconfirmed for ban in book.bans))


def _set_ring(gauges: ServiceGauges, region: str, view: RingView, moment: Moment) -> None:
    gauges.set("tokensvc_signing", 0.0, region)
    with suppress(TokensvcError):
        ring = view.ring(moment)
        for state in KeyState:
            gauges.set("tokensvc_key_pairs", len(ring.in_state(state)), region, state.value)
        active_at = None if ring.active is None else ring.active.activated_at
        gauges.set("tokensvc_active_key_age_seconds", _age(active_at, moment), region)
        ends = drain_ends(ring)
        left = max(0.0, ends[0][0] - moment.now) if ends else 0.0
        gauges.set("tokensvc_drain_seconds", left, region)
        if view.custody_failure(moment) is None:
            gauges.set("tokensvc_signing", 1.0, region)


def _set_view_age(
    gauges: ServiceGauges,
    document: str,
    view: Watched[ApiKeys] | Watched[None] | RingView,
    moment: Moment,
) -> None:
    age = -1.0
    with suppress(TokensvcError):
        age = view.latest().age_seconds(moment)
    gauges.set("tokensvc_view_age_seconds", age, document)


def _age(at: float | None, moment: Moment) -> float:
    return -1.0 if at is None else max(0.0, moment.now - at)
