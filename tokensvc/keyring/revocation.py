"""An emergency revocation (rule 10): the key pairs, the consequences, and the order of the steps.

A command and a job run it alike. First `plan_revocation`, then `consequences` for a person who must
agree, then `revoke`. Nothing is printed here: progress is reported as values to `on_event`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from tokensvc.arns import Region
from tokensvc.clock import Clock
from tokensvc.errors import KeyNotFound, StateConflict, TokensvcError
from tokensvc.keyring import emergency
from tokensvc.keyring.drains import longest_ttl_seconds
from tokensvc.keyring.lookup import ReadRing
from tokensvc.keyring.model import Act, KeyState, Ring
from tokensvc.keyring.reconcile_loop import (
    ReconcileEvent,
    ReconcileLoop,
    RegionFailed,
    StepBegins,
)
from tokensvc.keyring.ring_document import RingStore
from tokensvc.keyring.rotator import Rotator
from tokensvc.keyring.steps import Step

_MAX_CONFLICTS = 10


class RevocationActions(Protocol):
    """What a revocation does to the key pairs of a region. `operations.Operations` provides it."""

    @property
    def clock(self) -> Clock:
        """The time."""
        ...

    def ring(self, region: Region) -> Ring | None:
        """The stored ring. Raises TokensvcError when it can't be read."""
        ...

    def declare_compromised(self, region: Region, key_ids: Collection[str], reason: str) -> Ring:
        """Mark the key pairs compromised. Raises TokensvcError when that could not be saved."""
        ...

    def rotator(self, region: Region) -> Rotator:
        """The rotator. Raises TokensvcError when it can't be made."""
        ...


@dataclass(frozen=True, slots=True)
class KeysToRevoke:
    """The key pairs of one region's ring that are to be revoked."""

    ring: Ring
    key_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RevocationPlan:
    """What a revocation will do, before anything is changed.

    Attributes:
        regions: the key pairs to revoke, by region.
        skipped: the regions whose key pairs should be revoked too, but whose ring can't be read.
    """

    regions: Mapping[Region, KeysToRevoke]
    skipped: Mapping[Region, TokensvcError]

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The IDs of all key pairs to revoke."""
        return tuple(key_id for one in self.regions.values() for key_id in one.key_ids)


@dataclass(frozen=True, slots=True)
class NotMarked:
    """No key pair of the region was marked as compromised, because of the error."""

    region: Region
    error: TokensvcError


@dataclass(frozen=True, slots=True)
class Marked:
    """Those key pairs of the region are marked as compromised, so none of them signs any more."""

    region: Region
    key_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """The revocation in the region has ended, for now.

    Attributes:
        region: the region.
        key_ids: the revoked key pairs.
        successor: the key pair that signs now; None when none does.
    """

    region: Region
    key_ids: tuple[str, ...]
    successor: str | None


RevocationEvent = NotMarked | Marked | Ended | ReconcileEvent


@dataclass(frozen=True, slots=True)
class RevocationResult:
    """The result of a revocation.

    Attributes:
        all_marked: whether the key pairs of every region of the plan are marked as compromised.
        has_failed_steps: whether a step failed that `reconcile` must retry. The key pairs stay
            marked as compromised.
    """

    all_marked: bool
    has_failed_steps: bool

    @property
    def is_done(self) -> bool:
        """Whether every region has done every step that is due."""
        return self.all_marked and not self.has_failed_steps


def plan_revocation(
    regions: Sequence[Region], read_ring: ReadRing, key_ids: Sequence[str] | None
) -> RevocationPlan:
    """The plan to revoke those key pairs; None means all that are not retired.

    An unreadable ring must not stop an emergency in another region: with None it is skipped.

    Raises:
        KeyNotFound: when no ring of those regions has a key pair with one of the IDs.
        TokensvcError: as `read_ring` raised it, when such a key pair may be in an unreadable ring.
    """
    rings: dict[Region, Ring] = {}
    unreadable: dict[Region, TokensvcError] = {}
    for region in regions:
        try:
            ring = read_ring(region)
        except TokensvcError as exc:
            unreadable[region] = exc
        else:
            rings |= {region: ring} if ring else {}
    if key_ids is None:
        return RevocationPlan(_all_keys(rings), unreadable)
    return RevocationPlan(_named_keys(rings, key_ids, unreadable), {})


def consequences(
    ring: Ring, key_ids: Sequence[str], *, state_refresh_seconds: int
) -> Iterator[str]:
    """The consequences of revoking those pairs, with numbers; one message each."""
    revoked = [ring.pair(key_id) for key_id in key_ids]
    for pair in revoked:
        match pair.state:
            case KeyState.RETIRED:
                yield f"{pair.key_id} is already retired: IVS does not hold it."
            case KeyState.ACTIVE | KeyState.RETIRING:
                yield (
                    f"{pair.key_id} is {pair.state}. Once IVS has deleted it, playback can't start "
                    "with a token that it signed. This affects at most the tokens of the last "
                    f"{longest_ttl_seconds(ring, pair)} s; older ones have expired."
                )
            case _:
                yield f"{pair.key_id} is {pair.state}: it has not signed any token."
    if any(pair.state in (KeyState.ACTIVE, KeyState.RETIRING) for pair in revoked):
        yield (
            "Sessions that are already playing continue, including those that an attacker "
            "started: IVS checks a token only when playback starts (believed). A viewer who starts "
            "again needs a new playback URL."
        )
    if any(pair.state is KeyState.ACTIVE for pair in revoked):
        yield _replacement(ring, key_ids)
        yield (
            f"Workers cease to sign with the compromised key within {state_refresh_seconds} s. A "
            f"worker that can't read the state stops after {ring.terms.ring_max_age_seconds} s. IVS"
            " refuses the tokens that workers sign with the compromised key until then."
        )


def declare_compromised(store: RingStore, key_ids: Collection[str], act: Act) -> Ring:
    """The stored ring, after those key pairs were marked compromised in it.

    It doesn't give way to another process that saves at the same time.

    Raises:
        KeyNotFound: when the ring has no key pair with one of those IDs. Nothing was changed.
        StateConflict: when other processes saved first again and again.
    """
    for _ in range(_MAX_CONFLICTS):
        with contextlib.suppress(StateConflict):
            return _declare_once(store, key_ids, act)
    return _declare_once(store, key_ids, act)


def _declare_once(store: RingStore, key_ids: Collection[str], act: Act) -> Ring:
    stored = store.load()
    if stored is None:
        raise KeyNotFound(
            f"No ring records {', '.join(key_ids)}. Nothing was revoked.",
            hint="Run `tokensvc keys list` to see the recorded key pairs.",
        )
    declared = emergency.declared_compromised(stored.ring, key_ids, act)
    return store.save(declared, replacing=stored.version).ring


def revoke(
    plan: RevocationPlan,
    actions: RevocationActions,
    reason: str,
    on_event: Callable[[RevocationEvent], None],
) -> RevocationResult:
    """Mark the key pairs of every region as compromised first, then do every step that is due.

    What needs no answer of IVS is done in every region before IVS is called in one: no region waits
    for the IVS of another. A region that fails does not stop the others. The last event about a
    region says which key pair signs.
    """
    marked: list[Region] = []
    for region, keys in plan.regions.items():
        try:
            ring = actions.declare_compromised(region, keys.key_ids, reason)
        except TokensvcError as exc:
            on_event(NotMarked(region, exc))
        else:
            # A retired key pair can't be marked any more.
            compromised = [key_id for key_id in keys.key_ids if ring.pair(key_id).is_compromised]
            if compromised:
                on_event(Marked(region, tuple(compromised)))
            marked.append(region)
    for region in marked:
        # The loop does again what fails here, and reports the error.
        with contextlib.suppress(TokensvcError):
            actions.rotator(region).remove_compromised(partial(_report, region, on_event))
    loop = ReconcileLoop(marked, actions.rotator, actions.clock, on_event)
    has_failed_steps = loop.run_once().failed
    for region in marked:
        on_event(_ending(region, plan.regions[region].key_ids, actions))
    return RevocationResult(len(marked) == len(plan.regions), has_failed_steps)


def _report(region: Region, on_event: Callable[[RevocationEvent], None], step: Step) -> None:
    on_event(StepBegins(region, step))


def _ending(
    region: Region, key_ids: tuple[str, ...], actions: RevocationActions
) -> RevocationEvent:
    try:
        ring = actions.ring(region)
    except TokensvcError as exc:
        return RegionFailed(region, exc)
    active = ring.active if ring is not None else None
    if active is None or active.is_compromised:
        return Ended(region, key_ids, successor=None)
    return Ended(region, key_ids, active.key_id)


def _replacement(ring: Ring, key_ids: Sequence[str]) -> str:
    """The sentence about the key pair that becomes active in place of the revoked one."""
    declared = ring.compromised(key_ids, Act(at=0, by="", why=""))
    successor = emergency.replacement(declared)
    if successor is not None:
        becomes_active = (
            f"No standby is left that is not compromised. {successor.key_id}, which drains, "
            "becomes active again at once."
            if successor.state is KeyState.RETIRING
            else f"The standby {successor.key_id} becomes active at once."
        )
        return (
            f"{becomes_active} If this host may not use its private key, no playback URL is signed "
            "(no_signing_key) until that is fixed."
        )
    return (
        "No standby is left that is not compromised. No playback URL is signed (no_signing_key) "
        "until a new key pair is imported, which takes seconds when IVS answers. The new key pair "
        f"becomes active at once, without the {ring.terms.publish_delay_seconds} s in which IVS's "
        "edge learns about a new key. IVS may refuse its first tokens for a short time."
    )


def _all_keys(rings: Mapping[Region, Ring]) -> Mapping[Region, KeysToRevoke]:
    in_use = {
        region: tuple(pair.key_id for pair in ring.pairs if pair.state is not KeyState.RETIRED)
        for region, ring in rings.items()
    }
    return {
        region: KeysToRevoke(rings[region], key_ids)
        for region, key_ids in in_use.items()
        if key_ids
    }


def _named_keys(
    rings: Mapping[Region, Ring],
    key_ids: Sequence[str],
    unreadable: Mapping[Region, TokensvcError],
) -> Mapping[Region, KeysToRevoke]:
    by_region: dict[Region, KeysToRevoke] = {}
    for key_id in dict.fromkeys(key_ids):
        region = _region_of(rings, key_id, unreadable)
        earlier = by_region[region].key_ids if region in by_region else ()
        by_region[region] = KeysToRevoke(rings[region], (*earlier, key_id))
    return by_region


def _region_of(
    rings: Mapping[Region, Ring], key_id: str, unreadable: Mapping[Region, TokensvcError]
) -> Region:
    for region, ring in rings.items():
        if any(pair.key_id == key_id for pair in ring.pairs):
            return region
    for error in unreadable.values():
        # The key may be in the ring that can't be read, so that error has to be fixed first.
        raise error
    raise KeyNotFound(
        f"No key pair {key_id!r} is recorded in {', '.join(rings) or 'any region'}. Nothing was"
        " revoked.",
        hint="Run `tokensvc keys list` to see the recorded key pairs. For a region that was removed"
        " from the settings, add --region REGION.",
    )
