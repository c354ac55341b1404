"""The metrics of a service, for Prometheus: counted in each worker, read as one.

Labels have few values, whatever clients send: paths that are not a route are `other`.
Import this module in a worker, after its fork: prometheus_client decides at its import whether
several processes share their metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from tokensvc.meter import HookOutcome, Meter
from tokensvc.telemetry.metric_files import reading

GRANTED: Final = "granted"
OTHER: Final = "other"

_REQUEST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_SIGNATURE_BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 2.0)
_HOOK_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
_AWS_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0)


class PrometheusMeter(Meter):
    """Counts in this process.

    Args:
        routes: the paths of the routes. Paths that begin with one and a slash count as it.

    Attributes:
        registry: the metrics.
    """

    def __init__(self, routes: Iterable[str]) -> None:
        self._routes = frozenset(routes)
        registry = self.registry = CollectorRegistry()
        decisions = Counter(
            "tokensvc_playback_decisions",
            "Requests for a playback URL, by the code of the refusal, or `granted`.",
            ("code",),
            registry=registry,
        )
        requests = Histogram(
            "tokensvc_http_request_seconds",
            "Time from a request, whole, to its response.",
            ("route", "status"),
            registry=registry,
            buckets=_REQUEST_BUCKETS,
        )
        aws_calls = Histogram(
            "tokensvc_aws_call_seconds",
            "Time of each attempt to call AWS. Status 0: there was no answer.",
            ("service", "operation", "status"),
            registry=registry,
            buckets=_AWS_BUCKETS,
        )
        signatures = Histogram(
            "tokensvc_signature_seconds",
            "Time to sign a token.",
            registry=registry,
            buckets=_SIGNATURE_BUCKETS,
        )
        hook = Histogram(
            "tokensvc_entitlement_hook_seconds",
            "Time of each question to the entitlement hook, by what came of it.",
            ("outcome",),
            registry=registry,
            buckets=_HOOK_BUCKETS,
        )
        limited = Counter(
            "tokensvc_rate_limited",
            "Requests, and items of batches, that a rate limit has refused.",
            ("limit",),
            registry=registry,
        )
        answers = Counter(
            "tokensvc_channel_answers",
            "Requests for a channel, by what was in memory.",
            ("answer",),
            registry=registry,
        )
        self._signatures = signatures
        # Finding the child of a label costs as much as counting.
        self._decision = lru_cache(maxsize=256)(decisions.labels)
        self._request = lru_cache(maxsize=1_024)(
            lambda route, status: requests.labels(route, str(status))
        )
        self._aws_call = lru_cache(maxsize=1_024)(
            lambda service, operation, status: aws_calls.labels(service, operation, str(status))
        )
        self._hook = lru_cache(maxsize=16)(hook.labels)
        self._limited = lru_cache(maxsize=16)(limited.labels)
        self._answers = lru_cache(maxsize=16)(answers.labels)
        self._route = lru_cache(maxsize=256)(self._route_of)

    def decided(self, code: str) -> None:
        """Count a decision."""
        self._decision(code or GRANTED).inc()

    def signed(self, seconds: float) -> None:
        """Observe the time of a signature."""
        self._signatures.observe(seconds)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Observe the time of a request."""
        self._request(self._route(path), status).observe(seconds)

    def called_aws(self, service: str, operation: str, status: int, seconds: float) -> None:
        """Observe the time of an attempt to call AWS."""
        self._aws_call(service, operation, status).observe(seconds)

    def asked_hook(self, outcome: HookOutcome, seconds: float) -> None:
        """Observe the time of a question to the entitlement hook."""
        self._hook(outcome).observe(seconds)

    def limited(self, limit: str) -> None:
        """Count a refusal."""
        self._limited(limit).inc()

    def used_answers(self, answer: str, count: int) -> None:
        """Count requests for channels."""
        self._answers(answer).inc(count)

    def _route_of(self, path: str) -> str:
        if path in self._routes:
            return path
        parent = path.rpartition("/")[0]
        return f"{parent}/…" if parent in self._routes else OTHER


Mode = Literal["livemostrecent", "livemax", "livemin"]


@dataclass(frozen=True, slots=True)
class GaugeTerms:
    """A gauge that each worker sets, and its labels.

    Attributes:
        help_text: what it is.
        labels: the names of its labels.
        mode: which of the values of all live workers counts: `livemostrecent` where all look at the
            same, else `livemax` or `livemin`, so that none hides the trouble of another.
    """

    help_text: str
    labels: tuple[str, ...] = ()
    mode: Mode = "livemostrecent"


class ServiceGauges:
    """Gauges that a worker sets every few seconds."""

    def __init__(self, terms: Mapping[str, GaugeTerms]) -> None:
        """Gauges with these names."""
        registry = CollectorRegistry()
        self._gauges = {
            name: Gauge(
                name,
                each.help_text,
                each.labels,
                registry=registry,
                multiprocess_mode=each.mode,
            )
            for name, each in terms.items()
        }

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set the value for these labels."""
        gauge = self._gauges[name]
        (gauge.labels(*labels) if labels else gauge).set(value)


class SharedMetrics(Collector):
    """The metrics of all workers, read from their files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = MultiProcessCollector(None, str(folder))  # type: ignore[no-untyped-call]

    def collect(self) -> Iterable[Metric]:
        """Read the files of all workers."""
        with reading(self._folder):
            return list(self._files.collect())  # type: ignore[no-untyped-call]


def registry_of(folder: Path) -> CollectorRegistry:
    """A registry with the metrics of all workers."""
    registry = CollectorRegistry()
    registry.register(SharedMetrics(folder))
    return registry
