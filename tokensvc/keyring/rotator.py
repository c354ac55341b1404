"""The loop that acts on a ring: observe, ask for the next step, do it, save.

An operator's wishes come in here too. Everything is saved by compare-and-set (rule 7), so that of
two rotators one wins and the other says so.
"""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc.arns import PlaybackKeyArn, Region
from tokensvc.errors import InvalidKeyMaterial, NotFound, RotationRefused
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.model import (
    MOST_PAIRS_IN_IVS,
    KeyPair,
    KeyState,
    Ring,
    RotationRequest,
    Terms,
)
from tokensvc.keyring.plan import PlannedStep, plan
from tokensvc.keyring.rotation import (
    Action,
    Done,
    Step,
    WaitUntil,
    next_step,
    rotation_refusal,
    step_without_ivs,
)
from tokensvc.keyring.steps import Steps
from tokensvc.keyring.store import RingStore, StoredRing, another_was_faster
from tokensvc.p384 import PublicKey


@dataclass(frozen=True, slots=True)
class Binding:
    """What a ring is bound to for ever: region, account, and the URL at which IVS is asked."""

    region: Region
    account_id: str
    endpoint: str


def binding_refusal(ring: Ring, binding: Binding) -> str:
    """Why a program so bound may not touch the ring, or "" when it may."""
    bound = Binding(ring.region, ring.account_id, ring.endpoint)
    if bound == binding:
        return ""
    return (
        f"The ring of {ring.region} belongs to account {bound.account_id} at {bound.endpoint}, and "
        f"this program asks account {binding.account_id} at {binding.endpoint}."
    )


class Rotator:
    """One region's rotations; made by a command or a job, never by a web worker (rule 11)."""

    def __init__(
        self,
        store: RingStore,
        steps: Steps,
        *,
        binding: Binding,
        terms: Terms,
        keep_standby: bool = True,
        decommissioning: bool = False,
    ) -> None:
        self._store = store
        self._steps = steps
        self._binding = binding
        self._terms = terms
        self._keep_standby = keep_standby
        self._winding_down = decommissioning

    # --- What an operator asks for

    def ring(self) -> Ring:
        """The region's ring, made on first use, its marks raised to the settings' (rule 4).

        Raises:
            RotationRefused: when the stored ring is bound to another account or endpoint.
        """
        return self._load().ring

    def generate(self, why: str) -> KeyPair:
        """A fresh pending pair, its private half in custody and nothing yet in IVS.

        Raises:
            RotationRefused: when the ring already has as many pairs as IVS takes.
        """
        self._require_configured()
        stored = self._load()
        alive = [pair for pair in stored.ring.pairs if pair.state is not KeyState.RETIRED]
        if len(alive) >= MOST_PAIRS_IN_IVS:
            states = ", ".join(f"{pair.key_id} is {pair.state}" for pair in alive)
            raise RotationRefused(
                f"The ring has {len(alive)} key pairs, as many as IVS takes: {states}.",
                hint="`tokensvc keys rotate` turns to one that waits, and"
                " `tokensvc keys reconcile` removes a retiring one in its time.",
            )
        stored = self._do(stored, Step(Action.NEW_PAIR), why)
        key_id = stored.ring.pairs[-1].key_id
        return self._do(stored, Step(Action.MAKE, key_id), why).ring.pair(key_id)

    def import_pair(self, key_id: str, why: str) -> KeyPair:
        """That pending pair, published: its public half is in IVS."""
        self._require_configured()
        stored = self._load()
        pair = stored.ring.pair(key_id)
        if pair.state is not KeyState.PENDING:
            raise RotationRefused(f"{key_id} is {pair.state}: IVS has had its public half already.")
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
        """A published pair from a private half made elsewhere, whose public half IVS holds.

        Args:
            private_key: the private half.
            arn: the pair in IVS that it belongs to.
            why: the reason, for the history.
            longest_ttl_seconds: the longest life of the tokens that were signed with it elsewhere;
                the ring's mark is raised to it, so that they too outlive a rotation (rule 4).

        Raises:
            RotationRefused: when IVS holds no such pair, it is of another account or region, or it
                is in the ring already.
            InvalidKeyMaterial: when IVS's fingerprint is another key's.
        """
        public_key = PublicKey.of(private_key.public_key())
        self._require_configured()
        self._require_here(arn)
        try:
            held = self._steps.key_pairs.get(arn)
        except NotFound as exc:
            raise RotationRefused(
                f"IVS holds no key pair {arn}.", hint="`tokensvc keys list` shows what it holds."
            ) from exc
        if held.fingerprint != public_key.fingerprint:
            raise InvalidKeyMaterial(
                f"The private key's public half has the fingerprint {public_key.fingerprint}, "
                f"and {arn} has {held.fingerprint}.",
                hint="Give the private key that this pair was imported from.",
            )
        # The ID follows from the key, so that adopting again after a crash finds the same half.
        key_id = f"a{hashlib.sha256(public_key.spki_der).hexdigest()[:12]}"
        stored = self._load()
        ring = stored.ring.with_adopted_pair(key_id, public_key, arn, self._steps.act(why))
        longest = max(ring.terms.longest_ttl_seconds, longest_ttl_seconds)
        ring = ring.with_terms(dataclasses.replace(ring.terms, longest_ttl_seconds=longest))
        self._steps.custody.adopt(key_id, private_key)
        return self._store.save(ring, replacing=stored.version).ring.pair(key_id)

    def request_rotation(self, reason: str, *, force: bool = False) -> Ring:
        """The ring with the wish recorded that another key sign; `reconcile` carries it out.

        `force` rotates during a drain too, with the standby that there is (rule 9).

        Raises:
            RotationRefused: while an earlier switch is still draining, or another wish stands.
        """
        stored = self._load()
        with_rotation_request = self._wished(stored.ring, reason, force=force)
        return self._store.save(with_rotation_request, replacing=stored.version).ring

    def plan_rotation(self, *, force: bool = False) -> Sequence[PlannedStep]:
        """Every step of a rotation that would begin now, with its time; nothing is done or saved.

        Raises:
            RotationRefused: when it would be refused.
        """
        stored = self._store.load()
        ring = self._bound(self._new_ring() if stored is None else stored.ring)
        with_rotation_request = self._wished(ring, "plan", force=force)
        held, now = self._held(), self._steps.clock.now()
        return tuple(plan(with_rotation_request, held, now, keep_standby=self._keep_standby))

    def _wished(self, ring: Ring, reason: str, *, force: bool) -> Ring:
        self._require_configured()
        now = self._steps.clock.now()
        refusal = rotation_refusal(ring, now)
        if refusal and not force:
            raise RotationRefused(
                f"The last rotation of {self._binding.region} is not over. {refusal}",
                hint="Rotate again after that, or with --force, which spends the standby.",
            )
        if refusal and ring.standby is None:
            raise RotationRefused(
                f"There is no standby to rotate to in {self._binding.region}. {refusal}",
                hint="Wait for that: then there is a slot for the next key pair.",
            )
        return ring.with_rotation_request(RotationRequest(now, self._steps.by, reason))

    def revoke(self, key_ids: Collection[str], reason: str) -> Ring:
        """The ring with those pairs declared stolen (rule 10); `reconcile` gets rid of them.

        Raises:
            KeyNotFound: when the ring has none of that ID; nothing was declared.
        """
        stored = self._load()
        act = self._steps.act(reason)
        ring = stored.ring.compromised(key_ids, act)
        if ring.active is not None and ring.active.is_compromised:
            ring = ring.with_rotation_request(
                RotationRequest(act.at, act.by, reason, is_urgent=True)
            )
        return self._store.save(ring, replacing=stored.version).ring

    def reconcile(self, on_step: Callable[[Step], None]) -> WaitUntil | Done:
        """Until when to wait, or that nothing is left, after every step that is allowed now.

        `on_step` is called before each step, for progress.

        Raises:
            RotationRefused: when going on takes a person's decision; it names the way out.
            StateConflict: when another rotator was faster; run it again.
            IvsUnavailable, CustodyUnavailable, StateUnavailable: run it again later.
        """
        stored = self._load()
        while (step := step_without_ivs(stored.ring)) is not None:
            on_step(step)
            stored = self._do(stored, step, _why(stored.ring))
        stored, held = self._observe()
        while True:
            upcoming = next_step(
                stored.ring,
                held,
                self._steps.clock.now(),
                keep_standby=self._keep_standby,
                decommissioning=self._winding_down,
            )
            if not isinstance(upcoming, Step):
                return upcoming
            on_step(upcoming)
            stored = self._do(stored, upcoming, _why(stored.ring))
            if upcoming.action in (Action.IMPORT, Action.DELETE):
                stored, held = self._observe()

    # --- What all of it stands on

    def _do(self, stored: StoredRing, step: Step, why: str) -> StoredRing:
        return self._store.save(self._steps.do(stored.ring, step, why), replacing=stored.version)

    def _observe(self) -> tuple[StoredRing, Sequence[HeldKeyPair]]:
        """The ring, and what IVS held while that was the ring.

        Raises:
            StateConflict: when another rotator saved meanwhile, so that the two may not fit.
        """
        stored = self._load()
        held = self._held()
        if self._load().version != stored.version:
            raise another_was_faster(self._binding.region)
        return stored, held

    def _held(self) -> Sequence[HeldKeyPair]:
        """Every pair that IVS holds; with another account's credentials that tells nothing here."""
        held = self._steps.key_pairs.held()
        for one in held:
            self._require_here(one.arn)
        return held

    def _load(self) -> StoredRing:
        stored = self._store.load()
        if stored is None:
            return self._store.save(self._new_ring())
        raised = self._bound(stored.ring)
        if raised == stored.ring:
            return stored
        return self._store.save(raised, replacing=stored.version)

    def _new_ring(self) -> Ring:
        return Ring(
            self._binding.region,
            self._binding.account_id,
            self._binding.endpoint,
            deployment=secrets.token_hex(8),
            terms=self._terms,
        )

    def _bound(self, ring: Ring) -> Ring:
        """The ring with its marks raised to the settings', if it is the one of our binding."""
        if refusal := binding_refusal(ring, self._binding):
            raise RotationRefused(
                refusal,
                hint="Use the settings and the AWS environment that the ring was made with.",
            )
        return ring.with_terms(self._terms)

    def _require_configured(self) -> None:
        if self._winding_down:
            raise RotationRefused(
                f"{self._binding.region} is not among the configured regions: its key pairs only "
                "drain and go.",
                hint="Add it to ivs.regions to keep it; `tokensvc keys reconcile --region "
                f"{self._binding.region}` goes on with leaving it.",
            )

    def _require_here(self, arn: PlaybackKeyArn) -> None:
        if (arn.region, arn.account_id) != (self._binding.region, self._binding.account_id):
            raise RotationRefused(
                f"{arn} is not of account {self._binding.account_id} in {self._binding.region}.",
                hint="Check `account_id` in the settings, the AWS credentials, and --region.",
            )


def _why(ring: Ring) -> str:
    return ring.rotation_request.reason if ring.rotation_request is not None else "reconcile"
