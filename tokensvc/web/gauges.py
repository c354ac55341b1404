"""What a worker looks up every few seconds for its metrics: gauges, and counts of the directory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from tokensvc.access.api_keys import ApiKeys
from tokensvc.access.oidc.callers import Issuer
from tokensvc.clock import Moment
from tokensvc.errors import TokensvcError
from tokensvc.ivs import caller_shares
from tokensvc.keyring.drains import drain_ends
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.upcoming import Upcoming, upcoming_step
from tokensvc.keyring.view import RingView
from tokensvc.meter import Meter
from tokensvc.service import Service
from tokensvc.state.watch import Watched
from tokensvc.telemetry.metrics import GaugeTerms, ServiceGauges

GAUGES: Final[Mapping[str, GaugeTerms]] = {
    "tokensvc_key_pairs": GaugeTerms("Key pairs by their state.", ("region", "state")),
    "tokensvc_active_key_age_seconds": GaugeTerms(
        "Time since the active key pair became active; -1 if there is none.", ("region",)
    ),
    "tokensvc_drain_seconds": GaugeTerms(
        "Time until the next retiring key pair may be deleted; 0 if none is retiring.",
        ("region",),
    ),
    "tokensvc_next_step_seconds": GaugeTerms(
        "Time until `tokensvc keys reconcile` has a step to do; -1 if none follows.", ("region",)
    ),
    "tokensvc_reconcile_age_seconds": GaugeTerms(
        "Time since `tokensvc keys reconcile` succeeded; -1 if it never did.", ("region",)
    ),
    "tokensvc_view_age_seconds": GaugeTerms(
        "Time since a worker has read a document of the state, or since it has started.",
        ("document",),
        "livemax",
    ),
    "tokensvc_issuer_keys_age_seconds": GaugeTerms(
        "Time since the keys were fetched that a worker uses, or since it has started.",
        ("issuer",),
        "livemax",
    ),
    "tokensvc_issuer_usable": GaugeTerms(
        "1 if each worker has keys of the issuer that it may use, else 0.", ("issuer",), "livemin"
    ),
    "tokensvc_bans": GaugeTerms("Bans and kicks that are kept, also those that are over."),
    "tokensvc_bans_pending": GaugeTerms("Bans and kicks that Amazon IVS has not confirmed yet."),
    "tokensvc_signing": GaugeTerms(
        "1 if each worker can sign in this region now, else 0.", ("region",), "livemin"
    ),
    "tokensvc_channel_answer_age_seconds": GaugeTerms(
        "Age of the oldest stale answer about a channel that was used lately; 0 if none was.",
        mode="livemax",
    ),
    "tokensvc_replicas": GaugeTerms("Live processes that share the rate limits."),
    "tokensvc_end_due_running": GaugeTerms(
        "1 if a process carries out kicks, bans and due ends, else 0."
    ),
    "tokensvc_due_ends": GaugeTerms("Sessions whose time has come and that have not ended."),
    "tokensvc_due_ends_late_seconds": GaugeTerms(
        "How late the first of these sessions is; 0 if there is none."
    ),
    "tokensvc_revocations_done": GaugeTerms(
        "Kicks, bans and due ends that the process has carried out since it began."
    ),
    "tokensvc_revocations_failed": GaugeTerms(
        "Viewers that Amazon IVS has refused since then, and calls that have failed."
    ),
}


class ServiceObserver:
    """Sets the gauges to what it finds in a service, in one thread."""

    def __init__(self, service: Service, meter: Meter, gauges: ServiceGauges) -> None:
        """An observer of that service, which has just started.

        Args:
            service: the service.
            meter: gets the counts of the directory.
            gauges: gauges with the terms `GAUGES`.
        """
        self._service = service
        self._meter = meter
        self._gauges = gauges
        self._began = Moment.of(service.clock)

    def observe(self) -> None:
        """Set every gauge to what the service knows now. What can't be read stays as it was."""
        service = self._service
        moment = Moment.of(service.clock)
        self._set_view_age("api-keys", service.api_keys, moment)
        self._set_view_age("bans", service.bans.watched, moment)
        self._set_bans(moment)
        for region, view in service.rings.items():
            self._set_view_age(f"ring {region}", view, moment)
            self._set_ring(region, view, moment)
            run = service.reconciles.record().region(region)
            succeeded_at = None if run is None else run.succeeded_at
            self._gauges.set("tokensvc_reconcile_age_seconds", _age(succeeded_at, moment), region)
        for issuer in service.oidc.issuers if service.oidc else ():
            self._set_issuer(issuer, moment)
        self._gauges.set("tokensvc_replicas", service.replicas.count)
        self._count_answers()
        self._set_revocations()

    def _set_bans(self, moment: Moment) -> None:
        service = self._service
        with suppress(TokensvcError):
            book = service.bans.within(service.access_max_age_seconds, moment)
            self._gauges.set("tokensvc_bans", len(book.events))
            self._gauges.set("tokensvc_bans_pending", sum(ban.unconfirmed for ban in book.bans))

    def _set_ring(self, region: str, view: RingView, moment: Moment) -> None:
        gauges, is_signing = self._gauges, False
        with suppress(TokensvcError):
            ring = view.ring(moment)
            for state in KeyState:
                gauges.set("tokensvc_key_pairs", len(ring.in_state(state)), region, state.value)
            active_at = None if ring.active is None else ring.active.activated_at
            gauges.set("tokensvc_active_key_age_seconds", _age(active_at, moment), region)
            ends = drain_ends(ring)
            left = max(0.0, ends[0][0] - moment.now) if ends else 0.0
            gauges.set("tokensvc_drain_seconds", left, region)
            keep_standby = self._service.keep_standby
            upcoming = upcoming_step(ring, moment.now, keep_standby=keep_standby)
            gauges.set("tokensvc_next_step_seconds", _until(upcoming, moment), region)
            is_signing = view.custody_failure(moment) is None
        gauges.set("tokensvc_signing", float(is_signing), region)

    def _set_view_age(
        self,
        document: str,
        view: Watched[ApiKeys] | Watched[None] | RingView,
        moment: Moment,
    ) -> None:
        age = moment.seconds_since(self._began)
        with suppress(TokensvcError):
            age = view.latest().age_seconds(moment)
        self._gauges.set("tokensvc_view_age_seconds", age, document)

    def _set_issuer(self, issuer: Issuer, moment: Moment) -> None:
        name, keeper = issuer.terms.name, issuer.keeper
        age = keeper.age_seconds(moment)
        fetched = moment.seconds_since(self._began) if age is None else age
        self._gauges.set("tokensvc_issuer_keys_age_seconds", fetched, name)
        is_usable = keeper.usable(moment) is not None
        self._gauges.set("tokensvc_issuer_usable", float(is_usable), name)

    def _count_answers(self) -> None:
        uses = self._service.directory.take_uses()
        for answer, count in uses.counts().items():
            self._meter.used_answers(answer, count)
        for _ in range(uses.limited):
            self._meter.limited(caller_shares.LIMIT)
        self._gauges.set("tokensvc_channel_answer_age_seconds", uses.oldest_seconds)

    def _set_revocations(self) -> None:
        with suppress(TokensvcError):
            status = self._service.revocations.look()
            self._gauges.set("tokensvc_end_due_running", float(status.is_running))
            self._gauges.set("tokensvc_due_ends", status.due_ends)
            self._gauges.set("tokensvc_due_ends_late_seconds", status.late_seconds)
            self._gauges.set("tokensvc_revocations_done", status.done)
            self._gauges.set("tokensvc_revocations_failed", status.failed)


def _until(upcoming: Upcoming | None, moment: Moment) -> float:
    if upcoming is None:
        return -1.0
    return 0.0 if upcoming.at is None else max(0.0, upcoming.at - moment.now)


def _age(at: float | None, moment: Moment) -> float:
    return -1.0 if at is None else max(0.0, moment.now - at)
