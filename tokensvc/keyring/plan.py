"""The plan of a rotation: every step that it would take, and when. Nothing is done or saved.

A plan uses the real rules and steps, with a simulated custody, IVS and clock. Every effect succeeds
immediately, and every wait ends at its time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc.arns import PlaybackKeyArn
from tokensvc.errors import CustodyUnavailable, NotFound
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.effects import Steps
from tokensvc.keyring.model import Ring
from tokensvc.keyring.rotation import Action, Done, Step, WaitUntil, next_step
from tokensvc.token.p384 import LocalSigner, PublicKey, Signer

_BY = "plan"


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
    clock = _Clock(now)
    ivs = _Ivs(ring, list(held_by_ivs))
    steps = Steps(_Custody(clock), ivs, clock, _BY)
    while True:
        match next_step(ring, ivs.pairs, clock.now(), keep_standby=keep_standby):
            case Done():
                return
            case WaitUntil(at=at):
                clock.time = at
            case Step(Action.SWITCH) as step:
                # The checks before a switch need the private key, which a plan never loads.
                ring = ring.switched_to(step.key_id, steps.act(_BY))
                yield PlannedStep(clock.now(), step, len(ivs.pairs))
            case Step() as step:
                ring = steps.do(ring, step, _BY)
                yield PlannedStep(clock.now(), step, len(ivs.pairs))


@dataclass(slots=True)
class _Clock:
    time: float

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@dataclass(slots=True)
class _Ivs:
    ring: Ring
    pairs: list[HeldKeyPair]

    def import_pair(
        self, public_key: PublicKey, *, name: str, tags: Mapping[str, str]
    ) -> HeldKeyPair:
        arn = PlaybackKeyArn(self.ring.region, self.ring.account_id, name)
        held = HeldKeyPair(arn, name, public_key.fingerprint, tags)
        self.pairs.append(held)
        return held

    def held(self) -> tuple[HeldKeyPair, ...]:
        return tuple(self.pairs)

    def get(self, arn: PlaybackKeyArn) -> HeldKeyPair:
        for pair in self.pairs:
            if pair.arn == arn:
                return pair
        raise NotFound(f"The simulated IVS holds no key pair {arn}.")

    def delete(self, arn: PlaybackKeyArn) -> None:
        self.pairs = [pair for pair in self.pairs if pair.arn != arn]


@dataclass(slots=True)
class _Custody:
    clock: _Clock

    def create(self, key_id: str) -> PublicKey:  # noqa: ARG002 # Any key will do.
        return LocalSigner.generate().public_key

    def adopt(self, key_id: str, private_key: ec.EllipticCurvePrivateKey) -> PublicKey:
        raise _no_private_key(key_id, private_key)

    def signer(self, key_id: str, expected: PublicKey) -> Signer:
        raise _no_private_key(key_id, expected)

    def key_ids(self) -> Collection[str]:
        return ()

    def destroy(self, key_id: str, *, compromised: bool) -> float:  # noqa: ARG002 # Nothing exists.
        return self.clock.time


def _no_private_key(key_id: str, _: object) -> CustodyUnavailable:
    return CustodyUnavailable(f"A plan has no private key of {key_id}.")
