"""The steps of a rotation, done: each is one effect, and gives the ring that records it.

The caller saved the intent before and saves the given ring after (rule 6). Every step can be done
again after a crash: custody makes the same half for the same ID, and an import or a delete whose
answer was lost is recognised by the key's fingerprint.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tokensvc.arns import PlaybackKeyArn
from tokensvc.clock import Clock
from tokensvc.errors import IvsRefused, NotFound, RotationRefused
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.model import DEPLOYMENT_TAG, KEY_TAG, Act, KeyPair, Ring
from tokensvc.keyring.ownership import freeing_call, slot_listing
from tokensvc.keyring.rotation import Action, Step
from tokensvc.p384 import PublicKey, Signer

_SELF_CHECK_MESSAGE = b"tokensvc self-check"


class KeyPairsInIvs(Protocol):
    """The playback key pairs of one region, as a rotation needs them."""

    def import_pair(
        self, public_key: PublicKey, *, name: str, tags: Mapping[str, str]
    ) -> HeldKeyPair:
        """The pair as IVS took it. Raises IvsRefused or IvsUnavailable."""
        ...

    def held(self) -> tuple[HeldKeyPair, ...]:
        """Every pair that IVS holds. Raises IvsRefused or IvsUnavailable."""
        ...

    def get(self, arn: PlaybackKeyArn) -> HeldKeyPair:
        """The pair of that ARN. Raises NotFound, IvsRefused or IvsUnavailable."""
        ...

    def delete(self, arn: PlaybackKeyArn) -> None:
        """Return when IVS holds the pair no more. Raises IvsRefused or IvsUnavailable."""
        ...


class Canary(Protocol):
    """Asks IVS's edge whether it takes a token by a key that is about to sign (rule 2)."""

    def __call__(self, signer: Signer) -> None:
        """Return when the edge answered with anything but 403. Raises RotationRefused otherwise."""
        ...


def new_key_id() -> str:
    """A key ID that no other key pair has."""
    return f"k{secrets.token_hex(6)}"


@dataclass(frozen=True, slots=True)
class Steps:
    """Does steps for one operator, on one custody and one region of IVS."""

    custody: Custody
    key_pairs: KeyPairsInIvs
    clock: Clock
    by: str
    canary: Canary | None = None

    def act(self, why: str) -> Act:
        """Who, now, and why: for the history."""
        return Act(self.clock.now(), self.by, why)

    def do(self, ring: Ring, step: Step, why: str) -> Ring:  # noqa: C901, PLR0911 # One for each action.
        """The ring after that step.

        Raises:
            RotationRefused: when the step would break a rule.
            IvsRefused, IvsUnavailable, CustodyUnavailable, CustodyDamaged: as the effect ended.
        """
        key_id = step.key_id
        match step.action:
            case Action.NEW_PAIR:
                return ring.with_new_pair(new_key_id(), self.act(why))
            case Action.MAKE:
                return ring.made(key_id, self.custody.create(key_id))
            case Action.IMPORT:
                held = self._import(ring, ring.pair(key_id))
                return ring.published(key_id, held.arn, self.act(why))
            case Action.RECORD_IMPORT:
                held = self._found(required_public_key(ring.pair(key_id)))
                return ring.published(key_id, held.arn, self.act(why))
            case Action.SWITCH:
                return self._switched(ring, ring.pair(key_id), why)
            case Action.STOP:
                return ring.stopped(key_id, self.act(why))
            case Action.RECORD_SIGNING_END:
                # The switch was saved before this reading of the clock (rule 4).
                return ring.signing_ended(key_id, self.clock.now())
            case Action.WITHDRAW:
                return ring.withdrawn(key_id, self.act(why))
            case Action.INTEND_DELETE:
                return ring.delete_intended(key_id, self.clock.now())
            case Action.DELETE:
                self._delete(ring.pair(key_id))
                return ring.retired(key_id, self.act(why))
            case Action.RECORD_DELETE:
                return ring.retired(key_id, self.act(why))
            case Action.DESTROY:
                return ring.destroyed(key_id, self._destroy(ring.pair(key_id)))

    def _import(self, ring: Ring, pair: KeyPair) -> HeldKeyPair:
        public_key = required_public_key(pair)
        tags = {DEPLOYMENT_TAG: ring.deployment, KEY_TAG: pair.key_id}
        try:
            held = self.key_pairs.import_pair(public_key, name=pair.name_in_ivs, tags=tags)
        except IvsRefused as exc:
            if exc.aws_code == "ServiceQuotaExceededException":
                raise RotationRefused(
                    f"IVS takes no more key pairs in {ring.region}:\n"
                    + slot_listing(ring, self.key_pairs.held()),
                    hint="Free a slot, then run `tokensvc keys reconcile`.",
                ) from exc
            if exc.aws_code != "ConflictException":
                raise
            # IVS has that public half: an earlier answer was lost, or another rotator was faster.
            return self._found(public_key)
        if held.fingerprint != public_key.fingerprint:
            raise RotationRefused(
                f"IVS took {pair.key_id} with the fingerprint {held.fingerprint}; ours is "
                f"{public_key.fingerprint}.",
                hint=f"Delete {held.arn}: nothing may be signed for it.",
            )
        if held.arn.account_id != ring.account_id:
            # Not recorded: the pair is imported again where it belongs.
            raise RotationRefused(
                f"IVS took {pair.key_id} as {held.arn}, which is not of account {ring.account_id}: "
                "these AWS credentials are another account's.",
                hint=f"Delete it: {freeing_call(held)}\nThen run `tokensvc keys reconcile` with "
                f"credentials of account {ring.account_id}.",
            )
        return held

    def _found(self, public_key: PublicKey) -> HeldKeyPair:
        for held in self.key_pairs.held():
            if held.fingerprint == public_key.fingerprint:
                return held
        raise RotationRefused(
            f"IVS holds no key pair with the fingerprint {public_key.fingerprint}.",
            hint="Run `tokensvc keys reconcile` again: it was deleted a moment ago.",
        )

    def _switched(self, ring: Ring, pair: KeyPair, why: str) -> Ring:
        signer = self._signer_fit_to_switch_to(pair)
        if ring.rotation_request is not None and ring.rotation_request.is_urgent:
            # An edge that does not know the new key yet must not keep the stolen one at work.
            return ring.switched_to(pair.key_id, self.act(f"{why} (urgent: no publish delay)"))
        if self.canary is not None:
            self.canary(signer)
        return ring.switched_to(pair.key_id, self.act(why))

    def _signer_fit_to_switch_to(self, pair: KeyPair) -> Signer:
        """Rule 2: sign, verify, compare IVS's fingerprint with ours."""
        signer = self_checked_signer(self.custody, pair)
        if self._held_as_recorded(pair) is None:
            raise RotationRefused(
                f"IVS no longer holds {pair.key_id} as {pair.arn}: its tokens would be refused.",
                hint="The key that signs goes on. `tokensvc keys list` shows what IVS holds.",
            )
        return signer

    def _destroy(self, pair: KeyPair) -> float:
        if pair.public_key is None:
            # Whether its half was made before a crash is not recorded. Making it once more, which
            # gives the same one, leaves a half for certain, and so something to destroy.
            self.custody.create(pair.key_id)
        return self.custody.destroy(pair.key_id, compromised=pair.is_compromised)

    def _delete(self, pair: KeyPair) -> None:
        if pair.arn is None:
            # The answer to its import was lost, so only the fingerprint finds it.
            self.key_pairs.delete(self._found(required_public_key(pair)).arn)
        elif (held := self._held_as_recorded(pair)) is not None:
            self.key_pairs.delete(held.arn)

    def _held_as_recorded(self, pair: KeyPair) -> HeldKeyPair | None:
        """What IVS holds under the pair's ARN; only the same fingerprint makes it ours (rule 5)."""
        if pair.arn is None:
            return None
        try:
            held = self.key_pairs.get(pair.arn)
        except NotFound:
            return None
        if held.fingerprint != required_public_key(pair).fingerprint:
            raise RotationRefused(
                f"{pair.arn} holds another key than {pair.key_id}, so it is not ours to touch.",
                hint="Find out who imported it; this state may be an old copy.",
            )
        return held


def self_checked_signer(custody: Custody, pair: KeyPair) -> Signer:
    """A signer of the pair that has just signed what its public half verifies (rule 2).

    Raises:
        CustodyDamaged, CustodyUnavailable, InvalidSignature: when the private half can't be used.
        RotationRefused: when custody has not made it yet.
    """
    public_key = required_public_key(pair)
    signer = custody.signer(pair.key_id, public_key)
    public_key.verify(signer.sign(_SELF_CHECK_MESSAGE), _SELF_CHECK_MESSAGE)
    return signer


def required_public_key(pair: KeyPair) -> PublicKey:
    """The pair's public half.

    Raises:
        RotationRefused: when custody has not made it yet.
    """
    if pair.public_key is None:
        raise RotationRefused(
            f"{pair.key_id} has no public half yet.", hint="Run `tokensvc keys reconcile`."
        )
    return pair.public_key
