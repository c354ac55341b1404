"""What a ring says about its next step, for a process that can't rotate (rule 11). Pure.

`rotation.next_step` decides which step is done, and it knows what IVS holds. Here IVS is taken to
hold what the ring records: a worker asks it nothing about key pairs. A test compares both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tokensvc.ivs.limits import MAX_KEY_PAIRS
from tokensvc.keyring.drains import drain_ends, restore_drain_end
from tokensvc.keyring.emergency import emergency_step, has_emergency
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.steps import Action, Step

_OF_DRAIN = "Tokens that {key_id} signed may be valid until then."
_OF_PUBLISH_DELAY = "{key_id} must be published for {seconds} s before it may sign."
_OF_RESTORE = "The state was restored from a backup: such tokens may be valid until then."


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A step that `tokensvc keys reconcile` is expected to do.

    Attributes:
        step: the step.
        at: from when on it may be done, Unix seconds; None if it may be done at once.
        why: why not before, as a sentence; empty without a time.
    """

    step: Step
    at: float | None = None
    why: str = ""

    def is_due(self, now: float) -> bool:
        """Whether it may be done at that time, Unix seconds."""
        return self.at is None or self.at <= now


def upcoming_step(ring: Ring, now: float, *, keep_standby: bool) -> Upcoming | None:
    """The step that is due, else the one that is due first; None if the ring waits for nothing.

    Args:
        ring: the ring.
        now: Unix seconds.
        keep_standby: whether the next standby is created as soon as a switch is done (rule 9).
    """
    expected = list(_in_order(ring, keep_standby=keep_standby))
    due = [one for one in expected if one.is_due(now)]
    return due[0] if due else min(expected, key=lambda one: one.at or 0.0, default=None)


def _in_order(ring: Ring, *, keep_standby: bool) -> Iterator[Upcoming]:
    """The steps in the order in which `next_step` looks for them."""
    if (step := emergency_step(ring)) is not None:
        yield _after_restore(ring, step)
    if ring.restoration is not None and ring.restoration.restored_at is None:
        yield Upcoming(Step(Action.RECORD_RESTORE))
    yield from _begun_removals(ring)
    for pair in ring.in_state(KeyState.RETIRING):
        if pair.signing_ended_at is None and not pair.is_compromised:
            yield Upcoming(Step(Action.RECORD_SIGNING_END, pair.key_id))
    if any(former.ended_at is None for former in ring.former_terms):
        yield Upcoming(Step(Action.RECORD_TERMS_END))
    yield from _towards_a_switch(ring, keep_standby=keep_standby)
    for ends_at, pair in drain_ends(ring):
        step = Step(Action.INTEND_DELETE, pair.key_id)
        yield Upcoming(step, ends_at, _OF_DRAIN.format(key_id=pair.key_id))


def _begun_removals(ring: Ring) -> Iterator[Upcoming]:
    for pair in ring.in_state(KeyState.RETIRED):
        if pair.destroyed_on is None:
            yield _after_restore(ring, Step(Action.DESTROY, pair.key_id))
    for pair in ring.in_state(KeyState.RETIRING):
        if pair.delete_intended_at is not None:
            yield _after_restore(ring, Step(Action.DELETE, pair.key_id))


def _towards_a_switch(ring: Ring, *, keep_standby: bool) -> Iterator[Upcoming]:
    in_ivs = ring.in_state(KeyState.PUBLISHED, KeyState.ACTIVE, KeyState.RETIRING)
    has_free_slot = len(in_ivs) < MAX_KEY_PAIRS
    for pair in ring.in_state(KeyState.PENDING):
        if pair.public_key is None:
            yield Upcoming(Step(Action.MAKE, pair.key_id))
        elif has_free_slot:
            yield Upcoming(Step(Action.IMPORT, pair.key_id))
    is_wanted = ring.rotation_request is not None or ring.active is None
    if is_wanted and (standby := ring.standby) is not None:
        yield _switch(ring, standby.key_id, standby.published_at)
    has_next = bool(ring.in_state(KeyState.PENDING, KeyState.PUBLISHED))
    if (is_wanted or keep_standby) and has_free_slot and not has_next:
        yield Upcoming(Step(Action.NEW_PAIR))


def _switch(ring: Ring, key_id: str, published_at: float | None) -> Upcoming:
    step = Step(Action.SWITCH, key_id)
    if has_emergency(ring) or published_at is None:
        return Upcoming(step)
    seconds = ring.terms.publish_delay_seconds
    why = _OF_PUBLISH_DELAY.format(key_id=key_id, seconds=seconds)
    return Upcoming(step, published_at + seconds, why)


def _after_restore(ring: Ring, step: Step) -> Upcoming:
    """The step; a removal waits for a drain from the time of a restore (rule 4)."""
    ends_at = restore_drain_end(ring, ring.pair(step.key_id))
    if step.action not in (Action.DELETE, Action.DESTROY) or not math.isfinite(ends_at):
        return Upcoming(step)
    return Upcoming(step, ends_at, _OF_RESTORE)
