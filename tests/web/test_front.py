"""The front with the whole application: what runs on the event loop, and what waits elsewhere."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tests.keyring.rings import REGION
from tests.playback.test_issuance import REGION_WITHOUT_RING
from tests.support import event_loop
from tests.support.deployment import Deployment, directory_over
from tests.support.front_requests import Answer, Request
from tests.web.problem_shape import assert_problem_document
from tokensvc.arns import ChannelArn
from tokensvc.audit import AuditEvent
from tokensvc.errors import AuditUnavailable
from tokensvc.ivs.model import Channel
from tokensvc.token.jws import verify
from tokensvc.waiting import may_wait
from tokensvc.web.app import create_app
from tokensvc.web.front import Application, Front
from tokensvc.web.http1 import RECEIVED_AT
from tokensvc.web.overload import MAX_AGE_SECONDS, MIN_SERVED

SINGLE = "/v1/playback-urls"
BATCH = "/v1/playback-urls:batch"
WAIT_SECONDS = 10.0


@dataclass
class ThreadAudit:
    """An audit log in memory that notes the thread of each line.

    Attributes:
        lines: the lines, each with the name of the thread that wrote it.
        waits_at: the numbers of the lines before which the reader is slow.
    """

    lines: list[tuple[AuditEvent, str]] = field(default_factory=list)
    waits_at: frozenset[int] = frozenset()
    failure: AuditUnavailable | None = None

    def write(self, event: AuditEvent) -> None:
        """Append the line. Waits first where the test says so."""
        if len(self.lines) in self.waits_at:
            may_wait()
        self.lines.append((event, threading.current_thread().name.partition("_")[0]))

    @property
    def events(self) -> list[AuditEvent]:
        """The lines alone."""
        return [event for event, _ in self.lines]


def front_over(deployment: Deployment, audit: ThreadAudit, threads: int = 4, **parts: Any) -> Front:
    """A front over the deployment's service with another audit log and other parts."""
    issuer = deployment.issuer_with(audit=audit, **parts)
    app = deployment.create_app(deployment.service_with(issuer=issuer))
    return Front(cast("Application", app), threads=threads)


def batch_of(deployment: Deployment, *channels: str) -> Request:
    """A batch for these channels."""
    requests = [{"channel": name, "viewer_id": f"v{n}"} for n, name in enumerate(channels)]
    return Request(BATCH, {"requests": requests}, authorization(deployment))


def single_of(deployment: Deployment, channel: str = "demo") -> Request:
    """A request for one URL."""
    return Request(SINGLE, {"channel": channel}, authorization(deployment))


def authorization(deployment: Deployment) -> dict[str, str]:
    """The header with the API key of the deployment."""
    return {"authorization": f"Bearer {deployment.key}"}


def run(main: Coroutine[Any, Any, Answer | None]) -> Answer:
    """The answer of the coroutine, which must answer."""
    answer = event_loop.run(main)
    assert answer is not None
    return answer


def test_other_requests_take_turns_while_a_batch_is_made(deployment: Deployment) -> None:
    """All on the loop, after the channels and signers are there; through Flask, in a thread."""
    audit = ThreadAudit()
    front = front_over(deployment, audit)
    is_direct = deployment.create_app.__name__ == "create_app"

    async def main() -> None:
        await single_of(deployment).send_to(front)
        audit.lines.clear()
        batch = asyncio.create_task(batch_of(deployment, *["demo"] * 100).send_to(front))
        singles = 0
        while not batch.done():
            answer = await single_of(deployment).send_to(front)
            assert answer is not None
            assert answer.status == 200
            singles += 1
            await asyncio.sleep(0)
        answer = batch.result()
        assert answer is not None
        assert answer.headers["content-length"] == str(len(answer.body))
        active = deployment.public_keys[deployment.active_key_id]
        results = answer.json()["results"]
        assert [result["viewer_id"] for result in results] == [f"v{n}" for n in range(100)]
        assert {verify(result["token"], [active]) for result in results} == {active}
        assert singles > (5 if is_direct else 0)

    event_loop.run(main())
    in_batch = Counter(thread for event, thread in audit.lines if event.viewer_id is not None)
    assert in_batch == {"loop" if is_direct else "request": 100}


@pytest.mark.parametrize("application", [create_app], indirect=True)
def test_a_batch_stops_when_its_client_leaves(deployment: Deployment) -> None:
    """What was issued has its lines. Nothing is sent, and the rest is not issued.

    Flask's view makes a batch in one turn, in a thread.
    """
    audit = ThreadAudit()
    front = front_over(deployment, audit)
    request = batch_of(deployment, *["demo"] * 100)

    async def main() -> Answer | None:
        await single_of(deployment).send_to(front)
        batch = asyncio.create_task(request.send_to(front))
        await asyncio.sleep(0)
        request.left.set()
        return await batch

    assert event_loop.run(main()) is None
    assert 1 < len(audit.events) < 101


# --- Wherever a request must wait, it has one line for each item


CHANNELS = ["demo", "nowhere", "demo", "lobby", "demo", "demo", "demo"]
CODES = ["", "not_entitled", "", "channel_not_private", "", "", ""]


def unknown_channel(_: Deployment, __: ThreadAudit) -> None:
    """The channels must be looked up, by the first request."""


def slow_reader_at_first(_: Deployment, audit: ThreadAudit) -> None:
    """The first line can't be written at once."""
    audit.waits_at = frozenset({0})


def slow_reader_later(_: Deployment, audit: ThreadAudit) -> None:
    """Some lines in the middle, and the last one."""
    audit.waits_at = frozenset({2, 3, 6})


@pytest.mark.parametrize("cause", [unknown_channel, slow_reader_at_first, slow_reader_later])
def test_a_request_that_must_wait_has_one_line_for_each_item(
    deployment: Deployment, cause: Callable[[Deployment, ThreadAudit], None]
) -> None:
    """Also a batch that must wait when some of its items are made. All have one request ID."""
    audit = ThreadAudit()
    front = front_over(deployment, audit)
    cause(deployment, audit)
    assert_one_line_for_each(deployment, batch_of(deployment, *CHANNELS), front, audit)
    cause(deployment, audit)
    assert_one_line_for_each(deployment, single_of(deployment), front, audit)
    cause(deployment, audit)
    assert_one_line_for_each(
        deployment, single_of(deployment), front_over(deployment, audit), audit
    )


def test_a_request_that_must_read_the_state_has_one_line_for_each_item(
    own_deployment: Deployment,
) -> None:
    """When the view of the ring and the API keys are too old."""
    audit = ThreadAudit()
    front = front_over(own_deployment, audit)
    for request in (batch_of(own_deployment, *CHANNELS), single_of(own_deployment)):
        own_deployment.world.clock.advance(100_000)
        assert_one_line_for_each(own_deployment, request, front, audit)


def assert_one_line_for_each(
    deployment: Deployment, request: Request, front: Front, audit: ThreadAudit
) -> None:
    """Send the request. Fails unless each result has one line, with the ID of the request."""
    audit.lines.clear()
    answer = run(request.send_to(front))
    results = answer.json().get("results", [answer.json()])
    codes = CODES if len(results) > 1 else [""]
    assert [result.get("code", "") for result in results] == codes
    assert [event.code for event in audit.events] == codes
    assert {event.request_id for event in audit.events} == {answer.headers["x-request-id"]}
    active = deployment.public_keys[deployment.active_key_id]
    signed_by = [verify(each["token"], [active]) for each in results if each.get("token")]
    assert signed_by == codes.count("") * [active]


@pytest.mark.parametrize("application", [create_app], indirect=True)
def test_a_batch_waits_in_a_thread_for_one_item_and_continues_on_the_loop(
    deployment: Deployment,
) -> None:
    """With the item whose line could not be written at once."""
    audit = ThreadAudit()
    front = front_over(deployment, audit)

    async def main() -> None:
        await single_of(deployment).send_to(front)
        audit.lines.clear()
        audit.waits_at = frozenset({50})
        await batch_of(deployment, *["demo"] * 100).send_to(front)

    event_loop.run(main())
    assert [event.viewer_id for event in audit.events] == [f"v{n}" for n in range(100)]
    threads = [thread for _, thread in audit.lines]
    assert threads[:51] == 50 * ["loop"] + ["request"]
    assert threads[-1] == "loop"


# --- Waiting for IVS


def test_a_region_that_hangs_takes_no_thread_from_another_one(deployment: Deployment) -> None:
    """Not even the only thread: the loop waits for lookups."""
    ends = threading.Event()
    hanging = f"arn:aws:ivs:{REGION}:123456789012:channel/hanging"
    elsewhere = f"arn:aws:ivs:{REGION_WITHOUT_RING}:123456789012:channel/lobby"
    key = deployment.new_key(f"elsewhere {deployment.create_app.__name__}", "other-region")

    def fetch(arn: ChannelArn) -> Channel:
        if arn.resource_id.startswith("hanging"):
            ends.wait(WAIT_SECONDS)
        is_private = arn.region == REGION
        return Channel(arn, "", is_private=is_private, playback_url="https://example.com/a.m3u8")

    directory = directory_over(fetch, deployment.world.clock)
    rings = {REGION_WITHOUT_RING: deployment.service.rings[REGION], **deployment.service.rings}
    front = front_over(deployment, ThreadAudit(), threads=1, directory=directory, rings=rings)
    to_elsewhere = Request(SINGLE, {"channel": elsewhere}, {"authorization": f"Bearer {key}"})

    async def main() -> None:
        await single_of(deployment).send_to(front)
        blocked = [
            asyncio.create_task(request.send_to(front))
            for request in (
                single_of(deployment, f"{hanging}1"),
                single_of(deployment, f"{hanging}2"),
                batch_of(deployment, f"{hanging}3", f"{hanging}4"),
            )
        ]
        await asyncio.sleep(0.05)
        began_at = time.monotonic()
        known = await single_of(deployment).send_to(front)
        unknown = await to_elsewhere.send_to(front)
        assert time.monotonic() - began_at < 1.5
        ends.set()
        assert known is not None
        assert known.status == 200
        assert unknown is not None
        assert unknown.json()["code"] == "channel_not_private"  # Which only IVS knows.
        for answer in await asyncio.gather(*blocked):
            assert answer is not None
            assert answer.status == 200

    event_loop.run(main())
    directory.close()


# --- Overload


def test_a_request_that_waited_too_long_for_its_turn_is_refused(deployment: Deployment) -> None:
    """With the usual problem document, without a decision. Health checks are always answered."""
    audit = ThreadAudit()
    front = front_over(deployment, audit)

    async def main() -> list[Answer | None]:
        late = {RECEIVED_AT: time.monotonic() - MAX_AGE_SECONDS}
        first, refused, on_time = (single_of(deployment) for _ in range(3))
        first.extra = refused.extra = late
        refused.headers = {**refused.headers, "x-request-id": "abc"}
        health = [Request(path, extra=late) for path in ("/healthz", "/readyz")]
        requests = [*MIN_SERVED * [first], refused, *health, on_time]
        on_time.extra = {RECEIVED_AT: time.monotonic() + 60}
        return [await request.send_to(front) for request in requests]

    answers = event_loop.run(main())
    refused = answers.pop(MIN_SERVED)
    assert refused is not None
    assert refused.status == 503
    assert refused.headers["retry-after"] == "5"
    assert refused.headers["x-request-id"] == "abc"
    assert refused.headers["content-length"] == str(len(refused.body))
    assert refused.json()["request_id"] == "abc"
    assert_problem_document(refused.json(), "overloaded")
    assert {answer.status for answer in answers if answer} == {200}
    assert len(audit.events) == len(answers) - 2
