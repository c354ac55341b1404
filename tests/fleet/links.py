"""A simulated connection between a process and a service: up, slow, down, or losing answers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from tests.fleet.cooperative_threads import yield_point


class Condition(StrEnum):
    """The condition of a link."""

    UP = "up"
    SLOW = "slow"
    DOWN = "down"
    LOSES_ANSWERS = "loses answers"


@dataclass(slots=True)
class Link:
    """Carries calls. The caller can be parked or killed before and after the effect of each."""

    condition: Condition = Condition.UP

    @contextlib.contextmanager
    def call(self, failure: Callable[[str], Exception]) -> Iterator[None]:
        """Run the effect in this context; `failure` makes the error of a call that failed."""
        self.send(failure)
        yield
        self.receive(failure)

    def send(self, failure: Callable[[str], Exception]) -> None:
        """Deliver the request."""
        self._pass_link()
        if self.condition is Condition.DOWN:
            raise failure("The request did not arrive.")

    def receive(self, failure: Callable[[str], Exception]) -> None:
        """Deliver the answer."""
        self._pass_link()
        if self.condition in (Condition.DOWN, Condition.LOSES_ANSWERS):
            raise failure("The answer was lost.")

    def _pass_link(self) -> None:
        yield_point(must_park=self.condition is Condition.SLOW)
