"""The key pair slots of a region: who occupies them, and how one becomes free (rule 5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tokensvc.clock import rfc3339
from tokensvc.errors import RotationRefused
from tokensvc.ivs.limits import MAX_KEY_PAIRS
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.drains import drain_ends
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.ownership import Owner, owner_of, slot_listing


def require_free_slot(ring: Ring) -> None:
    """Return if IVS could hold one more key pair of that ring.

    Raises:
        RotationRefused: when the ring already has as many key pairs as IVS can hold.
    """
    in_use = [pair for pair in ring.pairs if pair.state is not KeyState.RETIRED]
    if len(in_use) >= MAX_KEY_PAIRS:
        states = ", ".join(f"{pair.key_id} is {pair.state}" for pair in in_use)
        raise RotationRefused(
            f"The ring of {ring.region} already has {len(in_use)} key pairs, the maximum that IVS "
            f"can hold: {states}.",
            hint="Run `tokensvc keys rotate` to switch to an existing key pair. "
            "`tokensvc keys reconcile` deletes a retiring one after its drain.",
        )


def no_free_slot(ring: Ring, held: Sequence[HeldKeyPair]) -> RotationRefused:
    """The refusal for want of a slot: who occupies the slots, and how one becomes free.

    A key pair of ours that drains is never to be deleted by hand: its tokens are still valid.
    """
    return RotationRefused(
        f"All {MAX_KEY_PAIRS} key pair slots of IVS in {ring.region} are occupied:\n"
        + slot_listing(ring, held),
        hint=" ".join(_ways_to_free_a_slot(ring, held)),
    )


def _ways_to_free_a_slot(ring: Ring, held: Sequence[HeldKeyPair]) -> Iterator[str]:
    command = f"`tokensvc keys reconcile --region {ring.region}`"
    others = any(owner_of(ring, one) is not Owner.OURS for one in held)
    if ends := drain_ends(ring):
        ends_at, pair = ends[0]
        yield f"Wait until {rfc3339(ends_at)}, when {pair.key_id} has drained. Then run {command}."
    elif not others:
        yield f"Run {command} to finish what has begun."
    if others:
        yield (
            "Free a slot with one of the commands above, but only if nothing signs with that key "
            f"pair. Then run {command}."
        )
