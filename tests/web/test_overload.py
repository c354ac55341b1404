"""Which requests are refused, by the times when they were received and when their turns come."""

from __future__ import annotations

import pytest

from tokensvc.web.http1 import RECEIVED_AT
from tokensvc.web.overload import Admission


class Turns:
    """The turns of a worker, in seconds of a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self._admission = Admission(lambda: self.now)

    def admits(self, received_at: float | None, at: float, path: str = "/") -> bool:
        """Whether a request is served that was received then and whose turn is `at`."""
        self.now = at
        received = {} if received_at is None else {RECEIVED_AT: received_at}
        return self._admission.admits({"PATH_INFO": path, **received})


@pytest.fixture
def turns() -> Turns:
    """The turns of a new worker."""
    return Turns()


def test_the_requests_of_a_round_are_served_until_they_are_30_ms_old(turns: Turns) -> None:
    """All were received at 1.000 s; there are more than 32."""
    assert all(turns.admits(1.0, 1.01) for _ in range(40))
    served = [at for at in (1.020, 1.029, 1.031, 1.200) if turns.admits(1.0, at)]
    assert served == [1.020, 1.029]


def test_each_round_serves_32_requests_whatever_their_age(turns: Turns) -> None:
    """Reading them took 200 ms, or the machine stood still."""
    assert [turns.admits(1.0, 1.2) for _ in range(40)] == 32 * [True] + 8 * [False]
    assert [turns.admits(1.25, 1.5) for _ in range(40)] == 32 * [True] + 8 * [False]
    # Received before the first turn of that round, so of the same round.
    assert not turns.admits(1.4, 1.5)


def test_after_an_overload_everything_is_served(turns: Turns) -> None:
    """From the next request on."""
    assert not all(turns.admits(1.0, 1.2) for _ in range(40))
    assert all(turns.admits(at - 0.001, at) for at in (1.3, 1.301, 1.4, 2.0))


def test_health_checks_and_other_servers_are_not_affected(turns: Turns) -> None:
    """A server that does not say when a request was received has no such limit."""
    assert not all(turns.admits(1.0, 2.0) for _ in range(40))
    assert turns.admits(1.0, 2.0, "/healthz")
    assert turns.admits(1.0, 2.0, "/readyz")
    assert turns.admits(1.0, 2.0, "/api/video/readyz")  # Under the prefix of a proxy.
    assert turns.admits(None, 2.0)
