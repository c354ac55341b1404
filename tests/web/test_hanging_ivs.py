"""An IVS that accepts connections and never answers, over real HTTP and on a plain WSGI server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

import pytest
import urllib3

from tests.keyring.rings import REGION
from tests.playback.test_issuance import REGION_WITHOUT_RING
from tests.support.clock import ManualClock
from tests.support.deployment import Deployment, directory_over
from tests.support.faulty_server import Answer, Fault, FaultyServer, faulty_server
from tests.support.serving import serving
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.ivs.channels import get_channel, get_channels
from tokensvc.keyring.view import RingView
from tokensvc.web.app import create_app

PROMPT_SECONDS = 1.0  # Shorter than a request waits for a lookup.
ELSEWHERE = f"arn:aws:ivs:{REGION_WITHOUT_RING}:123456789012:channel/lobby"


@dataclass(frozen=True)
class Service:
    """A running service, and the IVS of its first region, which answers once and then hangs."""

    url: str
    key: str
    key_elsewhere: str
    ivs: FaultyServer

    def post(self, key: str, channel: str) -> tuple[int, str, float]:
        """The status, the code of the problem if any, and the seconds of a request."""
        began_at = time.monotonic()
        response = urllib3.request(
            "POST",
            f"{self.url}/v1/playback-urls",
            json={"channel": channel},
            headers={"Authorization": f"Bearer {key}"},
            retries=False,
        )
        seconds = time.monotonic() - began_at
        if response.status == 503:
            assert response.headers["Retry-After"] == "5"
        return response.status, response.json().get("code", ""), seconds


def channel_answer(*, is_private: bool) -> Answer:
    """IVS's answer to GetChannel."""
    url = "https://example.com/a.m3u8"
    return Answer(200, {"channel": {"name": "", "authorized": is_private, "playbackUrl": url}})


@contextmanager
def running(clock: ManualClock) -> Iterator[None]:
    """Let the clock run like a real one."""
    ended = threading.Event()

    def run() -> None:
        read_at = time.monotonic()
        while not ended.wait(0.02):
            now = time.monotonic()
            clock.advance(now - read_at)
            read_at = now

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def service(own_deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """The service, for two regions: IVS hangs in the first, and answers in the second."""
    world = own_deployment.world
    with ExitStack() as stack:
        stack.enter_context(running(world.clock))
        hanging = stack.enter_context(
            faulty_server(channel_answer(is_private=True), Fault.NO_RESPONSE)
        )
        answering = stack.enter_context(faulty_server(channel_answer(is_private=False)))
        clients = stack.enter_context(closing(AwsClients(AwsTerms())))
        for region, server in ((REGION, hanging), (REGION_WITHOUT_RING, answering)):
            monkeypatch.setenv("AWS_ENDPOINT_URL_IVS", server.url)
            clients.ivs(region)
        directory = stack.enter_context(
            closing(
                directory_over(
                    partial(get_channel, clients), world.clock, partial(get_channels, clients)
                )
            )
        )
        elsewhere = RingView(
            REGION_WITHOUT_RING, world.state, world.custody, world.clock, refresh_seconds=3_600
        )
        elsewhere.start()
        stack.callback(elsewhere.close)
        issuer = own_deployment.issuer_with(
            directory=directory,
            rings={**own_deployment.service.rings, REGION_WITHOUT_RING: elsewhere},
        )
        key_elsewhere = own_deployment.new_key("elsewhere", "other-region")
        app = create_app(own_deployment.service_with(issuer=issuer))
        url = stack.enter_context(serving(app))
        yield Service(url, own_deployment.key, key_elsewhere, hanging)


def test_an_ivs_that_hangs_stops_only_unknown_channels_of_its_region(
    own_deployment: Deployment, service: Service
) -> None:
    """A known channel is answered at once although its answer is due; an unknown one after 2 s."""
    assert service.post(service.key, "demo")[:2] == (200, "")
    own_deployment.world.clock.advance(300)
    for _ in range(3):
        status, _, seconds = service.post(service.key, "demo")
        assert status == 200
        assert seconds < PROMPT_SECONDS

    status, code, seconds = service.post(service.key, "lobby")
    assert (status, code) == (503, "ivs_unavailable")
    assert 1.9 < seconds < 6.0
    assert service.ivs.operations[:3] == 3 * ["GetChannel"]

    assert urllib3.request("GET", f"{service.url}/healthz", retries=False).status == 200
    status, code, seconds = service.post(service.key_elsewhere, ELSEWHERE)
    assert (status, code) == (409, "channel_not_private")  # Which only IVS knows.
    assert seconds < PROMPT_SECONDS
    status, _, seconds = service.post(service.key, "demo")
    assert status == 200
    assert seconds < PROMPT_SECONDS


def test_a_batch_waits_two_seconds_for_an_ivs_that_hangs(service: Service) -> None:
    """Each of its unknown channels gets a problem document; the known one gets its URL."""
    assert service.post(service.key, "demo")[:2] == (200, "")
    arns = [f"arn:aws:ivs:{REGION}:123456789012:channel/unknown{n}" for n in range(99)]
    began_at = time.monotonic()
    response = urllib3.request(
        "POST",
        f"{service.url}/v1/playback-urls:batch",
        json={"requests": [{"channel": channel} for channel in ["demo", *arns]]},
        headers={"Authorization": f"Bearer {service.key}"},
        retries=False,
        timeout=20,
    )
    assert 1.9 < time.monotonic() - began_at < 8.0
    known, *unknown = response.json()["results"]
    assert known["token"]
    assert {each["code"] for each in unknown} == {"ivs_unavailable"}
    assert len(unknown) == 99


def test_a_region_that_hangs_is_paused(service: Service) -> None:
    """Three unknown channels wait for 2 s each; the fourth one fails at once, and is not sent."""
    assert service.post(service.key, "demo")[:2] == (200, "")
    arns = [f"arn:aws:ivs:{REGION}:123456789012:channel/unknown{n}" for n in range(4)]
    answers = [service.post(service.key, arn) for arn in arns]
    assert {answer[:2] for answer in answers} == {(503, "ivs_unavailable")}
    assert [answer[2] > 1.9 for answer in answers] == [True, True, True, False]
    assert answers[3][2] < PROMPT_SECONDS
    assert service.post(service.key_elsewhere, ELSEWHERE)[:2] == (409, "channel_not_private")
    assert arns[3] not in [request.body["arn"] for request in service.ivs.requests]
