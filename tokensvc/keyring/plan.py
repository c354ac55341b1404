"""The plan of a rotation: every step that it would take, and when. Nothing is done or saved.

A plan uses the real rules and records. It assumes that every effect succeeds immediately, and that
every wait ends at its time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tokensvc.arns import PlaybackKeyArn
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.model import Act, Ring
from tokensvc.keyring.outcomes import (
    Destroyed,
    Generated,
    Imported,
    NewKeyId,
    Outcome,
    Performed,
    recorded,
)
from tokensvc.keyring.ownership import held_match
from tokensvc.keyring.rotation import next_step
from tokensvc.keyring.steps import Action, Done, Step, WaitUntil
from tokensvc.token.p384 import LocalSigner

_BY = "plan"
_NEW = "new-"


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step, when it would run (Unix seconds), and how many slots would then be occupied."""

    at: float
    step: Step
    slots_taken: int


def plan(
    ring: Ring, held_by_ivs: Sequence[HeldKeyPair], now: float, *, keep_standby: bool = True
) -> Iterator[PlannedStep]:
    """Every step until nothing is left to do, in order. New keys have invented IDs.

    Raises:
        RotationRefused: when a step needs a decision by the operator.
    """
    held = tuple(held_by_ivs)
    while True:
        match next_step(ring, held, now, keep_standby=keep_standby):
            case Done():
                return
            case WaitUntil(at=at):
                now = at
            case Step() as step:
                outcome = _assumed_outcome(ring, step, held, now)
                before, ring = ring, recorded(ring, step, outcome, Act(now, _BY, _BY))
                held = _held_after(before, step, outcome, held)
                yield PlannedStep(now, step, len(held))


def _assumed_outcome(ring: Ring, step: Step, held: Sequence[HeldKeyPair], now: float) -> Outcome:
    """The outcome of the step if its effect succeeds at once."""
    match step.action:
        case Action.NEW_PAIR:
            invented = sum(pair.key_id.startswith(_NEW) for pair in ring.pairs)
            return NewKeyId(f"{_NEW}{invented + 1}")
        case Action.MAKE:
            # A stand-in for the public key that custody would return; the private key is discarded.
            return Generated(LocalSigner.generate().public_key)
        case Action.IMPORT | Action.RECORD_IMPORT:
            pair = ring.pair(step.key_id)
            found = held_match(pair, held)
            invented_arn = PlaybackKeyArn(ring.region, ring.account_id, pair.name_in_ivs)
            return Imported(invented_arn if found is None else found.arn)
        case Action.DESTROY:
            return Destroyed(now)
        case _:
            return Performed()


def _held_after(
    before: Ring, step: Step, outcome: Outcome, held: tuple[HeldKeyPair, ...]
) -> tuple[HeldKeyPair, ...]:
    """The key pairs that IVS holds after the step."""
    match step.action, outcome:
        case Action.IMPORT, Imported(arn):
            pair = before.pair(step.key_id)
            fingerprint = pair.require_public_key().fingerprint
            return (*held, HeldKeyPair(arn, pair.name_in_ivs, fingerprint, {}))
        case Action.DELETE, _:
            deleted = held_match(before.pair(step.key_id), held)
            return tuple(one for one in held if one != deleted)
        case _:
            return held
