"""The entitlement hook over real HTTP: its faults, its cache, and questions that are shared."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.access.grants import ARN
from tests.support.clock import ManualClock
from tests.support.deadline import deadline
from tests.support.recording_meter import RecordingMeter
from tests.support.webhook_receiver import (
    SECRET,
    WebhookReceiver,
    join_senders,
    unused_port,
    webhook_receiver,
)
from tokensvc.access.callers import Caller
from tokensvc.access.entitlement import EntitlementHook
from tokensvc.access.entitlement_client import MAX_ASKED_AT_ONCE, HookClient
from tokensvc.access.entitlement_question import Question
from tokensvc.access.requests import PlaybackRequest
from tokensvc.clock import Clock
from tokensvc.errors import EntitlementUnavailable
from tokensvc.ivs.model import Channel
from tokensvc.meter import Meter
from tokensvc.token.claims import PlaybackOptions
from tokensvc.waiting import MustWait, no_waiting

QUESTION = Question(
    caller=Caller("00000000000a", "backend", ("open",)),
    channel=Channel(ARN, "", is_private=True, playback_url="https://example.com/a.m3u8"),
    request=PlaybackRequest(channel="demo", viewer_id="viewer-1"),
    grant="open",
    granted=PlaybackOptions(300),
    request_id="request-1",
)
ALLOW = b'{"decision":"allow"}'
DENY = b'{"decision":"deny"}'
CACHED = b'{"decision":"allow","cache_seconds":60}'
LONG = b'{"decision":"allow","cache_seconds":1000000000}'


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as receiver:
        receiver.otherwise = ALLOW
        yield receiver


@pytest.fixture(name="clock")
def _clock() -> ManualClock:
    """The time of the machine, because the library verifies it."""
    return ManualClock(time.time())


@contextmanager
def hook_at(
    url: str, clock: Clock, meter: Meter | None = None, *, timeout_seconds: float = 5.0
) -> Iterator[EntitlementHook]:
    """A hook at that URL."""
    client = HookClient(url, [SECRET], clock, timeout_seconds=timeout_seconds)
    hook = EntitlementHook(
        client, clock, meter or Meter(), timeout_seconds=timeout_seconds, cache_capacity=2
    )
    yield hook
    hook.close()


def about(viewer_id: str) -> Question:
    """A question about that viewer."""
    return replace(QUESTION, request=replace(QUESTION.request, viewer_id=viewer_id))


def test_a_question_is_signed_and_says_everything(
    receiver: WebhookReceiver, clock: ManualClock
) -> None:
    """The library verifies it. Two questions have different message IDs."""
    with hook_at(receiver.url, clock) as hook:
        assert hook.ask(QUESTION).decision == "allow"
        receiver.otherwise = DENY
        assert hook.ask(QUESTION).decision == "deny"

    first, second = receiver.messages
    assert first.verified() == second.verified() == json.loads(QUESTION.body(clock.now()))
    assert first.path == "/hooks/very-private-path"
    assert first.message_id != second.message_id
    assert first.headers["accept"] == "application/json"


@pytest.mark.parametrize("status", [201, 204, 302, 307, 401, 403, 404, 429, 500, 503])
def test_another_status_than_200_is_no_answer(
    receiver: WebhookReceiver, clock: ManualClock, status: int
) -> None:
    """A redirect is not followed. The error names the host and not the path. Then it is up."""
    receiver.behaviors = [status]
    with hook_at(receiver.url, clock) as hook:
        with pytest.raises(EntitlementUnavailable) as error:
            hook.ask(QUESTION)
        assert hook.ask(QUESTION).decision == "allow"

    assert str(status) in error.value.detail
    assert "127.0.0.1" in error.value.detail
    assert "private-path" not in str(error.value)
    assert error.value.retry_after_seconds == 5
    assert len(receiver.messages) == 2


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b'{"decision":"maybe"}', b'{"decision":"allow","ttl":1}', 16_385 * b" "],
)
def test_an_answer_that_is_not_valid_is_no_answer(
    receiver: WebhookReceiver, clock: ManualClock, body: bytes
) -> None:
    """Neither garbage nor one that is too long. It does not pause the next questions."""
    receiver.behaviors = [body] * 4
    with hook_at(receiver.url, clock) as hook:
        for _ in range(4):
            with pytest.raises(EntitlementUnavailable):
                hook.ask(QUESTION)
        assert hook.ask(QUESTION).decision == "allow"


def test_each_question_that_is_sent_is_measured(
    receiver: WebhookReceiver, clock: ManualClock
) -> None:
    """By what came of it; not those that a cached answer or the pause of a failing hook spares."""
    receiver.behaviors = [CACHED, DENY, b"{}", 500, 500, 500]
    meter = RecordingMeter()
    with hook_at(receiver.url, clock, meter) as hook:
        assert hook.ask(about("a")).decision == hook.ask(about("a")).decision == "allow"
        assert hook.ask(about("b")).decision == "deny"
        for _ in range(5):
            with pytest.raises(EntitlementUnavailable):
                hook.ask(about("c"))

    assert meter.asked == ["allow", "deny", "invalid", "no_answer", "no_answer", "no_answer"]


def test_a_hook_that_does_not_answer_in_time_is_asked_no_more_for_a_while(
    receiver: WebhookReceiver, clock: ManualClock
) -> None:
    """Three failures in a row pause it; a trial after 5 s finds that it answers again."""
    receiver.otherwise = "hang"
    with hook_at(receiver.url, clock, timeout_seconds=0.1) as hook:
        began = time.monotonic()
        with ThreadPoolExecutor(3) as threads:
            failed = [threads.submit(hook.ask, about(name)) for name in ("a", "b", "c")]
        assert {type(each.exception()) for each in failed} == {EntitlementUnavailable}
        assert time.monotonic() - began < 10
        receiver.closing.set()
        join_senders()
        assert len(receiver.messages) == 3

        receiver.otherwise = ALLOW
        with pytest.raises(EntitlementUnavailable):
            hook.ask(about("d"))
        assert len(receiver.messages) == 3
        clock.advance(5)
        assert hook.ask(about("d")).decision == "allow"
        assert hook.ask(about("e")).decision == "allow"


def test_a_request_does_not_wait_for_an_answer_that_never_ends(
    receiver: WebhookReceiver, clock: ManualClock
) -> None:
    """No time-out of a socket ends it. When it has ended, the same question is asked again."""
    receiver.behaviors = ["drip"]
    with hook_at(receiver.url, clock, timeout_seconds=0.1) as hook:
        with pytest.raises(EntitlementUnavailable):
            hook.ask(QUESTION)
        assert threads_that_ask() == 1
        receiver.closing.set()
        join_senders()
        assert hook.ask(QUESTION).decision == "allow"


def test_a_hook_that_hangs_keeps_few_threads(receiver: WebhookReceiver, clock: ManualClock) -> None:
    """However many questions are asked; none of them is answered, and the later ones at once."""
    receiver.otherwise = "hang"
    with hook_at(receiver.url, clock) as hook:
        with no_waiting():
            for number in range(40):
                with pytest.raises(MustWait):
                    hook.ask(about(f"viewer-{number}"))
            assert threads_that_ask() == MAX_ASKED_AT_ONCE == 16
            with deadline(30):
                while len(receiver.messages) < MAX_ASKED_AT_ONCE:
                    time.sleep(0.005)
            clock.advance(1.6)  # The first ones are overdue.
            for _ in range(3):  # The next trial is due after 5 s, and waits for no thread.
                with pytest.raises(EntitlementUnavailable):
                    hook.ask(about("viewer-41"))
                clock.advance(5)
        receiver.closing.set()
        join_senders()
        assert threads_that_ask() == 0
    assert len(receiver.messages) <= MAX_ASKED_AT_ONCE * 2  # A closed connection is tried again.


def threads_that_ask() -> int:
    """The number of threads that wait for the hook."""
    return sum(thread.name == "ask entitlement hook" for thread in threading.enumerate())


def test_nothing_that_listens(clock: ManualClock) -> None:
    """And then there is something that does."""
    port = unused_port()
    with hook_at(f"http://127.0.0.1:{port}/", clock) as hook:
        for _ in range(4):
            with pytest.raises(EntitlementUnavailable):
                hook.ask(QUESTION)


def test_a_connection_that_the_hook_closed_is_opened_again(
    receiver: WebhookReceiver, clock: ManualClock
) -> None:
    """A server may close an idle connection at any time."""
    receiver.behaviors = ["close"]
    with hook_at(receiver.url, clock) as hook:
        assert hook.ask(QUESTION).decision == "allow"
    assert len(receiver.messages) == 2


def test_an_answer_is_cached_for_as_long_as_it_says(
    receiver: WebhookReceiver, clock: ManualClock
) -> None:
    """Refusals too. Without `cache_seconds`, not at all. An hour is the longest."""
    with hook_at(receiver.url, clock) as hook:
        for body, seconds in ((CACHED, 60), (DENY[:-1] + b',"cache_seconds":5}', 5), (LONG, 3_600)):
            receiver.otherwise = body
            answer = hook.ask(QUESTION)
            receiver.messages.clear()
            with no_waiting():  # A cached answer waits for nothing.
                clock.advance(seconds - 0.1)
                assert hook.ask(QUESTION) == answer
                assert hook.ask(replace(QUESTION, request_id="request-2")) == answer
                clock.advance(0.1)
                with pytest.raises(MustWait):
                    hook.ask(QUESTION)
            join_senders()
            hook.ask(QUESTION)
            assert len(receiver.messages) == 1
            clock.advance(10_000)


def test_the_cache_has_a_limit(receiver: WebhookReceiver, clock: ManualClock) -> None:
    """Of three answers, the two that were used last are cached."""
    receiver.otherwise = CACHED
    with hook_at(receiver.url, clock) as hook:
        for name in ("a", "b", "c", "b", "c"):
            hook.ask(about(name))
        assert len(receiver.messages) == 3
        hook.ask(about("a"))
        assert len(receiver.messages) == 4


def test_the_same_question_in_flight_is_asked_once(
    receiver: WebhookReceiver, clock: ManualClock
) -> None:
    """All requests get its answer. The next request asks again."""
    receiver.behaviors = ["hang", ALLOW]
    with hook_at(receiver.url, clock) as hook, no_waiting():
        with pytest.raises(MustWait) as must_wait:
            hook.ask(QUESTION)
        for _ in range(2):
            with pytest.raises(MustWait):
                hook.ask(QUESTION)
        (answer,) = must_wait.value.until
        receiver.closing.set()
        answer.result(10)
        for _ in range(3):  # They run again.
            assert hook.ask(QUESTION).decision == "allow"
        with pytest.raises(MustWait):
            hook.ask(QUESTION)
        join_senders()
    assert len(receiver.messages) == 3  # The connection was closed, and the question sent again.


def test_an_answer_is_handed_over_for_a_short_time_only(
    receiver: WebhookReceiver, clock: ManualClock
) -> None:
    """A client that left does not leave an answer behind for another request."""
    receiver.answering.clear()
    with hook_at(receiver.url, clock) as hook, no_waiting():
        with pytest.raises(MustWait) as must_wait:
            hook.ask(QUESTION)
        receiver.answering.set()
        (answer,) = must_wait.value.until
        answer.result(10)
        receiver.answering.clear()
        clock.advance(2)
        with pytest.raises(MustWait):
            hook.ask(QUESTION)
        receiver.answering.set()
        join_senders()
    assert len(receiver.messages) == 2


def test_the_questions_of_a_batch_are_asked_at_once(
    receiver: WebhookReceiver, clock: ManualClock
) -> None:
    """Each item then has its answer without waiting, two items with the same question too."""
    questions = [about(name) for name in ("a", "b", "c", "a")]
    receiver.answering.clear()  # No answer comes before all are asked.
    with hook_at(receiver.url, clock) as hook:
        with no_waiting():
            asked = [each for each in map(hook.begin, questions) if each is not None]
            with pytest.raises(MustWait) as must_wait:
                hook.wait_for(asked)
        assert len(must_wait.value.until) == 4
        receiver.answering.set()
        for answer in must_wait.value.until:
            answer.result(10)
        with no_waiting():
            hook.wait_for(asked)
            assert {hook.ask(question).decision for question in questions} == {"allow"}
            receiver.answering.clear()
            with pytest.raises(MustWait):
                hook.ask(about("a"))
            receiver.answering.set()
        join_senders()
    assert len(receiver.messages) == 4


def test_after_close_nothing_is_asked(receiver: WebhookReceiver, clock: ManualClock) -> None:
    """A request that comes while a worker stops is refused."""
    with hook_at(receiver.url, clock) as hook:
        hook.close()
        with pytest.raises(EntitlementUnavailable):
            hook.ask(QUESTION)
    assert receiver.messages == []
