from __future__ import annotations

import pytest

from tests.support.clock import ManualClock
from tokensvc.arns import ChannelArn, Region
from tokensvc.breaker import Breaker
from tokensvc.errors import ChannelNotFound, IvsRefused, IvsUnavailable
from tokensvc.ivs.breaker import Breakers, CallsPaused

OREGON, FRANKFURT = (
    ChannelArn.parse(f"arn:aws:ivs:{name}:123456789012:channel/a").region
    for name in ("us-west-2", "eu-central-1")
)


def begun(breaker: Breaker, now: float) -> object:
    """A call that the breaker admits."""
    call = breaker.begin(now)
    assert call is not None
    return call


def breaker_after(events: str) -> tuple[Breaker, float]:
    """A breaker after these events, and the time: F a failure, A an answer, a digit its seconds."""
    breaker, now = Breaker("Amazon IVS in us-west-2"), 0.0
    for event in events:
        if event in "FA":
            breaker.end(begun(breaker, now), now, has_failed=event == "F")
        else:
            now += int(event)
    return breaker, now


@pytest.mark.parametrize(
    ("events", "admits"),
    [
        ("", True),
        ("FF", True),
        ("FFF", False),
        ("FF9F", False),  # Only the number of failures matters, not the time between them.
        ("FFAFF", True),
        ("FFAFFF", False),
        ("FFF4", False),
        ("FFF5", True),
        ("FFF5F", False),
        ("FFF5F4", False),
        ("FFF5F5", True),
        ("FFF5A", True),
        ("FFF5AFF", True),
        ("FFF5AFFF", False),
    ],
)
def test_calls_are_paused_for_five_seconds_after_three_failures_in_a_row(
    *, events: str, admits: bool
) -> None:
    """Then one trial is made: an answer ends the pause, and a failure begins it again."""
    breaker, now = breaker_after(events)
    assert breaker.admits(now) is admits


def test_only_one_trial_is_made_in_five_seconds() -> None:
    """Although the trial has no answer yet."""
    breaker, now = breaker_after("FFF5")
    assert breaker.begin(now) is not None
    assert breaker.begin(now + 4.9) is None
    assert breaker.begin(now + 5.0) is not None


def test_a_call_without_an_answer_is_a_failure_after_1500_ms() -> None:
    """While it continues. When it fails later, it is counted once."""
    breaker = Breaker("Amazon IVS in us-west-2")
    calls = [begun(breaker, 0.0) for _ in range(3)]
    assert breaker.admits(1.4)
    assert not breaker.admits(1.5)
    breaker.end(calls[0], 2.5, has_failed=False)
    assert breaker.admits(2.5)
    for call in calls[1:]:
        breaker.end(call, 9.0, has_failed=True)
    assert breaker.admits(9.0)
    for _ in range(2):
        breaker.end(begun(breaker, 9.0), 9.0, has_failed=True)
    assert breaker.admits(9.0)


@pytest.mark.parametrize(
    ("error", "is_failure"),
    [
        (IvsUnavailable("No answer."), True),
        (ChannelNotFound("No such channel."), False),
        (IvsRefused("Denied.", aws_code="AccessDeniedException"), False),
        (RuntimeError("a bug"), False),
    ],
)
def test_only_an_unavailable_ivs_is_a_failure(*, error: Exception, is_failure: bool) -> None:
    """A caller can't pause a region by asking for channels that IVS refuses."""
    breakers = Breakers(ManualClock())

    def fail() -> None:
        raise error

    for _ in range(3):
        with pytest.raises(type(error)):
            breakers.call(OREGON, fail)
    assert breakers.is_open(OREGON) is is_failure
    assert breakers.admits(OREGON) is not is_failure


def test_each_region_has_a_breaker_of_its_own() -> None:
    """A paused region makes no call; another one does."""
    breakers = Breakers(ManualClock())
    called: list[Region] = []

    def fail() -> None:
        raise IvsUnavailable("No answer.")

    for _ in range(3):
        with pytest.raises(IvsUnavailable):
            breakers.call(OREGON, fail)
    with pytest.raises(CallsPaused):
        breakers.call(OREGON, lambda: called.append(OREGON))
    breakers.call(FRANKFURT, lambda: called.append(FRANKFURT))
    assert called == [FRANKFURT]
