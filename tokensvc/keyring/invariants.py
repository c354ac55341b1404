"""The invariants of a ring, which are checked at each save and load."""

from __future__ import annotations

from collections.abc import Iterable

from tokensvc.keyring.model import KeyState, Ring


def broken_invariants(ring: Ring) -> tuple[str, ...]:
    """A sentence for each invariant that the ring breaks."""
    return tuple(_invariants(ring))


def _invariants(ring: Ring) -> Iterable[str]:
    ids = [pair.key_id for pair in ring.pairs]
    for key_id in sorted({key_id for key_id in ids if ids.count(key_id) > 1}):
        yield f"More than one key pair has the ID {key_id}."
    if (active := len(ring.in_state(KeyState.ACTIVE))) > 1:
        yield f"{active} key pairs are active, but at most one may be active (rule 1)."
    for pair in ring.pairs:
        is_imported = pair.public_key is not None and pair.arn is not None
        may_be_incomplete = pair.state is KeyState.PENDING or pair.delete_intended_at is not None
        if not is_imported and not may_be_incomplete:
            yield f"{pair.key_id} is {pair.state} but has no public key or no ARN."
        if pair.arn and (pair.arn.region, pair.arn.account_id) != (ring.region, ring.account_id):
            yield f"{pair.key_id} belongs to another account or region: {pair.arn}."
        has_signed = pair.activated_at is not None or pair.state is KeyState.ACTIVE
        if pair.state is KeyState.ACTIVE:
            if pair.signing_ended_at is not None:
                yield f"{pair.key_id} is active, but has an end of signing (rule 9)."
            if pair.delete_intended_at is not None:
                yield f"{pair.key_id} is active, but is to be deleted (rule 9)."
        drained = pair.signing_ended_at is not None or pair.is_compromised or not has_signed
        if pair.delete_intended_at is not None and not drained:
            yield f"{pair.key_id} is to be deleted, but its end of signing is missing (rule 4)."
