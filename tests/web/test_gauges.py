"""What a worker observer up for its metrics, from a service with real parts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.support.deployment import Deployment
from tests.support.oidc_deployment import oidc_deployment
from tests.support.recording_meter import RecordingMeter
from tests.web.test_jwks import rotate
from tokensvc.service import Service
from tokensvc.telemetry.metrics import ServiceGauges
from tokensvc.web.app import create_app
from tokensvc.web.gauges import GAUGES, ServiceObserver

pytestmark = pytest.mark.parametrize("application", [create_app], indirect=True)
"""The routes do not matter."""


class Recorder(ServiceGauges):
    """Records what is set."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], float] = {}

    def set(self, name: str, value: float, *labels: str) -> None:
        """Record the value of a gauge that exists, with as many labels as it has."""
        assert len(labels) == len(GAUGES[name].labels)
        self.values[name, *labels] = value


def observer_of(service: Service) -> tuple[ServiceObserver, Recorder, RecordingMeter]:
    """What observer at that service, and what it sets and counts."""
    recorder, meter = Recorder(), RecordingMeter()
    return ServiceObserver(service, meter, recorder), recorder, meter


def test_every_gauge_is_set(own_deployment: Deployment) -> None:
    """With an issuer, and on a service on which nothing has happened."""
    with oidc_deployment(own_deployment) as oidc:
        observer, recorder, _ = observer_of(oidc.service)
        observer.observe()
    assert {name for name, *_ in recorder.values} == set(GAUGES)
    assert {key: value for key, value in recorder.values.items() if "age" not in key[0]} == {
        ("tokensvc_key_pairs", "us-west-2", "pending"): 0,
        ("tokensvc_key_pairs", "us-west-2", "published"): 1,
        ("tokensvc_key_pairs", "us-west-2", "active"): 1,
        ("tokensvc_key_pairs", "us-west-2", "retiring"): 0,
        ("tokensvc_key_pairs", "us-west-2", "retired"): 0,
        ("tokensvc_drain_seconds", "us-west-2"): 0,
        ("tokensvc_next_step_seconds", "us-west-2"): -1,
        ("tokensvc_signing", "us-west-2"): 1,
        ("tokensvc_issuer_usable", "main"): 1,
        ("tokensvc_bans",): 0,
        ("tokensvc_bans_pending",): 0,
        ("tokensvc_replicas",): own_deployment.settings.service.workers,
        ("tokensvc_end_due_running",): 0,
        ("tokensvc_due_ends",): 0,
        ("tokensvc_due_ends_late_seconds",): 0,
        ("tokensvc_revocations_done",): 0,
        ("tokensvc_revocations_failed",): 0,
    }


def test_ages_of_what_was_never_read_begin_with_the_worker(own_deployment: Deployment) -> None:
    """So that such a worker is not taken for one that has just read it."""
    with oidc_deployment(own_deployment) as oidc:
        oidc.keeper._held = None
        observer, recorder, _ = observer_of(oidc.service)
        own_deployment.world.clock.advance(60)
        observer.observe()
    assert recorder.values["tokensvc_issuer_keys_age_seconds", "main"] == 60
    assert recorder.values["tokensvc_issuer_usable", "main"] == 0
    assert recorder.values["tokensvc_view_age_seconds", "bans"] == 60


def test_the_answers_about_channels_are_counted_since_the_last_look(
    own_deployment: Deployment,
) -> None:
    """By what each request has found in memory."""
    observer, recorder, meter = observer_of(own_deployment.service)
    headers = {"Authorization": f"Bearer {own_deployment.key}"}
    client = own_deployment.client()
    for _ in range(3):
        client.post("/v1/playback-urls", json={"channel": "demo"}, headers=headers)
    observer.observe()
    observer.observe()
    assert meter.answers == {"unknown": 1, "fresh": 2, "stale": 0, "absent": 0}
    assert recorder.values["tokensvc_channel_answer_age_seconds",] == 0


def test_a_worker_that_can_not_read_the_state_goes_on(
    own_deployment: Deployment, tmp_path: Path
) -> None:
    """Its ages grow, it can't sign, and the other gauges stay as they were."""
    observer, recorder, _ = observer_of(own_deployment.service)
    observer.observe()
    (tmp_path / "state.sqlite3").rename(tmp_path / "moved")
    own_deployment.world.clock.advance(121)
    observer.observe()
    assert recorder.values["tokensvc_signing", "us-west-2"] == 0
    assert recorder.values["tokensvc_view_age_seconds", "api-keys"] == 121
    assert recorder.values["tokensvc_view_age_seconds", "ring us-west-2"] == 121
    assert recorder.values["tokensvc_bans",] == 0


def test_the_next_step_of_a_rotation_is_foreseen(own_deployment: Deployment) -> None:
    """While the old key pair drains; then it is due, and stays so until it is done."""
    world = own_deployment.world
    rotate(own_deployment)
    own_deployment.read_state_again()
    observer, recorder, _ = observer_of(own_deployment.service)
    observer.observe()
    until = recorder.values["tokensvc_next_step_seconds", "us-west-2"]
    assert until == recorder.values["tokensvc_drain_seconds", "us-west-2"] > 0
    world.clock.advance(until)
    own_deployment.read_state_again()
    observer.observe()
    assert recorder.values["tokensvc_next_step_seconds", "us-west-2"] == 0


def test_a_region_without_a_key_pair_does_not_sign(own_deployment: Deployment) -> None:
    """Its next step is due now."""
    world = own_deployment.world
    stored = world.store.load()
    assert stored is not None
    world.store.save(dataclasses.replace(stored.ring, pairs=()), replacing=stored.version)
    own_deployment.read_state_again()
    observer, recorder, _ = observer_of(own_deployment.service)
    observer.observe()
    assert recorder.values["tokensvc_next_step_seconds", "us-west-2"] == 0
    assert recorder.values["tokensvc_active_key_age_seconds", "us-west-2"] == -1
