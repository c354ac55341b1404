"""Throttling: the documented call rate of each operation (IVS: service-quotas).

Rates are calls per second, for each account and region; AWS doesn't adjust them. The calls are
counted in memory, so a restart resets the counts.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from local_ivs.errors import ThrottlingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_ivs.calls import Caller

WINDOW_SECONDS = 1.0
CALLS_PER_SECOND: Mapping[str, int] = {
    "BatchGetChannel": 5,
    "BatchGetStreamKey": 5,
    "BatchStartViewerSessionRevocation": 2,
    "CreateChannel": 5,
    "CreateStreamKey": 5,
    "DeleteChannel": 5,
    "DeletePlaybackKeyPair": 3,
    "DeleteStreamKey": 5,
    "GetChannel": 5,
    "GetPlaybackKeyPair": 3,
    "GetStream": 5,
    "GetStreamKey": 5,
    "ImportPlaybackKeyPair": 3,
    "ListChannels": 5,
    "ListPlaybackKeyPairs": 3,
    "ListStreamKeys": 5,
    "ListStreams": 5,
    "ListTagsForResource": 10,
    "PutMetadata": 155,
    "StartViewerSessionRevocation": 10,
    "StopStream": 5,
    "TagResource": 10,
    "UntagResource": 10,
    "UpdateChannel": 5,
}
METADATA_CALLS_PER_SECOND_PER_CHANNEL = 5


class Rates:
    """Counts the calls of the last second by operation, account and region; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[tuple[str, ...], deque[float]] = {}

    def admit(self, operation: str, caller: Caller, members: Mapping[str, Any], now: float) -> None:
        """Count a call at `now` (Unix seconds).

        Raises:
            ThrottlingError: the last second already had as many calls as IVS allows.
        """
        key = (operation, caller.account_id, caller.region)
        limits: dict[tuple[str, ...], int] = {key: CALLS_PER_SECOND[operation]}
        if operation == "PutMetadata":
            limits[*key, members["channelArn"]] = METADATA_CALLS_PER_SECOND_PER_CHANNEL
        with self._lock:
            self._drop_expired(now)
            for each, most in limits.items():
                if len(self._calls.get(each, ())) >= most:
                    raise ThrottlingError(
                        f"Rate exceeded: {operation} allows {most} calls per second; retry later"
                    )
            for each in limits:
                self._calls.setdefault(each, deque()).append(now)

    def _drop_expired(self, now: float) -> None:
        for key, times in list(self._calls.items()):
            # A time may be slightly later than `now`: another thread read the clock later but got
            # the lock first. A time that is a second or more later means that the clock was moved
            # back; then the call no longer counts.
            while times and abs(now - times[0]) >= WINDOW_SECONDS:
                times.popleft()
            if not times:
                del self._calls[key]
