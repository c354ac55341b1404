"""How often each operation may be called: the rates that IVS documents (IVS: service-quotas).

Calls a second, for each account and region; not adjustable on AWS. Kept in memory: a restart
forgets the last second.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from tokensvc.localivs.errors import ThrottlingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokensvc.localivs.calls import Caller

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
METADATA_PER_SECOND_AND_CHANNEL = 5


class Rates:
    """The calls of the last second, by operation, account and region; shared by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[tuple[str, ...], deque[float]] = {}

    def admit(self, operation: str, caller: Caller, members: Mapping[str, Any], now: float) -> None:
        """Count a call at `now` (Unix seconds).

        Raises:
            ThrottlingError: there were as many in the last second as IVS allows.
        """
        key = (operation, caller.account_id, caller.region)
        limits: dict[tuple[str, ...], int] = {key: CALLS_PER_SECOND[operation]}
        if operation == "PutMetadata":
            limits[*key, members["channelArn"]] = METADATA_PER_SECOND_AND_CHANNEL
        with self._lock:
            self._forget(now)
            for each, most in limits.items():
                if len(self._calls.get(each, ())) >= most:
                    raise ThrottlingError(
                        f"Rate exceeded: {operation} takes {most} calls a second; try again later"
                    )
            for each in limits:
                self._calls.setdefault(each, deque()).append(now)

    def _forget(self, now: float) -> None:
        for key, times in list(self._calls.items()):
            # A time that is yet to come is another thread's, who read the clock later and was here
            # sooner. Only a clock that was moved back makes it a second or more, which counts not.
            while times and abs(now - times[0]) >= WINDOW_SECONDS:
                times.popleft()
            if not times:
                del self._calls[key]
