"""A fleet in a virtual time: replicas and rotators with real rules, and all that can go wrong.

The invariant: every token that a replica hands out plays at the edge at every moment of its life,
from its handing out until its `exp` by IVS's clock, unless its key was declared stolen.

Each operation is one step of a schedule. A schedule is drawn at random by `schedule`, by hypothesis
in `test_fleet`, or written by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tests.fleet.cooperation import Actor
from tests.fleet.memory_custody import Vault
from tests.fleet.memory_ivs import BrokenToken, MemoryIvs
from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.fleet.processes import Parts, Process, Replica, RotatorHost, World
from tests.fleet.virtual_time import SkewedClock, VirtualTime
from tests.keyring.rings import REGION
from tests.support.clock import EXAMPLE_NOW
from tokensvc.errors import TokensvcError
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.store import RingStore

TO_THE_END = 10_000
"""More points than any work has."""

REAL_SKEW_SECONDS = 10
"""The most by which any two clocks of the fleet differ, whatever the terms say."""

STOLEN = "stolen"
"""The reason that the fleet's operator gives in an emergency."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to.

    Attributes:
        seed: what the schedule was drawn from.
        steps: how many operations were done.
        tokens: how many were handed out.
        switches: how many times another key began to sign what was handed out.
        retirements: how many private halves were destroyed.
        crashes: how many processes died.
        refusals: how many pieces of work ended with an error of ours.
        broken: the tokens that the edge refused before their time.
    """

    seed: int
    steps: int
    tokens: int
    switches: int
    retirements: int
    crashes: int
    refusals: int
    broken: tuple[BrokenToken, ...]


class Fleet:
    """Replicas, hosts of rotators, one store, one vault, one IVS; a context that kills them all."""

    def __init__(self, parts: Parts, *, replicas: int = 3, rotators: int = 2) -> None:
        self.parts = parts
        self.time = VirtualTime(EXAMPLE_NOW)
        self.ivs = MemoryIvs(SkewedClock(self.time))
        self._store = MemoryStore()
        self._vault = Vault()
        world = World(parts, self._store, self._vault, self.ivs)
        self.replicas = [
            Replica(f"replica {n}", world, SkewedClock(self.time)) for n in range(replicas)
        ]
        self.rotators = [
            RotatorHost(f"rotator {n}", world, SkewedClock(self.time), terms=parts.terms)
            for n in range(rotators)
        ]
        self.broken: list[BrokenToken] = []
        self.steps = 0
        self.crashes = 0
        self.refusals = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill everything that is parked."""
        for process in self.processes:
            process.die()

    # --- Looking

    @property
    def processes(self) -> list[Process]:
        """All of them."""
        return [*self.replicas, *self.rotators]

    @property
    def ring(self) -> Ring | None:
        """The ring as it is stored."""
        stored = RingStore(MemoryState(self._store), REGION).load()
        return None if stored is None else stored.ring

    def report(self, seed: int) -> Report:
        """What the run came to so far."""
        return Report(
            seed=seed,
            steps=self.steps,
            tokens=self.ivs.tokens_handed_out,
            switches=max(0, len(self.ivs.signed_with) - 1),
            retirements=len(self._vault.destroyed),
            crashes=self.crashes,
            refusals=self.refusals,
            broken=tuple(self.broken),
        )

    # --- Time

    def advance(self, seconds: float) -> None:
        """Let true time pass, with a judgement at each moment at which the edge forgets a key."""
        until = self.time.now + seconds
        while (loss := self.ivs.next_loss()) <= until:
            self.time.now = loss
            self._judge()
        self.time.now = until
        self._step_done()

    # --- Work: a stretch of it; what does not end in that stretch stays parked

    def sign(self, replica: Replica, ttl_seconds: int, points: int = TO_THE_END) -> None:
        """A request for a token of that life."""
        self._begin(replica, lambda: replica.sign(ttl_seconds), points)

    def look(self, replica: Replica, points: int = TO_THE_END) -> None:
        """The replica's follower reads the ring."""
        self._begin(replica, replica.view.refresh, points)

    def reconcile(self, host: RotatorHost, points: int = TO_THE_END) -> None:
        """The scheduled job."""
        self._begin(host, host.reconcile, points)

    def rotation_request(self, host: RotatorHost, *, force: bool, points: int = TO_THE_END) -> None:
        """The operator asks for another key."""
        self._begin(host, lambda: host.rotator().request_rotation("due", force=force), points)

    def revoke(self, host: RotatorHost, index: int, points: int = TO_THE_END) -> None:
        """The operator declares one of the keys in use stolen."""
        ring = self.ring
        in_use = [p.key_id for p in ring.pairs if p.state is not KeyState.RETIRED] if ring else []
        if in_use:
            key_id = in_use[index % len(in_use)]
            self._begin(host, lambda: host.rotator().revoke([key_id], STOLEN), points)

    def go_on(self, process: Process, index: int, points: int) -> None:
        """Something parked in that process goes on."""
        self._run(process, process.actors[index % len(process.actors)], points)

    def crash(self, process: Process) -> None:
        """The process dies where it is, and another takes its place."""
        process.die()
        if isinstance(process, Replica):
            process.begin()
        self.crashes += 1
        self._step_done()

    def settle(self) -> None:
        """Begin: one key signs, another stands by, and every replica has seen both."""
        for _ in range(2):
            self.reconcile(self.rotators[0])
            self.advance(self.parts.terms.publish_delay_seconds)
        for replica in self.replicas:
            self.look(replica)

    def reconcile_at_the_deadline(self, host: RotatorHost) -> None:
        """The scheduled job, at the first moment at which that host's clock lets it go on."""
        self.reconcile(host)
        if host.waits_until is not None:
            self.advance(max(0, host.waits_until - host.clock.now()))
            self.reconcile(host)

    # --- Strangers

    def stranger_comes(self) -> None:
        """Somebody else takes a slot, if one is free."""
        if not self.ivs.is_full:
            self.ivs.add(f"stranger {self.steps}", "stranger", {})
        self._step_done()

    def slots_are_freed(self) -> None:
        """A person deletes every pair that the ring does not need, as a refusal advises."""
        ring = self.ring
        needed = {
            pair.public_key.fingerprint
            for pair in (ring.pairs if ring is not None else ())
            if pair.public_key is not None and pair.state is not KeyState.RETIRED
        }
        for pair in [pair for pair in self.ivs.held.values() if pair.fingerprint not in needed]:
            self.ivs.drop(pair.arn)
        self._step_done()

    # --- Inside

    def _begin(self, process: Process, work: Callable[[], object], points: int) -> None:
        actor = Actor(lambda: self._done(work))
        process.actors.append(actor)
        self._run(process, actor, points)

    def _run(self, process: Process, actor: Actor, points: int) -> None:
        actor.go_on(points)
        if actor.is_over:
            process.actors.remove(actor)
        self._judge()
        self._step_done()

    def _done(self, work: Callable[[], object]) -> None:
        try:
            work()
        except TokensvcError:
            self.refusals += 1

    def _step_done(self) -> None:
        self.steps += 1
        if self.steps % 1_000 == 0:
            self.ivs.forget_expired()

    def _judge(self) -> None:
        for broken in self.ivs.judge():
            if not self._is_price_of_emergency(broken):
                self.broken.append(broken)

    def _is_price_of_emergency(self, broken: BrokenToken) -> bool:
        """Whether rule 10 has told the operator that such tokens would be refused."""
        ring = self.ring
        if ring is None:
            return False
        stolen = [pair.key_id for pair in ring.pairs if pair.is_compromised]
        if broken.token.key_id in stolen:
            return True
        hurried = [line.key_id for line in ring.history if line.why.startswith(STOLEN)]
        return broken.is_key_too_new and broken.token.key_id in hurried
