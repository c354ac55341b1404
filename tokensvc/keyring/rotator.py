"""The rotator: carries out an operator's requests and every step that is due in one region.

Reconciling is a loop: read the ring and the key pairs in IVS, determine the next step, do it, save.
Every save is compare-and-set: if two rotators save at once, one wins and the other gets
`StateConflict` (rule 7).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc.arns import PlaybackKeyArn
from tokensvc.errors import (
    ClockOff,
    CustodyUnavailable,
    RotationRefused,
    StateConflict,
    StateUnavailable,
    TokensvcError,
)
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.adoption import adopted, adopted_key_id, require_held, with_private_key
from tokensvc.keyring.binding import Binding, new_ring, require_bound, require_own
from tokensvc.keyring.changes import Decision, OnChange, RingChange, ignore_change
from tokensvc.keyring.drains import with_lowered_terms
from tokensvc.keyring.effects import Effects, ProvenUnusable
from tokensvc.keyring.model import Act, KeyPair, KeyState, Ring
from tokensvc.keyring.moving import without_former_standbys
from tokensvc.keyring.observation import Attempts
from tokensvc.keyring.outcomes import recorded
from tokensvc.keyring.plan import PlannedStep, plan
from tokensvc.keyring.ring_document import RingStore, StoredRing, ring_conflict
from tokensvc.keyring.rollback import rollback_target, rolled_back
from tokensvc.keyring.rotation import next_step, step_without_ivs
from tokensvc.keyring.rotation_requests import RotationRequest
from tokensvc.keyring.scheduling import requested_rotation, rotation_is_due
from tokensvc.keyring.slots import require_free_slot
from tokensvc.keyring.steps import Action, Done, Step, WaitUntil
from tokensvc.keyring.terms import Terms
from tokensvc.state.base import NEW, Version
from tokensvc.token.p384 import PublicKey

_CHANGES_IVS = (Action.IMPORT, Action.DELETE, Action.DELETE_AGAIN)


class Rotator:
    """One region's rotations. Created by a command or a job, never by a web worker (rule 11)."""

    def __init__(
        self,
        store: RingStore,
        effects: Effects,
        *,
        binding: Binding,
        terms: Terms,
        keep_standby: bool = True,
        decommissioning: bool = False,
        on_change: OnChange = ignore_change,
    ) -> None:
        self._store = store
        self._effects = effects
        self._binding = binding
        self._terms = terms
        self._keep_standby = keep_standby
        self._decommissioning = decommissioning
        self._on_change = on_change

    # --- Operator requests

    def ring(self) -> Ring:
        """The region's ring, created on first use, with its limits raised to the settings (rule 4).

        Raises:
            RotationRefused: when the stored ring is bound to another account or endpoint.
        """
        return self._load().ring

    def generate(self, why: str) -> KeyPair:
        """A new pending key pair: its private key is in custody, and IVS has nothing yet.

        Raises:
            RotationRefused: when the ring already has as many key pairs as IVS can hold.
        """
        self._require_configured()
        stored = self._load()
        require_free_slot(stored.ring)
        stored = self._do(stored, Step(Action.NEW_PAIR), why)
        key_id = stored.ring.pairs[-1].key_id
        return self._do(stored, Step(Action.MAKE, key_id), why).ring.pair(key_id)

    def import_pair(self, key_id: str, why: str) -> KeyPair:
        """That key pair after its public key was imported into IVS.

        Raises:
            RotationRefused: when the key pair is not pending.
        """
        self._require_configured()
        stored = self._load()
        pair = stored.ring.pair(key_id)
        if pair.state is not KeyState.PENDING:
            raise RotationRefused(
                f"Key pair {key_id} is {pair.state}: its public key was already imported into IVS.",
                hint="Run `tokensvc keys list` to see the state of each key pair.",
            )
        if pair.public_key is None:
            stored = self._do(stored, Step(Action.MAKE, key_id), why)
        return self._do(stored, Step(Action.IMPORT, key_id), why).ring.pair(key_id)

    def adopt(
        self,
        private_key: ec.EllipticCurvePrivateKey,
        arn: PlaybackKeyArn,
        why: str,
        *,
        longest_ttl_seconds: int = 0,
    ) -> KeyPair:
        """A published key pair from an existing private key whose public key IVS already holds.

        Adopting it again changes nothing.

        Args:
            private_key: the private key.
            arn: the key pair in IVS that it belongs to.
            why: the reason, for the history.
            longest_ttl_seconds: the longest lifetime of the tokens that another program signed with
                it. The drain of this key pair waits for these tokens too (rule 4).

        Raises:
            RotationRefused: when IVS holds no such key pair, it belongs to another account or
                region, or the ring has it under another ID, as compromised or as retired.
            InvalidKeyMaterial: when IVS has another fingerprint for it.
        """
        public_key = PublicKey.of(private_key.public_key())
        self._require_configured()
        require_own(self._binding, arn)
        require_held(self._effects.key_pairs, public_key, arn)
        stored = self._load()
        act = self._effects.timed_act(stored.ring, why)
        ring = adopted(stored.ring, public_key, arn, longest_ttl_seconds, act)
        key_id = adopted_key_id(public_key)
        self._store.require_storable(ring)
        ring = with_private_key(ring, key_id, private_key, self._effects.custody)
        if ring == stored.ring:
            return ring.pair(key_id)
        return self._save(ring, stored.version, Decision.ADOPT, act, key_id).ring.pair(key_id)

    def request_rotation(self, reason: str, *, force: bool = False, moves: bool = False) -> Ring:
        """The ring with a rotation request recorded; `reconcile` carries it out.

        `force` allows a rotation during a drain; it uses the existing standby (rule 9). `moves`
        withdraws a standby in the former custody, so that the next key is made in the newest.

        Raises:
            RotationRefused: when a key is still draining, or a rotation is already in progress.
        """
        return self._request_rotation(self._load(), reason, force=force, moves=moves)

    def request_scheduled_rotation(self, max_age_seconds: int) -> bool:
        """Request a rotation if one is due. Returns whether it was requested.

        The ring that is judged is the one that the request replaces, so that no request follows a
        rollback by another host.
        """
        stored = self._load()
        if not rotation_is_due(stored.ring, max_age_seconds, self._effects.clock.now()):
            return False
        reason = f"scheduled: the key has signed for {max_age_seconds} s or longer"
        self._request_rotation(stored, reason)
        return True

    def plan_rotation(self, *, force: bool = False, moves: bool = False) -> Sequence[PlannedStep]:
        """Every step of a rotation that would start now, with its time; nothing is done or saved.

        Raises:
            RotationRefused: when the rotation would be refused.
        """
        stored = self._store.load()
        ring = new_ring(self._binding, self._terms) if stored is None else stored.ring
        requested = self._requested(self._with_settings(ring), "plan", force=force, moves=moves)
        held, now = self._list_held(requested), self._effects.clock.now()
        return tuple(plan(requested, held, now, keep_standby=self._keep_standby))

    def _request_rotation(
        self, stored: StoredRing, reason: str, *, force: bool = False, moves: bool = False
    ) -> Ring:
        ring = self._requested(stored.ring, reason, force=force, moves=moves)
        act = self._effects.act(reason)
        return self._save(ring, stored.version, Decision.REQUEST_ROTATION, act).ring

    def _requested(self, ring: Ring, reason: str, *, force: bool, moves: bool) -> Ring:
        self._require_configured()
        now, by = self._effects.clock.now(), self._effects.by
        request = RotationRequest(now, by, reason, is_forced=force)
        requested = requested_rotation(ring, request)
        if not moves:
            return requested
        return without_former_standbys(requested, self._effects.custody, Act(now, by, reason))

    def rollback(self, reason: str, *, force: bool = False) -> KeyPair:
        """The key pair that the last switch replaced, which signs again (rule 9). One save.

        `reconcile` does the later steps: the key pair that signed until now drains. `force`
        switches although a worker can't sign with it (rule 2).

        Raises:
            RotationRefused: when that key pair may not sign again. Nothing was changed.
            NoSigningKey: when no key pair is active.
        """
        self._require_configured()
        stored = self._load()
        pair = rollback_target(stored.ring, self._effects.clock.now())
        self._effects.check_before_rollback(stored.ring, pair, force=force)
        act = self._effects.timed_act(stored.ring, reason)
        ring = rolled_back(stored.ring, pair.key_id, act)
        self._save(ring, stored.version, Decision.ROLL_BACK, act, pair.key_id)
        return ring.require_active()

    def lower_terms(self, reason: str) -> Ring:
        """The ring with its terms lowered to the settings of this process (rule 4).

        The earlier terms count in each drain until the last token that they allowed has expired.
        """
        stored, _ = self._observe()
        if stored.ring.terms == self._terms:
            return stored.ring
        act = self._effects.timed_act(stored.ring, reason)
        lowered = with_lowered_terms(stored.ring, self._terms, act)
        stored = self._save(lowered, stored.version, Decision.LOWER_TERMS, act)
        return self._do(stored, Step(Action.RECORD_TERMS_END), reason).ring

    def reconcile(self, on_step: Callable[[Step], None]) -> WaitUntil | Done:
        """Do every step that is allowed now. Returns the time until which to wait, or `Done`.

        `on_step` is called before each step, for progress.

        Raises:
            RotationRefused: when the operator must decide before anything else is done.
            StateConflict: when another rotator saved first. Call it again.
            IvsUnavailable, CustodyUnavailable, StateUnavailable, ClockOff: call it again later.
        """
        try:
            return self._reconcile(on_step)
        except (ClockOff, StateConflict, StateUnavailable):
            raise
        except TokensvcError as exc:
            self._record_failure(exc)
            raise

    def remove_compromised(self, on_step: Callable[[Step], None]) -> Attempts:
        """Do the steps about compromised keys that need no answer of IVS (rule 10).

        Another key pair takes over if one can. Returns what has failed; `reconcile` does the rest.

        Raises:
            StateConflict, CustodyUnavailable, StateUnavailable: call `reconcile` later.
        """
        stored, attempts = self._load(), Attempts()
        decommissioning = self._decommissioning
        while step := step_without_ivs(stored.ring, attempts, decommissioning=decommissioning):
            on_step(step)
            stored, attempts = self._attempt(stored, step, attempts)
        return attempts

    # --- Shared by all of the above

    def _record_failure(self, error: TokensvcError) -> None:
        """Record in the rotation request, if there is one, why it could not be carried out."""
        # The error itself is more important than its record, which version 1 of the ring refuses.
        with suppress(TokensvcError):
            stored = self._load()
            request = stored.ring.rotation_request
            if request is not None and request.failure != error.detail:
                act = self._effects.act(error.detail)
                failed = stored.ring.with_failed_request(act.at, error.detail)
                self._save(failed, stored.version, Decision.RECORD_FAILURE, act)

    def _reconcile(self, on_step: Callable[[Step], None]) -> WaitUntil | Done:
        attempts = self.remove_compromised(on_step)
        stored, held = self._observe()
        while True:
            upcoming = self._next_step(stored.ring, held, attempts)
            if not isinstance(upcoming, Step):
                for error in attempts.undestroyed.values():
                    raise error
                return upcoming
            on_step(upcoming)
            stored, attempts = self._attempt(stored, upcoming, attempts)
            if upcoming.action in _CHANGES_IVS:
                stored, held = self._observe()

    def _next_step(
        self, ring: Ring, held: Sequence[HeldKeyPair], attempts: Attempts
    ) -> Step | WaitUntil | Done:
        return next_step(
            ring,
            held,
            self._effects.clock.now(),
            keep_standby=self._keep_standby,
            decommissioning=self._decommissioning,
            attempts=attempts,
            account_is_certain=self._account_is_certain(ring, held),
            clock_refusal=self._effects.clock_refusal(ring),
        )

    def _account_is_certain(self, ring: Ring, held: Sequence[HeldKeyPair]) -> bool:
        is_relevant = any(
            pair.delete_intended_at is not None for pair in ring.in_state(KeyState.RETIRING)
        )
        return not is_relevant or self._effects.holds_own_account(ring, held)

    def _attempt(
        self, stored: StoredRing, step: Step, attempts: Attempts
    ) -> tuple[StoredRing, Attempts]:
        """The ring after the step, or what has failed if the other steps can go on."""
        why = attempts.unusable.get(step.key_id) if step.action is Action.DISCARD else None
        try:
            return self._do(stored, step, why or _reason(stored.ring)), attempts
        except ProvenUnusable as exc:
            return stored, attempts.with_unusable(step.key_id, exc.detail)
        except CustodyUnavailable as exc:
            # A private key that can't be destroyed now must not keep a compromised key active.
            if step.action is not Action.DESTROY:
                raise
            return stored, attempts.with_undestroyed(step.key_id, exc)

    def _do(self, stored: StoredRing, step: Step, why: str) -> StoredRing:
        ring, act = self._after(stored.ring, step, why)
        key_id = ring.pairs[-1].key_id if step.action is Action.NEW_PAIR else step.key_id
        return self._save(ring, stored.version, step.action, act, key_id)

    def _after(self, ring: Ring, step: Step, why: str) -> tuple[Ring, Act]:
        """The ring after the step's effect, with the time at which the effect had succeeded."""
        outcome = self._effects.perform(ring, step)
        act = self._effects.act_of(ring, step, why)
        return recorded(ring, step, outcome, act), act

    def _save(
        self,
        ring: Ring,
        replacing: Version,
        change: Action | Decision,
        act: Act,
        key_id: str = "",
    ) -> StoredRing:
        """Save the ring, and report the change, which is then certain."""
        saved = self._store.save(ring, replacing=replacing)
        self._on_change(RingChange(ring.region, change, key_id, act))
        return saved

    def _observe(self) -> tuple[StoredRing, Sequence[HeldKeyPair]]:
        """The ring and the key pairs in IVS, read while the ring didn't change.

        Raises:
            StateConflict: when another rotator saved meanwhile, so that the two may not match.
        """
        stored = self._load()
        held = self._list_held(stored.ring)
        if self._load().version != stored.version:
            raise ring_conflict(self._binding.region)
        return stored, held

    def _list_held(self, ring: Ring) -> Sequence[HeldKeyPair]:
        """Every key pair that IVS holds; refused when the credentials are another account's."""
        held = self._effects.held(ring)
        for one in held:
            require_own(self._binding, one.arn)
        return held

    def _load(self) -> StoredRing:
        stored = self._store.load()
        if stored is None:
            act = self._effects.act("the region has no ring yet")
            return self._save(new_ring(self._binding, self._terms), NEW, Decision.CREATE_RING, act)
        raised = self._with_settings(stored.ring)
        if raised == stored.ring:
            return stored
        act = self._effects.act("the settings have higher limits")
        return self._save(raised, stored.version, Decision.RAISE_TERMS, act)

    def _with_settings(self, ring: Ring) -> Ring:
        """The ring with its limits raised to the settings; refused when it has another binding."""
        require_bound(ring, self._binding)
        return ring.with_terms(self._terms)

    def _require_configured(self) -> None:
        if self._decommissioning:
            raise RotationRefused(
                f"{self._binding.region} is not a configured region. It is being decommissioned: "
                "no key pair is added, and the existing ones are removed after their drain.",
                hint="Add the region to ivs.regions to keep it. To continue removing it, run "
                f"`tokensvc keys reconcile --region {self._binding.region}`.",
            )


def _reason(ring: Ring) -> str:
    return ring.rotation_request.reason if ring.rotation_request is not None else "reconcile"
