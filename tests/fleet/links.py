"""The way between a process and a service that it calls: slow, cut, or losing answers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from tests.fleet.cooperation import point


class Condition(StrEnum):
    """How a link is."""

    UP = "up"
    SLOW = "slow"
    DOWN = "down"
    LOSES_ANSWERS = "loses answers"


@dataclass(slots=True)
class Link:
    """Carries calls; its caller can be stopped, or die, before and after the effect of each."""

    condition: Condition = Condition.UP

    @contextlib.contextmanager
    def call(self, failure: Callable[[str], Exception]) -> Iterator[None]:
        """The effect belongs inside; `failure` makes the error of a call that did not come back."""
        self.send(failure)
        yield
        self.receive(failure)

    def send(self, failure: Callable[[str], Exception]) -> None:
        """Let the request travel."""
        self._travel()
        if self.condition is Condition.DOWN:
            raise failure("The request did not arrive.")

    def receive(self, failure: Callable[[str], Exception]) -> None:
        """Let the answer travel."""
        self._travel()
        if self.condition in (Condition.DOWN, Condition.LOSES_ANSWERS):
            raise failure("The answer was lost.")

    def _travel(self) -> None:
        point(must_park=self.condition is Condition.SLOW)
