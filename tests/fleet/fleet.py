"""A simulated fleet: replicas and rotators run the real rules in virtual time, with faults.

The invariants: the edge accepts every token that a replica issues, from its issue until its `exp`
by the clock of IVS, unless its key was marked compromised. A replica that has read this mark no
longer signs with that key.

Each operation is one step of a schedule. `schedule` draws schedules at random, hypothesis does in
`test_any_schedule`, and `test_schedules` has some that are written by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tests.fleet.cooperative_threads import Actor
from tests.fleet.memory_custody import Vault
from tests.fleet.memory_ivs import BrokenToken, Fault, MemoryIvs
from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.fleet.processes import Parts, Process, Replica, RotatorHost, World
from tests.fleet.virtual_time import SkewedClock, VirtualTime
from tests.keyring.rings import REGION
from tests.support.clock import EXAMPLE_NOW
from tokensvc.errors import TokensvcError
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.ring_document import RingStore

TO_COMPLETION = 10_000
"""More yield points than any work has."""

REAL_SKEW_SECONDS = 10
"""The largest difference between any two clocks of the fleet, whatever the terms say."""

REVOKE_REASON = "compromised"
"""The reason that the simulated operator gives in an emergency."""


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a run.

    Attributes:
        seed: the seed of the schedule.
        steps: the number of operations.
        tokens: the number of issued tokens.
        switches: how many times another key began to sign issued tokens.
        retirements: the number of destroyed private keys.
        crashes: the number of killed processes.
        refusals: the number of operations that raised a `TokensvcError`.
        broken: the tokens that break one of the invariants.
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
    """Replicas and rotator hosts on one store, vault and IVS. Leaving the context kills them."""

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
            process.kill()

    # --- Queries

    @property
    def processes(self) -> list[Process]:
        """All replicas and rotator hosts."""
        return [*self.replicas, *self.rotators]

    @property
    def ring(self) -> Ring | None:
        """The ring as it is stored."""
        stored = RingStore(MemoryState(self._store), REGION).load()
        return None if stored is None else stored.ring

    def report(self, seed: int) -> Report:
        """The result of the run so far."""
        return Report(
            seed=seed,
            steps=self.steps,
            tokens=self.ivs.tokens_issued,
            switches=max(0, len(self.ivs.signed_with) - 1),
            retirements=len(self._vault.destroyed),
            crashes=self.crashes,
            refusals=self.refusals,
            broken=tuple(self.broken),
        )

    # --- Time

    def advance(self, seconds: float) -> None:
        """Advance the true time; check the tokens whenever the edge stops accepting a key."""
        until = self.time.now + seconds
        while (removed_at := self.ivs.next_key_removal()) <= until:
            self.time.now = removed_at
            self._collect_broken_tokens()
        self.time.now = until
        self._step_done()

    # --- Operations: each runs up to `points` yield points, and stays parked if it has not ended

    def sign(self, replica: Replica, ttl_seconds: int, points: int = TO_COMPLETION) -> None:
        """Request a token with that lifetime."""
        self._start_actor(replica, lambda: replica.sign(ttl_seconds), points)

    def refresh_view(self, replica: Replica, points: int = TO_COMPLETION) -> None:
        """Refresh the replica's view of the ring."""
        self._start_actor(replica, replica.view.refresh, points)

    def reconcile(self, host: RotatorHost, points: int = TO_COMPLETION) -> None:
        """Run the scheduled job."""
        self._start_actor(host, host.reconcile, points)

    def request_rotation(
        self, host: RotatorHost, *, force: bool, points: int = TO_COMPLETION
    ) -> None:
        """Request a rotation, as the operator does."""
        self._start_actor(host, lambda: host.rotator().request_rotation("due", force=force), points)

    def rollback(self, host: RotatorHost, points: int = TO_COMPLETION) -> None:
        """Switch back to the key that the last switch replaced, as the operator does."""
        self._start_actor(host, lambda: host.rotator().rollback("players fail"), points)

    def lower_terms(self, host: RotatorHost, points: int = TO_COMPLETION) -> None:
        """Lower the terms of the ring to the settings of that host, as the operator does."""
        self._start_actor(host, lambda: host.rotator().lower_terms("shorter tokens"), points)

    def revoke(self, host: RotatorHost, index: int, points: int = TO_COMPLETION) -> None:
        """Mark one of the keys in use as compromised, as the operator does."""
        ring = self.ring
        in_use = [p.key_id for p in ring.pairs if p.state is not KeyState.RETIRED] if ring else []
        if in_use:
            key_id = in_use[index % len(in_use)]
            self._start_actor(host, lambda: host.revoke(key_id, REVOKE_REASON), points)

    def spoil_the_standby(self) -> None:
        """Lose the private key of the standby, as an operator's mistake in the custody does."""
        ring = self.ring
        if ring is not None and ring.standby is not None:
            self._vault.private_keys.pop(ring.standby.key_id, None)
        self._step_done()

    def resume(self, process: Process, index: int, points: int) -> None:
        """Resume one of the parked operations of that process."""
        self._resume_actor(process, process.actors[index % len(process.actors)], points)

    def crash(self, process: Process) -> None:
        """Kill the process where it is, and start a new one in its place."""
        process.kill()
        if isinstance(process, Replica):
            process.start()
        self.crashes += 1
        self._step_done()

    def create_active_and_standby(self) -> None:
        """Create an active key and a standby, and let every replica read both."""
        for _ in range(2):
            self.reconcile(self.rotators[0])
            self.advance(self.parts.terms.publish_delay_seconds)
        for replica in self.replicas:
            self.refresh_view(replica)

    def reconcile_at_deadline(self, host: RotatorHost) -> None:
        """Run the scheduled job as early as the clock of that host allows the next step."""
        self.reconcile(host)
        if host.waits_until is not None:
            self.advance(max(0, host.waits_until - host.clock.now()))
            self.reconcile(host)

    # --- Foreign key pairs

    def import_foreign_pair(self) -> None:
        """Import a foreign key pair, if a slot is free."""
        if not self.ivs.is_full:
            self.ivs.add(f"foreign {self.steps}", "foreign", {})
        self._step_done()

    def free_slots(self) -> None:
        """Delete every key pair that the ring does not need, as the hint of a refusal says."""
        ring = self.ring
        needed = {
            pair.public_key.fingerprint
            for pair in (ring.pairs if ring is not None else ())
            if pair.public_key is not None and pair.state is not KeyState.RETIRED
        }
        for pair in [pair for pair in self.ivs.held.values() if pair.fingerprint not in needed]:
            self.ivs.delete(pair.arn)
        self._step_done()

    # --- Internals

    def _start_actor(self, process: Process, work: Callable[[], object], points: int) -> None:
        actor = Actor(lambda: self._run_command(work))
        process.actors.append(actor)
        self._resume_actor(process, actor, points)

    def _resume_actor(self, process: Process, actor: Actor, points: int) -> None:
        actor.resume(points)
        if actor.is_finished:
            process.actors.remove(actor)
        self._collect_broken_tokens()
        self._step_done()

    def _run_command(self, work: Callable[[], object]) -> None:
        try:
            work()
        except TokensvcError:
            self.refusals += 1

    def _step_done(self) -> None:
        self.steps += 1
        if self.steps % 1_000 == 0:
            self.ivs.forget_expired()

    def _collect_broken_tokens(self) -> None:
        for broken in self.ivs.pop_broken_tokens():
            if not self._is_expected_after_revocation(broken):
                self.broken.append(broken)

    def _is_expected_after_revocation(self, broken: BrokenToken) -> bool:
        """Whether such tokens are refused by rule 10, as the operator accepted by revoking."""
        ring = self.ring
        if ring is None or broken.fault is Fault.COMPROMISED:
            return False
        compromised = [pair.key_id for pair in ring.pairs if pair.is_compromised]
        if broken.token.key_id in compromised:
            return True
        urgent_key_ids = [
            line.key_id for line in ring.history if line.why.startswith(REVOKE_REASON)
        ]
        return broken.fault is Fault.TOO_NEW and broken.token.key_id in urgent_key_ids
