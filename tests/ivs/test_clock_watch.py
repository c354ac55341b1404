"""The watch of the serving process: nothing is signed while the clock is certainly off."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from local_ivs.testing import LocalIvsServer

from tests.support.aws import set_aws_endpoint
from tests.support.clock import ManualClock
from tests.support.faulty_server import Answer, FaultyServer, faulty_server
from tokensvc.arns import Region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.aws_dates import DatedAnswer
from tokensvc.clock import Clock, Moment
from tokensvc.errors import ClockOff
from tokensvc.ivs.clock_watch import (
    ASK_AFTER_SECONDS,
    ASK_AGAIN_SECONDS,
    USABLE_SECONDS,
    ClockWatch,
)
from tokensvc.waiting import no_waiting

OREGON = Region("us-west-2")
HOUR = 3_600
TWELVE_HOURS = 43_200


@dataclass
class Watched:
    """A watch, its clock, and the answers of IVS that it took into account.

    Attributes:
        clients: the AWS clients whose answers it gets.
        clock: the clock that it watches.
        watch: the watch, not started.
        answers: the answers of IVS.
    """

    clients: AwsClients
    clock: ManualClock
    watch: ClockWatch
    answers: list[DatedAnswer] = field(default_factory=list)

    def look(self) -> ClockOff | None:
        """Look, and return what requests get then."""
        self.watch.look()
        return self.failure()

    def failure(self) -> ClockOff | None:
        """What requests get now, which waits for nothing."""
        with no_waiting():
            return self.watch.failure(Moment.of(self.clock))


@pytest.fixture(name="ivs_clock")
def _ivs_clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ivs(
    ivs_clock: ManualClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[LocalIvsServer]:
    """A Local IVS with a clock of its own, which agrees at first."""
    with LocalIvsServer(tmp_path, ivs_clock) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        yield server


@pytest.fixture
def watched() -> Iterator[Watched]:
    """A watch that allows 10 s."""
    clock = ManualClock()
    with closing(AwsClients(AwsTerms(max_attempts=1), clock=clock)) as clients:
        one = Watched(clients, clock, watch_of(clients, clock))
        clients.dates.listen(one.answers.append)
        yield one


def watch_of(clients: AwsClients, clock: Clock) -> ClockWatch:
    """A watch of that clock, which hears of the answers that the clients get."""
    watch = ClockWatch(clients.ask_unsigned, [OREGON], clock, skew_seconds=10)
    clients.dates.listen(watch.note)
    return watch


def answer_at(watched: Watched, ahead_seconds: float, *, took_seconds: float = 0.0) -> None:
    """Note an answer that shows that the clock is that far ahead."""
    received = Moment.of(watched.clock)
    watched.watch.note(DatedAnswer(received, took_seconds, received.now - ahead_seconds))


@pytest.mark.usefixtures("ivs")
def test_a_right_clock_is_compared_once_in_a_minute(
    watched: Watched, ivs_clock: ManualClock
) -> None:
    """With an unsigned request, and only without another answer."""
    assert watched.look() is None
    assert watched.look() is None
    assert len(watched.answers) == 1

    for passed_seconds in (ASK_AFTER_SECONDS - 1, 1):
        watched.clock.advance(passed_seconds)
        ivs_clock.advance(passed_seconds)
        assert watched.look() is None
    assert len(watched.answers) == 2


@pytest.mark.usefixtures("ivs")
@pytest.mark.parametrize("off_seconds", [-40 * 86_400, -HOUR, -12, 12, HOUR, 40 * 86_400])
def test_a_clock_that_is_off_is_known_at_the_first_look(watched: Watched, off_seconds: int) -> None:
    """Two answers agree. 12 s is beyond the 10 s, whatever the fraction of the second."""
    watched.clock.jump_wall(off_seconds)

    failure = watched.look()

    assert failure is not None
    assert failure.code == "clock_off"
    assert failure.retry_after_seconds == 5
    assert len(watched.answers) == 2
    with pytest.raises(ClockOff):
        watched.watch.require_right(Moment.of(watched.clock))


@pytest.mark.usefixtures("ivs")
@pytest.mark.parametrize("off_seconds", [-10, 10])
def test_the_skew_is_allowed(watched: Watched, off_seconds: int) -> None:
    """One answer is enough to know that."""
    watched.clock.jump_wall(off_seconds)

    assert watched.look() is None
    assert len(watched.answers) == 1


@pytest.mark.usefixtures("ivs")
def test_answers_to_other_calls_count(watched: Watched) -> None:
    """No unsigned request is needed while lookups are answered."""
    watched.clock.jump_wall(HOUR)
    for _ in range(2):
        assert watched.failure() is None
        watched.clients.ivs(OREGON).list_channels()

    assert watched.look() is not None
    assert len(watched.answers) == 2


@pytest.mark.usefixtures("ivs")
@pytest.mark.parametrize("step_seconds", [-HOUR, HOUR])
def test_a_step_of_the_clock_is_noticed_at_the_next_look(
    watched: Watched, step_seconds: int
) -> None:
    """Until then the offset is unknown. A step back to the right time counts at once."""
    assert watched.look() is None
    watched.clock.jump_wall(step_seconds)
    assert watched.failure() is None

    assert watched.look() is not None

    watched.clock.jump_wall(-step_seconds)
    assert watched.failure() is None
    assert watched.look() is None


@pytest.mark.usefixtures("ivs")
def test_a_small_step_by_ntp_is_no_reason_to_ask(watched: Watched) -> None:
    """It keeps the clock within the skew."""
    assert watched.look() is None
    watched.clock.jump_wall(8)

    assert watched.look() is None
    assert len(watched.answers) == 1


@pytest.mark.usefixtures("ivs")
def test_a_suspended_machine_is_not_off(watched: Watched, ivs_clock: ManualClock) -> None:
    """Both of its clocks continue during suspend; the old answer is not used."""
    assert watched.look() is None
    watched.clock.advance(TWELVE_HOURS)
    ivs_clock.advance(TWELVE_HOURS)

    assert watched.look() is None
    assert len(watched.answers) == 2


@pytest.mark.usefixtures("ivs")
def test_a_clock_that_is_corrected_slowly_is_right_within_seconds(
    watched: Watched, ivs_clock: ManualClock
) -> None:
    """NTP may slew the clock, which is no step: IVS is asked every 10 s while it is off."""
    watched.clock.jump_wall(HOUR)
    assert watched.look() is not None
    ivs_clock.advance(HOUR)
    assert watched.look() is not None

    for clock in (watched.clock, ivs_clock):
        clock.advance(ASK_AGAIN_SECONDS)
    assert watched.look() is None


def test_an_unreachable_ivs_makes_the_offset_unknown(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The clock was off; without an answer for five minutes it is not known to be."""
    set_aws_endpoint(monkeypatch, tmp_path, "http://127.0.0.1:9")
    answer_at(watched, HOUR)
    answer_at(watched, HOUR)
    assert watched.look() is not None

    watched.clock.advance(USABLE_SECONDS)
    assert watched.look() is not None
    watched.clock.advance(1)
    assert watched.look() is None
    watched.clock.jump_wall(HOUR)
    assert watched.look() is None


@pytest.mark.parametrize(
    ("first", "second", "is_off"),
    [
        (HOUR, HOUR, True),
        (HOUR, 2 * HOUR, True),
        (HOUR, 0, False),
        (0, HOUR, False),
        (HOUR, -HOUR, False),
        (-HOUR, -HOUR, True),
        (HOUR, 5, False),
    ],
)
def test_two_answers_must_agree(watched: Watched, first: int, second: int, *, is_off: bool) -> None:
    """The same direction, both beyond the skew; one alone never counts."""
    answer_at(watched, first)
    assert watched.failure() is None
    answer_at(watched, second)

    assert (watched.failure() is not None) is is_off


def test_a_slow_answer_says_nothing(watched: Watched) -> None:
    """It neither shows a wrong clock nor refutes one."""
    answer_at(watched, HOUR)
    answer_at(watched, HOUR)
    answer_at(watched, 0, took_seconds=4.0)
    assert watched.failure() is not None


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FaultyServer]:
    """A captive portal in the place of IVS, which dates its page and has no AWS request ID."""
    with faulty_server(Answer(401, b"<html>Sign in</html>")) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        yield server


def test_a_captive_portal_shows_no_wrong_clock(watched: Watched, portal: FaultyServer) -> None:
    """And is asked again after 10 s only."""
    watched.clock.jump_wall(time.time() + HOUR - watched.clock.now())
    for asked in (1, 1, 2):
        assert watched.look() is None
        assert len(portal.requests) == asked
        watched.clock.advance(ASK_AGAIN_SECONDS / 2)
    assert watched.answers == []


def test_the_thread_watches_until_it_is_closed(watched: Watched, ivs: LocalIvsServer) -> None:
    """It needs no request, and ends at `close`."""
    ivs.set_clock_offset(-HOUR)
    others = set(threading.enumerate())
    watched.watch.start()
    (thread,) = (one for one in set(threading.enumerate()) - others if one.name == "watch clock")
    give_up_at = time.monotonic() + 30
    while watched.failure() is None:
        assert time.monotonic() < give_up_at
        time.sleep(0.01)

    watched.watch.close()

    assert len(watched.answers) == 2
    assert not thread.is_alive()
