"""The offset of a clock from AWS's clock, by the dates of AWS's answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from local_ivs.testing import LocalIvsServer

from tests.support.aws import set_aws_endpoint
from tests.support.clock import ManualClock
from tests.support.faulty_server import Answer, faulty_server, refusal
from tokensvc.arns import Region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.aws_dates import DatedAnswer, clock_off, require_offset_seconds
from tokensvc.clock import Moment
from tokensvc.errors import IvsUnavailable

OREGON = Region("us-west-2")


@pytest.mark.parametrize(
    ("sent_at", "aws_at", "received_at", "offset"),
    [
        (100.2, 100, 100.4, 0.0),
        (100.9, 100, 101.9, 0.0),  # AWS answered at some time in the second 100.
        (111.5, 100, 111.7, 10.0),  # At least 10.5 s ahead: 100 may be 100.99. Minus 0.5 s.
        (89.0, 100, 89.5, -10.0),  # At least 10.5 s behind, minus 0.5 s.
        (90.0, 100, 105.0, 0.0),  # A slow answer shows no certain offset.
    ],
    ids=["exact", "within the second", "ahead", "behind", "slow"],
)
def test_the_offset_is_the_smallest_that_explains_the_answer(
    sent_at: float, aws_at: float, received_at: float, offset: float
) -> None:
    """A Date has whole seconds, the call has a duration, and reading two clocks takes time."""
    received = Moment(received_at, 7.0)
    answer = DatedAnswer(received, received_at - sent_at, aws_at)

    assert answer.offset_seconds(received) == pytest.approx(offset)


@pytest.mark.parametrize("step_seconds", [-3_600.0, 3_600.0])
def test_a_step_of_the_wall_clock_since_the_answer_counts(step_seconds: float) -> None:
    """30 s pass by both clocks, and the wall clock is set by an hour: 1.5 s are uncertain."""
    answer = DatedAnswer(Moment(1_000.0, 7.0), 0.0, 1_000.0)

    offset = answer.offset_seconds(Moment(1_030.0 + step_seconds, 37.0))

    assert abs(offset - step_seconds) <= 1.5
    assert abs(offset) < abs(step_seconds)


@pytest.mark.parametrize(
    ("offset_seconds", "is_off"), [(10.0, False), (-10.0, False), (10.1, True), (-10.1, True)]
)
def test_a_clock_is_off_beyond_the_skew(offset_seconds: float, *, is_off: bool) -> None:
    """Both directions; exactly the skew is allowed."""
    assert (clock_off(offset_seconds, 10) is not None) is is_off


@pytest.fixture
def clock() -> ManualClock:
    """The clock that is compared."""
    return ManualClock()


@pytest.fixture
def ivs(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[LocalIvsServer]:
    """A Local IVS with the same clock, until a test sets it ahead or behind."""
    with LocalIvsServer(tmp_path, clock) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        yield server


@pytest.fixture
def clients(clock: ManualClock) -> Iterator[AwsClients]:
    """Clients with that clock."""
    with closing(AwsClients(AwsTerms(max_attempts=1), clock=clock)) as clients:
        yield clients


@pytest.mark.parametrize("off_seconds", [-3_600, 0, 3_600])
def test_a_clock_is_compared_with_the_date_of_each_answer(
    ivs: LocalIvsServer, clients: AwsClients, clock: ManualClock, off_seconds: int
) -> None:
    """Both clocks stand still, so at most the 1.5 s that are uncertain are missing."""
    ivs.set_clock_offset(-off_seconds)
    client = clients.ivs(OREGON)
    assert clients.dates.latest is None

    client.list_channels()

    offset = require_offset_seconds(clients.dates.latest, Moment.of(clock))
    assert off_seconds - 1.5 <= offset <= off_seconds + 1.5
    assert (offset == 0) is (off_seconds == 0)


def test_a_refused_request_shows_the_clock_too(
    ivs: LocalIvsServer, clients: AwsClients, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IVS refuses an unsigned request with a date and a request ID; no credentials are needed."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    ivs.set_clock_offset(-3_600)

    clients.ask_unsigned(OREGON)

    offset = require_offset_seconds(clients.dates.latest, Moment.of(clock))
    assert offset == pytest.approx(3_600, abs=1.5)


def test_every_answer_is_reported_to_listeners(ivs: LocalIvsServer, clients: AwsClients) -> None:
    """In the order of the answers."""
    heard: list[DatedAnswer] = []
    clients.dates.listen(heard.append)

    clients.ask_unsigned(OREGON)
    clients.ivs(OREGON).list_channels()

    assert len(heard) == 2
    assert heard[-1] == clients.dates.latest
    assert ivs.succeeded_operations == set()


@pytest.mark.parametrize(
    ("answer", "is_dated"),
    [
        (refusal(403, "InvalidSignatureException"), True),
        (Answer(403, b"<html>Ask your administrator</html>"), False),
        (Answer(401, b"<html>Sign in to the network</html>"), False),
    ],
    ids=["AWS", "a proxy", "a captive portal"],
)
def test_only_an_answer_with_an_aws_request_id_counts(
    answer: Answer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_dated: bool
) -> None:
    """A proxy dates its own answers by its own clock."""
    clock = ManualClock(time.time() + 3_600)
    with faulty_server(answer) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        with closing(AwsClients(AwsTerms(max_attempts=1), clock=clock)) as clients:
            with pytest.raises(ClientError):
                clients.ivs(OREGON).list_channels()
            assert (clients.dates.latest is not None) is is_dated
            if is_dated:
                return
            with pytest.raises(IvsUnavailable):
                require_offset_seconds(clients.dates.latest, Moment.of(clock))


def test_an_unreachable_ivs_shows_nothing(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The unsigned request raises, and there is no date."""
    set_aws_endpoint(monkeypatch, tmp_path, "http://127.0.0.1:9")

    with pytest.raises(IvsUnavailable):
        clients.ask_unsigned(OREGON)

    assert clients.dates.latest is None
