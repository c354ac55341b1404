"""Limits how many tokens of one client are verified in vain: each costs a signature.

A client that only tries is refused before its next token is verified. Tokens that were verified
before, and API keys, are not affected: other clients may have the same address.
"""

from __future__ import annotations

import ipaddress
import math
import threading
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from tokensvc.errors import RateLimited

BURST: Final = 20
"""Failures of one address at once."""

PER_SECOND: Final = 0.5
"""Further failures of one address."""

LIMIT: Final = "invalid_tokens"
"""The identifier of this limit."""

MAX_ADDRESSES: Final = 10_000
"""Of more, the ones that failed longest ago are forgotten."""

_IPV6_NETWORK_BITS: Final = 64
"""One client usually has a whole network of IPv6 (RFC 6177)."""


@dataclass(frozen=True, slots=True)
class _Bucket:
    left: float
    counted_at: float  # Monotonic seconds.

    def at(self, now: float) -> float:
        """How many failures are left at that time."""
        return min(BURST, self.left + max(0.0, now - self.counted_at) * PER_SECOND)


class FailedVerifications:
    """Counts failures by address, for all threads of a process."""

    def __init__(self) -> None:
        self._buckets: LRUCache[str, _Bucket] = LRUCache(MAX_ADDRESSES)
        self._lock = threading.Lock()

    def require(self, address: str, now: float) -> None:
        """Return if another token of that client may be verified, in monotonic seconds.

        Raises:
            RateLimited: when it has sent too many that are not valid.
        """
        with self._lock:
            bucket = self._buckets.get(_client(address))
        left = BURST if bucket is None else bucket.at(now)
        if left < 1:
            raise RateLimited(
                "Too many tokens from this address were not valid.",
                hint="Send a valid token, after `retry_after_seconds`.",
                retry_after_seconds=math.ceil((1 - left) / PER_SECOND),
                audit_rule=LIMIT,
            )

    def note(self, address: str, now: float) -> None:
        """A token of that client was not valid."""
        client = _client(address)
        with self._lock:
            left = BURST if (bucket := self._buckets.get(client)) is None else bucket.at(now)
            self._buckets[client] = _Bucket(max(0.0, left - 1), now)


def _client(address: str) -> str:
    """What stands for the client at that address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # Such as a socket of the machine.
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(parsed), _IPV6_NETWORK_BITS), strict=False))
    return str(parsed)
