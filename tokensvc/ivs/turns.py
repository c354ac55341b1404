"""What a lookup needs before it may call IVS: the turn of its region."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from tokensvc.arns import Region


class Need(Enum):
    """What a process needs a turn for."""

    NOTHING = auto()
    REFRESH = auto()  # No request waits.
    ONE_OF_MANY = auto()  # A request may wait, of a caller that requests many unknown channels.
    URGENT = auto()  # A request may wait.


class Turn(Protocol):
    """The right to call IVS in a region.

    Attributes:
        is_shared: whether another process waits for it to end, and for the answers.
        may_be_outdated: whether another process may have stored answers since this process last
            read some.
    """

    is_shared: bool
    may_be_outdated: bool

    def next_call(self) -> bool:
        """Wait until the next call may be made. False when the turn is over."""
        ...

    def end(self, *, is_throttled: bool) -> None:
        """End the turn, after IVS throttled its last call or not. Does not raise."""
        ...


class Turns(Protocol):
    """Gives turns."""

    def take(self, region: Region, need: Callable[[], Need]) -> Turn | None:
        """Wait for the turn of that region. None if there is no need any more, or after `close`.

        Args:
            region: the region.
            need: what the turn is needed for; it may change while this waits.
        """
        ...

    def close(self) -> None:
        """Give no turn from now on."""
        ...


class Unlimited:
    """Gives every thread a turn at once, which does not end: for a process without a state."""

    is_shared = False
    may_be_outdated = False

    def take(self, _region: Region, _need: Callable[[], Need]) -> Turn | None:
        """A turn, at once."""
        return self

    def next_call(self) -> bool:
        """A call may be made at once."""
        return True

    def end(self, *, is_throttled: bool) -> None:
        """Nothing has to be freed."""

    def close(self) -> None:
        """Nothing is open."""
