"""Find the key pair that an operator or a job means."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tokensvc.arns import Region
from tokensvc.errors import KeyNotFound
from tokensvc.keyring.model import KeyPair, KeyState, Ring

ReadRing = Callable[[Region], Ring | None]
"""Returns a region's stored ring, None without one; raises TokensvcError when it can't be read."""


def find_pair(regions: Sequence[Region], read_ring: ReadRing, key_id: str) -> tuple[Ring, KeyPair]:
    """The key pair with that ID, and the ring of those regions that records it.

    Raises:
        KeyNotFound: when none of the rings records it.
        TokensvcError: as `read_ring` raises it for a ring that can't be read.
    """
    for region in regions:
        ring = read_ring(region)
        for pair in ring.pairs if ring else ():
            if ring and pair.key_id == key_id:
                return ring, pair
    raise KeyNotFound(
        f"No key pair {key_id!r} is recorded in {', '.join(regions)}.",
        hint="Run `tokensvc keys list` to see the recorded key pairs.",
    )


def only_pending(ring: Ring) -> KeyPair:
    """The ring's only pending key pair.

    Raises:
        KeyNotFound: when none is pending, or several are.
    """
    pending = ring.in_state(KeyState.PENDING)
    if not pending:
        raise KeyNotFound(
            f"No key pair of {ring.region} is pending.",
            hint=f"Create one with `tokensvc keys generate --region {ring.region}`.",
        )
    if len(pending) > 1:
        names = ", ".join(pair.key_id for pair in pending)
        raise KeyNotFound(
            f"Several key pairs of {ring.region} are pending: {names}.",
            hint="Name one of them: `tokensvc keys import KEY_ID`.",
        )
    return pending[0]
