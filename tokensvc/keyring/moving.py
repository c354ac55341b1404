"""The move of a ring to another custody: its next key is made there, and the others stay. Pure."""

from __future__ import annotations

from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.custody.moving import MovingCustody
from tokensvc.keyring.model import Act, KeyState, Ring


def without_former_standbys(ring: Ring, custody: Custody, act: Act) -> Ring:
    """The ring with each key pair withdrawn that has never signed and is in the former custody.

    It has signed nothing, so it needs no drain. Without a standby the next key is a new one, which
    is made in the newest custody.
    """
    if not isinstance(custody, MovingCustody):
        return ring
    for pair in ring.in_state(KeyState.PENDING, KeyState.PUBLISHED):
        if pair.public_key is not None and custody.is_former(pair.custody_handle):
            ring = ring.withdrawn(pair.key_id, act)
    return ring
