"""Which requests are refused, by the times when they were received and when their turns come."""

from __future__ import annotations

import pytest

from tokensvc.web.overload import RECEIVED_AT, Admission


class Turns:
    """The turns of a worker, in seconds of a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self._admission = Admission(lambda: self.now)

    def admits(self, received_at: float | None, at: float, path: str = "/") -> bool:
        """Whether a request is served that was received then and whose turn is `at`."""
        self.now = at
        scope = {"path": path} if received_at is None else {"path": path, RECEIVED_AT: received_at}
        return self._admission.admits(scope)


@pytest.fixture
def turns() -> Turns:
    """The turns of a new worker."""
    return Turns()


def test_the_requests_of_a_round_are_served_until_they_are_75_ms_old(turns: Turns) -> None:
    """All were received at 1.000 s; the first turn is at 1.010 s."""
    served = [at for at in (1.010, 1.040, 1.074, 1.076, 1.200) if turns.admits(1.0, at)]
    assert served == [1.010, 1.040, 1.074]


def test_each_round_serves_for_25_ms_whatever_the_age_of_its_requests(turns: Turns) -> None:
    """Reading them took 200 ms, or the machine stood still."""
    served = [at for at in (1.200, 1.210, 1.224, 1.226, 1.300) if turns.admits(1.0, at)]
    assert served == [1.200, 1.210, 1.224]
    served = [at for at in (1.500, 1.524, 1.526) if turns.admits(1.250, at)]
    assert served == [1.500, 1.524]


def test_after_an_overload_everything_is_served(turns: Turns) -> None:
    """From the next request on."""
    assert turns.admits(1.0, 1.01)
    assert not turns.admits(1.0, 1.1)
    assert all(turns.admits(at - 0.001, at) for at in (1.2, 1.201, 1.3, 2.0))


def test_health_checks_and_other_servers_are_not_affected(turns: Turns) -> None:
    """A server that does not say when a request was received has no such limit."""
    assert turns.admits(1.0, 1.01)
    assert not turns.admits(1.0, 2.0)
    assert turns.admits(1.0, 2.0, "/healthz")
    assert turns.admits(1.0, 2.0, "/readyz")
    assert turns.admits(None, 2.0)
