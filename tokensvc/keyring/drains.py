"""When each key pair may be removed, and how the terms of a ring are lowered (rule 4). Pure.

A limit that an operator lowers falls at once for what is signed from then on. The drain must still
allow for what was signed before: a process may have read the ring just before the lower terms were
saved, sign from it for the earlier maximum age, and give a token the earlier lifetime.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from tokensvc.keyring.model import Act, KeyPair, KeyState, Ring
from tokensvc.keyring.terms import FormerTerms, Terms


def drain_ends(ring: Ring) -> Sequence[tuple[float, KeyPair]]:
    """When (Unix seconds) each retiring key pair may be deleted, soonest first (rule 4).

    A key pair whose end of signing is not recorded is left out, and so are all until the time of a
    restore is recorded.
    """
    ends = (
        (max(_drain_end(ring, pair, pair.signing_ended_at), restore_drain_end(ring, pair)), pair)
        for pair in ring.in_state(KeyState.RETIRING)
        if pair.signing_ended_at is not None
    )
    return sorted((end for end in ends if math.isfinite(end[0])), key=lambda end: end[0])


def restore_drain_end(ring: Ring, pair: KeyPair | None) -> float:
    """When the last token has expired that the key pair signed by the state before a restore.

    None is a key pair that only the state before the restore recorded.

    Negative infinity for a ring that was not restored, and infinity until the time of the restore
    is recorded. A compromised key pair gets no drain (rule 10).
    """
    if ring.restoration is None or (pair is not None and pair.is_compromised):
        return -math.inf
    restored_at = ring.restoration.restored_at
    return math.inf if restored_at is None else _drain_end(ring, pair, restored_at)


def with_restore_recorded(ring: Ring, at: float) -> Ring:
    """The ring with the time of its restore, a time after the save of the restored ring."""
    if ring.restoration is None:
        return ring
    return dataclasses.replace(
        ring, restoration=dataclasses.replace(ring.restoration, restored_at=at)
    )


def longest_ttl_seconds(ring: Ring, pair: KeyPair) -> int:
    """The longest lifetime of a token by that key pair that may still be valid."""
    earlier = (former.terms.longest_ttl_seconds for former in ring.former_terms)
    return max(ring.terms.longest_ttl_seconds, pair.adopted_ttl_seconds or 0, *earlier)


def former_terms_in_force(ring: Ring, now: float) -> Sequence[FormerTerms]:
    """The lowered terms that still count in a drain."""
    return [former for former in ring.former_terms if former.is_in_force(now)]


def with_lowered_terms(ring: Ring, terms: Terms, act: Act) -> Ring:
    """The ring with those terms, and the earlier ones kept for its drains.

    No process signs tokens beyond `MAX_TERM_SECONDS`, so no more of an earlier limit is kept. An
    earlier release kept the lifetime of tokens that were signed elsewhere in the terms of the ring:
    it goes to the adopted key pairs.
    """
    earlier = ring.terms.capped()
    pairs = tuple(
        dataclasses.replace(pair, adopted_ttl_seconds=earlier.longest_ttl_seconds)
        if pair.adopted and pair.adopted_ttl_seconds is None
        else pair
        for pair in ring.pairs
    )
    kept = (*former_terms_in_force(ring, act.at), FormerTerms(earlier, act.by, act.why))
    return dataclasses.replace(ring, terms=terms, former_terms=kept, pairs=pairs)


def with_terms_end(ring: Ring, at: float) -> Ring:
    """The ring with the end of its lowered terms, a time after the save that lowered them."""
    former = tuple(
        dataclasses.replace(each, ended_at=at) if each.ended_at is None else each
        for each in ring.former_terms
    )
    return dataclasses.replace(ring, former_terms=former)


def _drain_end(ring: Ring, pair: KeyPair | None, signing_ended_at: float) -> float:
    signed_elsewhere = pair.adopted_ttl_seconds if pair is not None else None
    longest = max(ring.terms.longest_ttl_seconds, signed_elsewhere or 0)
    terms = dataclasses.replace(ring.terms, longest_ttl_seconds=longest)
    ends = [signing_ended_at + terms.drain_seconds]
    for former in ring.former_terms:
        end = signing_ended_at + former.terms.drain_seconds
        ends.append(end if former.until is None else min(end, former.until))
    return max(ends)
