"""An IVS that hangs: known channels are returned at once, and a request waits for at most 2 s."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

import pytest

from tests.ivs.staged_ivs import (
    NOT_FOUND,
    STAGE,
    UNAVAILABLE,
    WAIT_SECONDS,
    BlockedLookup,
    StagedIvs,
    arn_of,
    before_and_after_refresh,
    seeded_random,
    wait_for_lookups,
    wait_until,
    wait_until_idle,
)
from tests.support.clock import ManualClock
from tokensvc.arns import ChannelArn
from tokensvc.errors import IvsUnavailable
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.lookups import MAX_ASKING
from tokensvc.waiting import MustWait, no_waiting

FRANKFURT = ChannelArn.parse("arn:aws:ivs:eu-central-1:123456789012:channel/frankfurt")
PROMPT_SECONDS = 1.5  # Shorter than a request waits for a lookup.
A, B, C, D = (arn_of(name) for name in "abcd")


@pytest.fixture
def directory(ivs: StagedIvs, clock: ManualClock) -> Iterator[ChannelDirectory]:
    """Fresh for exactly 300 s, usable for 86,400 s, negative for 10 s."""
    terms = DirectoryTerms(jitter=0.0)
    directory = ChannelDirectory(ivs.get_channel, ivs.get_channels, clock, terms, seeded_random())
    yield directory
    directory.close()


@pytest.fixture
def hanging(ivs: StagedIvs) -> Iterator[BlockedLookup]:
    """Every lookup of us-west-2 hangs until the test lets it proceed, or ends."""
    blocked = BlockedLookup()

    def hang() -> None:
        if not ivs.lookups or ivs.lookups[-1] != FRANKFURT:
            blocked()

    ivs.on_lookup = hang
    yield blocked
    blocked.proceed.set()


def code_and_seconds(call: Callable[[], object]) -> tuple[str, float]:
    """The code of the error, or `granted`, and how long the call took."""
    began_at = time.monotonic()
    try:
        call()
    except IvsUnavailable as exc:
        return exc.code, time.monotonic() - began_at
    return "granted", time.monotonic() - began_at


def test_an_unknown_channel_waits_two_seconds_and_its_answer_serves_later_requests(
    directory: ChannelDirectory,
    ivs: StagedIvs,
    hanging: BlockedLookup,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A later request does not wait again. The lookup continues, and is not repeated."""
    with caplog.at_level(logging.WARNING):
        code, seconds = code_and_seconds(lambda: directory.get(STAGE))
        assert code == "ivs_unavailable"
        assert 1.9 < seconds < 6.0
        code, seconds = code_and_seconds(lambda: directory.get(STAGE))
        assert code == "ivs_unavailable"
        assert seconds < PROMPT_SECONDS
    assert [str(STAGE) in message for message in caplog.messages] == [True]
    hanging.proceed.set()
    wait_until_idle(directory)
    assert directory.get(STAGE).name == "answer 1"
    assert ivs.lookups == [STAGE]


def test_a_request_that_joins_an_old_lookup_does_not_wait(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock, hanging: BlockedLookup
) -> None:
    """Two seconds after its begin, nothing waits for a lookup."""
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(code_and_seconds, lambda: directory.get(STAGE))
        assert hanging.started.wait(WAIT_SECONDS)
        clock.advance(2)
        code, seconds = code_and_seconds(lambda: directory.get(STAGE))
        assert code == "ivs_unavailable"
        assert seconds < PROMPT_SECONDS
        hanging.proceed.set()
        assert first.result(WAIT_SECONDS)[1] < 6.0
    wait_until_idle(directory)
    assert directory.get(STAGE).name == "answer 1"


def test_a_known_channel_is_returned_at_once_while_ivs_hangs(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock, hanging: BlockedLookup
) -> None:
    """Although its answer is due, and although all calls that a region may have hang."""
    ivs.on_lookup, hang = lambda: None, ivs.on_lookup
    arns = [arn_of(f"c{number}") for number in range(10)]
    for arn in arns:
        directory.get(arn)
    ivs.on_lookup = hang
    clock.advance(300)
    began_at = time.monotonic()
    names = [directory.get(arn).name for _ in range(3) for arn in arns]
    assert time.monotonic() - began_at < PROMPT_SECONDS
    assert names == 3 * [f"answer {number}" for number in range(1, 11)]
    wait_until(lambda: len(ivs.lookups[10:]) + len(ivs.calls) > 0)
    assert len(ivs.lookups[10:]) + len(ivs.calls) <= MAX_ASKING


def test_three_lookups_that_hang_pause_the_region_and_no_other_one(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock, hanging: BlockedLookup
) -> None:
    """A fourth unknown channel fails at once, without a lookup. Frankfurt answers."""
    with ThreadPoolExecutor(3) as pool:
        waiting = []
        for number, arn in enumerate((A, B, C), start=1):
            waiting.append(pool.submit(code_and_seconds, partial(directory.get, arn)))
            wait_for_lookups(ivs, number)  # So that none share a call.
        clock.advance(2)
        code, seconds = code_and_seconds(lambda: directory.get(D))
        assert code == "ivs_unavailable"
        assert seconds < PROMPT_SECONDS
        assert directory.get(FRANKFURT).arn == FRANKFURT
        assert set(ivs.lookups) == {A, B, C, FRANKFURT}
        assert {each.result(WAIT_SECONDS)[0] for each in waiting} == {"ivs_unavailable"}


def test_after_the_pause_one_trial_is_let_through(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """If it fails, the pause begins again; if IVS answers, every channel is looked up."""
    ivs.error = UNAVAILABLE
    for arn in (A, B, C, D):
        with pytest.raises(IvsUnavailable):
            directory.get(arn)
    assert ivs.lookups == [A, B, C]
    clock.advance(4.9)
    with pytest.raises(IvsUnavailable):
        directory.get(arn_of("e"))
    assert ivs.lookups == [A, B, C]
    clock.advance(0.1)
    for arn in (D, arn_of("f")):
        with pytest.raises(IvsUnavailable):
            directory.get(arn)
    assert ivs.lookups == [A, B, C, D]
    ivs.error = None
    clock.advance(5)
    for arn in (arn_of("g"), arn_of("h")):
        assert directory.get(arn).arn == arn


def test_channels_that_do_not_exist_do_not_pause_the_region(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """Otherwise a caller could stop the lookups of all others."""
    ivs.error = NOT_FOUND
    for number in range(5):
        with pytest.raises(type(NOT_FOUND)):
            directory.get(arn_of(f"absent{number}"))
    assert len(ivs.lookups) == 5


def test_a_known_channel_is_returned_while_its_region_is_paused(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Without a refresh; the refresh is made when the pause ends."""
    directory.get(STAGE)
    clock.advance(300)
    ivs.error = UNAVAILABLE
    for arn in (A, B, C):
        with pytest.raises(IvsUnavailable):
            directory.get(arn)
    ivs.error = None
    assert before_and_after_refresh(directory, STAGE) == ("answer 1", "answer 1")
    assert ivs.lookups == [STAGE, A, B, C]
    clock.advance(5)
    assert before_and_after_refresh(directory, STAGE) == ("answer 1", "answer 5")


def test_a_batch_waits_two_seconds_for_an_ivs_that_hangs(
    directory: ChannelDirectory, ivs: StagedIvs, hanging: BlockedLookup
) -> None:
    """For all of its calls together. Its channels then fail at once, and are answered later."""
    arns = [arn_of(f"c{number:02}") for number in range(100)]
    _, seconds = code_and_seconds(lambda: directory.warm(arns))
    assert 1.9 < seconds < 6.0
    began_at = time.monotonic()
    for arn in arns:
        # The clock of this test stands still, so that requests would still wait for the lookup.
        directory._clock.advance(2)  # type: ignore[attr-defined]
        with pytest.raises(IvsUnavailable):
            directory.get(arn)
    assert time.monotonic() - began_at < WAIT_SECONDS
    hanging.proceed.set()
    wait_until_idle(directory)
    assert {directory.get(arn).name for arn in arns} == {"call 1", "call 2"}
    assert len(ivs.calls) == 2


def test_a_batch_of_known_channels_does_not_wait_for_an_ivs_that_hangs(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock, hanging: BlockedLookup
) -> None:
    """Their refresh runs behind the batch."""
    ivs.on_lookup, hang = lambda: None, ivs.on_lookup
    directory.warm([A, B])
    ivs.on_lookup = hang
    clock.advance(300)
    _, seconds = code_and_seconds(lambda: directory.warm([A, B]))
    assert seconds < PROMPT_SECONDS
    assert [directory.get(arn).name for arn in (A, B)] == ["call 1", "call 1"]
    hanging.proceed.set()
    wait_until_idle(directory)
    assert [directory.get(arn).name for arn in (A, B)] == ["call 2", "call 2"]


def test_a_bug_in_a_refresh_is_logged_and_the_known_channel_is_returned(
    directory: ChannelDirectory,
    ivs: StagedIvs,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The refresh is retried after ten seconds, not with every request."""
    directory.get(STAGE)
    clock.advance(300)
    ivs.error = RuntimeError("a bug")
    for _ in range(2):
        assert before_and_after_refresh(directory, STAGE) == ("answer 1", "answer 1")
    assert len(ivs.lookups) == 2
    assert "a bug" in caplog.text
    ivs.error = None
    clock.advance(10)
    assert before_and_after_refresh(directory, STAGE) == ("answer 1", "answer 3")


def test_on_an_event_loop_a_known_channel_is_returned_and_an_unknown_one_must_wait(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Its lookup begins, so that no thread waits for it. A known channel is refreshed."""
    directory.get(STAGE)
    clock.advance(300)

    with no_waiting():
        assert directory.get(STAGE).name == "answer 1"
    wait_until_idle(directory)
    with no_waiting(), pytest.raises(MustWait) as single:
        directory.get(A)
    wait(single.value.until, WAIT_SECONDS)  # Otherwise all of them may share a call.
    with no_waiting(), pytest.raises(MustWait) as both:
        directory.warm([B, C])
    for must_wait, awaited in ((single.value, 1), (both.value, 2)):
        assert len(must_wait.until) == awaited
        assert 0 < must_wait.seconds <= 2.0
        wait(must_wait.until, WAIT_SECONDS)
    with no_waiting():
        directory.warm([A, B, C])
        assert [directory.get(arn).arn for arn in (A, B, C)] == [A, B, C]
        assert directory.get(STAGE).name == "answer 2"
    assert ivs.lookups == [STAGE, STAGE, A]
    assert [set(call) for call in ivs.calls] == [{B, C}]


def test_after_close_known_channels_are_returned_and_nothing_is_looked_up(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """An unknown channel fails at once."""
    directory.get(STAGE)
    clock.advance(300)
    directory.close()
    assert before_and_after_refresh(directory, STAGE) == ("answer 1", "answer 1")
    with pytest.raises(IvsUnavailable):
        directory.get(A)
    assert ivs.lookups == [STAGE]
