"""Performs the steps of a rotation: each has at most one effect, in custody or in IVS.

`outcomes.recorded` gives the ring that records the outcome. The caller saves the intent before the
step, and that ring after it (rule 6). Every step can be repeated after a crash: custody returns the
same key for the same ID, and an import or a delete whose answer was lost is recognized by the key's
fingerprint.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from tokensvc.arns import PlaybackKeyArn
from tokensvc.aws_dates import DatedAnswer, clock_off, require_offset_seconds
from tokensvc.clock import Clock, Moment
from tokensvc.errors import (
    ClockOff,
    CustodyDamaged,
    InvalidSignature,
    IvsRefused,
    IvsUnavailable,
    KeyDestroyed,
    NotFound,
    RotationRefused,
    TokensvcError,
)
from tokensvc.ivs.errors import Conflict, QuotaExceeded
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.emergency import has_emergency
from tokensvc.keyring.model import Act, KeyPair, Ring
from tokensvc.keyring.outcomes import (
    Destroyed,
    Generated,
    Imported,
    NewKeyId,
    Outcome,
    Performed,
)
from tokensvc.keyring.ownership import delete_command, is_held, tags_of
from tokensvc.keyring.probes import FailedProbe, require_usable
from tokensvc.keyring.rotation import rests_on_clock
from tokensvc.keyring.signers import StoredKey, self_checked_signer
from tokensvc.keyring.slots import no_free_slot
from tokensvc.keyring.steps import Action, Step
from tokensvc.token.p384 import PublicKey, Signer

_RECORDING_A_TIME = (
    Action.IMPORT,
    Action.RECORD_IMPORT,
    Action.RECORD_SIGNING_END,
    Action.RECORD_TERMS_END,
    Action.RECORD_RESTORE,
)
"""The steps that record a time on which a later step rests, such as `signing_ended_at`."""


class KeyPairsInIvs(Protocol):
    """The operations on the playback key pairs of one region that a rotation needs."""

    def import_pair(
        self, public_key: PublicKey, *, name: str, tags: Mapping[str, str]
    ) -> HeldKeyPair:
        """Import a public key. Raises IvsRefused or IvsUnavailable."""
        ...

    def held(self) -> tuple[HeldKeyPair, ...]:
        """Every key pair that IVS holds. Raises IvsRefused or IvsUnavailable."""
        ...

    def get(self, arn: PlaybackKeyArn) -> HeldKeyPair:
        """The key pair with that ARN. Raises NotFound, IvsRefused or IvsUnavailable."""
        ...

    def delete(self, arn: PlaybackKeyArn) -> None:
        """Delete the key pair, if IVS holds it. Raises IvsRefused or IvsUnavailable."""
        ...

    def dated_answer(self) -> DatedAnswer | None:
        """The newest answer of AWS, also if it was a refusal; None when there is none."""
        ...


class Canary(Protocol):
    """Checks that IVS's edge accepts a token by the key that is about to become active (rule 2)."""

    def __call__(self, signer: Signer) -> None:
        """Return if the edge answers with anything but 403. Raises RotationRefused otherwise."""
        ...


class ProvenUnusable(RotationRefused):
    """Raised when a key pair is proven to be unable to sign, so that it is to be given up.

    Its private key is missing or wrong, or IVS does not hold the key pair.
    """


def new_key_id() -> str:
    """A random key ID that no other key pair has."""
    return f"k{secrets.token_hex(6)}"


@dataclass(frozen=True, slots=True)
class Effects:
    """Performs steps for one operator, with one custody and one region of IVS.

    Attributes:
        custody: where the private keys are.
        key_pairs: the key pairs of the region in IVS.
        clock: the clock.
        by: the operator, for the history.
        canary: checks a key before a switch, if a canary channel is configured.
        hasty_key_pairs: the same as `key_pairs`, for an emergency: it soon gives up when IVS does
            not answer.
        account_id: returns the ID of the AWS account that the credentials belong to; raises
            IvsUnavailable when that can't be found out.
        failed_probes: returns the workers that can't sign with a key pair of the region; raises
            StateUnavailable.
    """

    custody: Custody
    key_pairs: KeyPairsInIvs
    clock: Clock
    by: str
    canary: Canary | None = None
    hasty_key_pairs: KeyPairsInIvs | None = None
    account_id: Callable[[], str] | None = None
    failed_probes: Callable[[], Sequence[FailedProbe]] | None = None

    def act(self, why: str) -> Act:
        """The operator, the current time and the reason, for the history."""
        return Act(self.clock.now(), self.by, why)

    def act_of(self, ring: Ring, step: Step, why: str) -> Act:
        """The act that records that step, with the current time.

        Raises:
            ClockOff, IvsUnavailable: when a later step would rest on a time by a wrong clock. An
                import that is not recorded now is found in IVS, and recorded later.
        """
        if step.action in _RECORDING_A_TIME and rests_on_clock(ring, step):
            return self.timed_act(ring, why)
        return self.act(why)

    def timed_act(self, ring: Ring, why: str) -> Act:
        """The act with the current time, by a clock that agrees with IVS's clock.

        Raises:
            ClockOff, IvsUnavailable: the `clock_refusal`.
        """
        act = self.act(why)
        if (refusal := self.clock_refusal(ring)) is not None:
            raise refusal
        return act

    def held(self, ring: Ring) -> Sequence[HeldKeyPair]:
        """Every key pair that IVS holds.

        Raises:
            ClockOff: when IVS refused the request and its answer shows that the clock is off.
            IvsRefused, IvsUnavailable: when IVS did not list them for another reason.
        """
        earlier = self.key_pairs.dated_answer()
        try:
            return self.key_pairs.held()
        except IvsUnavailable as exc:
            # AWS refuses the signature of a clock that is minutes off, and dates its refusal.
            refusal = self.clock_refusal(ring)
            if self.key_pairs.dated_answer() is not earlier and isinstance(refusal, ClockOff):
                raise refusal from exc
            raise

    def clock_refusal(self, ring: Ring) -> TokensvcError | None:
        """Why no step may rest on this machine's clock; None when it agrees with IVS's clock.

        It is certainly off by more than the skew of the ring's terms (`ClockOff`), or no answer of
        IVS has shown IVS's clock (`IvsUnavailable`).
        """
        moment = Moment.of(self.clock)
        try:
            offset_seconds = require_offset_seconds(self.key_pairs.dated_answer(), moment)
        except IvsUnavailable as exc:
            return exc
        return clock_off(offset_seconds, ring.terms.clock_skew_seconds)

    def perform(self, ring: Ring, step: Step) -> Outcome:
        """The outcome of the step's effect. A step that only changes the ring has no effect.

        Raises:
            ProvenUnusable: when the key pair can't sign and is to be given up.
            RotationRefused: when the step would break a rule.
            IvsRefused, IvsUnavailable, CustodyUnavailable, CustodyDamaged: when the effect failed.
        """
        match step.action:
            case Action.NEW_PAIR:
                return NewKeyId(new_key_id())
            case Action.MAKE:
                made = self._make(ring, step.key_id)
                return Generated(made.public_key, made.handle)
            case Action.IMPORT:
                return Imported(self._import(ring, ring.pair(step.key_id)).arn)
            case Action.RECORD_IMPORT:
                public_key = ring.pair(step.key_id).require_public_key()
                return Imported(self._find_in_ivs(public_key).arn)
            case Action.SWITCH:
                self._check_before_switch(ring, ring.pair(step.key_id))
            case Action.DELETE:
                self._delete(ring.pair(step.key_id))
            case Action.DELETE_AGAIN:
                public_key = ring.pair(step.key_id).require_public_key()
                self.key_pairs.delete(self._find_in_ivs(public_key).arn)
            case Action.DESTROY:
                return Destroyed(self._destroy(ring, ring.pair(step.key_id)))
            case _:
                pass
        return Performed()

    def check_before_rollback(self, ring: Ring, pair: KeyPair, *, force: bool = False) -> None:
        """The checks of rule 2 for a key pair that is to sign again; `force` skips the workers'.

        Raises:
            RotationRefused: when a worker can't sign with it, IVS does not hold it, or the canary
                was refused.
            IvsRefused, IvsUnavailable, CustodyUnavailable, CustodyDamaged: when a check failed.
        """
        signer = self_checked_signer(self.custody, pair)
        if not force:
            self._require_usable_by_workers(pair, "tokensvc keys rollback --force")
        if self._held_as_recorded(pair) is None:
            raise self._missing(
                ring,
                pair,
                hint="The active key pair stays active. Run `tokensvc keys rotate --force` to"
                " switch to the standby instead.",
            )
        if self.canary is not None:
            self.canary(signer)

    def _import(self, ring: Ring, pair: KeyPair) -> HeldKeyPair:
        public_key = pair.require_public_key()
        tags = tags_of(ring, pair.key_id)
        try:
            held = self.key_pairs.import_pair(public_key, name=pair.name_in_ivs, tags=tags)
        except QuotaExceeded as exc:
            raise no_free_slot(ring, self.key_pairs.held()) from exc
        except Conflict:
            # IVS already holds this public key: an earlier answer was lost, or another rotator
            # imported it first.
            return self._find_in_ivs(public_key)
        if held.fingerprint != public_key.fingerprint:
            raise RotationRefused(
                f"IVS imported {pair.key_id} with the fingerprint {held.fingerprint}, but its "
                f"public key has the fingerprint {public_key.fingerprint}.",
                hint=f"Delete it, because nothing may sign with it: {delete_command(held)}",
            )
        if held.arn.account_id != ring.account_id:
            # The import is not recorded, so that the key pair is imported into the right account.
            raise RotationRefused(
                f"IVS imported {pair.key_id} as {held.arn}, which does not belong to account "
                f"{ring.account_id}: these AWS credentials belong to another account.",
                hint=f"Delete it: {delete_command(held)}\nThen run `tokensvc keys reconcile` with "
                f"credentials of account {ring.account_id}.",
            )
        return held

    def _find_in_ivs(self, public_key: PublicKey) -> HeldKeyPair:
        for held in self.key_pairs.held():
            if held.fingerprint == public_key.fingerprint:
                return held
        raise RotationRefused(
            f"IVS holds no key pair with the fingerprint {public_key.fingerprint}.",
            hint="It was deleted just now. Run `tokensvc keys reconcile` again.",
        )

    def holds_own_account(self, ring: Ring, held: Sequence[HeldKeyPair]) -> bool:
        """Whether IVS certainly answers for the ring's account.

        A key pair that it holds shows the account. Without one, STS is asked.
        """
        if held or self.account_id is None:
            return bool(held)
        try:
            return self.account_id() == ring.account_id
        except IvsUnavailable:
            return False

    def _make(self, ring: Ring, key_id: str) -> StoredKey:
        try:
            return self.custody.create(key_id, tags=tags_of(ring, key_id))
        except KeyDestroyed as exc:  # The state is older than the custody: it was restored.
            raise ProvenUnusable(exc.detail, hint=exc.hint) from exc
        except CustodyDamaged as exc:
            if not has_emergency(ring):
                raise
            raise ProvenUnusable(exc.detail, hint=exc.hint) from exc

    def _check_before_switch(self, ring: Ring, pair: KeyPair) -> None:
        """The checks of rule 2: sign, verify, compare IVS's fingerprint, and ask the canary."""
        if has_emergency(ring):
            self._check_in_emergency(ring, pair)
            return
        signer = self_checked_signer(self.custody, pair)
        is_forced = ring.rotation_request is not None and ring.rotation_request.is_forced
        # While no key is active, every worker refuses: a switch can only help.
        if ring.active is not None and not is_forced:
            self._require_usable_by_workers(pair, "tokensvc keys rotate --force")
        if self._held_as_recorded(pair) is None:
            raise self._missing(ring, pair, hint="Run `tokensvc keys reconcile` to replace it.")
        if self.canary is not None:
            self.canary(signer)

    def _require_usable_by_workers(self, pair: KeyPair, command: str) -> None:
        if self.failed_probes is not None:
            require_usable(pair.key_id, self.failed_probes(), command=command)

    def _check_in_emergency(self, ring: Ring, pair: KeyPair) -> None:
        """The checks of rule 2 as far as they need no one's answer (rule 10).

        A compromised key must not stay active because the edge does not know the new key yet, or
        because IVS does not answer. So there is no canary, and IVS may be silent.
        """
        try:
            self_checked_signer(self.custody, pair)
        except (CustodyDamaged, InvalidSignature) as exc:
            raise ProvenUnusable(exc.detail, hint=exc.hint) from exc
        key_pairs = self.hasty_key_pairs or self.key_pairs
        try:
            held = key_pairs.held()
        except (IvsRefused, IvsUnavailable):
            return
        if not is_held(pair, held) and self.holds_own_account(ring, held):
            raise ProvenUnusable(f"IVS does not hold {pair.key_id} ({pair.arn}).")

    def _missing(self, ring: Ring, pair: KeyPair, *, hint: str) -> RotationRefused:
        """The error for a key pair that IVS does not hold, as far as that is certain."""
        reason = f"IVS does not hold {pair.key_id} ({pair.arn}), so IVS would refuse its tokens."
        if self.holds_own_account(ring, self.key_pairs.held()):
            return ProvenUnusable(reason, hint=hint)
        return RotationRefused(
            f"{reason} These AWS credentials may belong to another account than {ring.account_id}.",
            hint="Check the credentials with `aws sts get-caller-identity`.",
        )

    def _destroy(self, ring: Ring, pair: KeyPair) -> float:
        if pair.public_key is None:
            # It is not recorded whether the private key was generated before a crash. `create`
            # returns the existing one or generates one, so there is always one to destroy.
            # A damaged one exists, too, and one that was destroyed before a crash did.
            with suppress(CustodyDamaged):
                self.custody.create(pair.key_id, tags=tags_of(ring, pair.key_id))
        return self.custody.destroy(
            pair.key_id, handle=pair.custody_handle, compromised=pair.is_compromised
        )

    def _delete(self, pair: KeyPair) -> None:
        if pair.arn is None:
            # The answer to its import was lost, so it can be found only by its fingerprint.
            self.key_pairs.delete(self._find_in_ivs(pair.require_public_key()).arn)
        elif (held := self._held_as_recorded(pair)) is not None:
            self.key_pairs.delete(held.arn)

    def _held_as_recorded(self, pair: KeyPair) -> HeldKeyPair | None:
        """The key pair in IVS with that ARN, if any. Its fingerprint must be ours (rule 5)."""
        if pair.arn is None:
            return None
        try:
            held = self.key_pairs.get(pair.arn)
        except NotFound:
            return None
        if held.fingerprint != pair.require_public_key().fingerprint:
            raise RotationRefused(
                f"{pair.arn} is recorded as {pair.key_id}, but IVS holds another key under this "
                "ARN. tokensvc doesn't change or delete it.",
                hint="Run `tokensvc keys doctor`. If this state is an old copy, replace it with "
                "the newest one.",
            )
        return held
