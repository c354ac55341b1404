"""Asks the entitlement hook about the items of a batch: all at once, and one item in each step.

To find out what to ask costs a third of an item, so that an event loop serves others in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from tokensvc.access.entitlement import Asked, EntitlementHook
from tokensvc.access.entitlement_question import Question
from tokensvc.access.requests import PlaybackRequest


class BatchQuestions:
    """The questions about the items of one batch."""

    def __init__(
        self,
        hook: EntitlementHook,
        question_about: Callable[[PlaybackRequest], Question | None],
        requests: Iterable[PlaybackRequest],
    ) -> None:
        """Nothing is asked yet.

        Args:
            hook: the hook.
            question_about: what it is asked about a request; None for nothing.
            requests: the items.
        """
        self._hook = hook
        self._question_about = question_about
        self._left = deque(requests)
        self._asked: list[Asked] = []

    def step(self) -> bool:
        """Ask about the next item, or wait for the answers to all. Returns whether more is to do.

        A step that raises `MustWait` is to be made again.
        """
        if self._left:
            question = self._question_about(self._left[0])
            self._left.popleft()
            if question is not None and (asked := self._hook.begin(question)) is not None:
                self._asked.append(asked)
            return True
        self._hook.wait_for(self._asked)
        return False
