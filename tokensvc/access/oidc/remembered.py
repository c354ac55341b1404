"""The tokens that were verified, by their SHA-256, so that the usual request verifies none.

A token is forgotten when it expires, when its key leaves the set of its issuer, when the keys are
too old, or when others need its place.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from tokensvc.access.callers import Caller
from tokensvc.access.oidc.keeper import KeyKeeper
from tokensvc.clock import Moment

REMEMBERED_CHARACTERS: Final = 8 * 1_024 * 1_024
"""The length of all remembered tokens together: 8,000 of a usual length in each process."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A verified token.

    Attributes:
        caller: whose it is.
        keeper: has the keys of its issuer.
        thumbprint: its key.
        until: until when it is valid, Unix seconds.
    """

    caller: Caller
    keeper: KeyKeeper
    thumbprint: str
    until: float


class RememberedTokens:
    """Verified tokens, for all threads of a process."""

    def __init__(self) -> None:
        self._tokens: LRUCache[bytes, tuple[Verified, int]] = LRUCache(
            REMEMBERED_CHARACTERS, getsizeof=_length
        )
        self._lock = threading.Lock()  # Held only while a token is found, added or removed.

    def caller(self, text: str, moment: Moment) -> Caller | None:
        """The caller with that token, if it is remembered and valid. Waits for nothing."""
        digest = _digest(text)
        with self._lock:
            found = self._tokens.get(digest)
        if found is None:
            return None
        verified, _ = found
        keys = verified.keeper.usable(moment)
        is_key_usable = keys is not None and verified.thumbprint in keys.thumbprints
        if not is_key_usable or moment.now >= verified.until:
            with self._lock:
                self._tokens.pop(digest, None)
            return None
        return verified.caller

    def remember(self, text: str, verified: Verified) -> None:
        """Remember that token."""
        with self._lock:
            self._tokens[_digest(text)] = verified, len(text)

    def clear(self) -> None:
        """Forget every token."""
        with self._lock:
            self._tokens.clear()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _length(remembered: tuple[Verified, int]) -> int:
    return remembered[1]
