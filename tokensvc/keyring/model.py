"""The ring: one region's key pairs, their states, and the transitions between the states.

A transition is a method that returns a new ring and adds a line to its history. A transition that
the states don't allow raises an error. Nothing here reads a clock, a file or a network.

    pending    recorded, and not yet imported into IVS
    published  imported into IVS: the standby
    active     signs new tokens
    retiring   no longer signs; IVS still accepts the tokens that it signed
    retired    deleted from IVS, private key destroyed or about to be; the record is kept
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tokensvc.arns import PlaybackKeyArn, Region
from tokensvc.errors import KeyNotFound, NoSigningKey, RotationRefused
from tokensvc.keyring.restoration import Restoration
from tokensvc.keyring.rotation_requests import RotationPause, RotationRequest
from tokensvc.keyring.terms import FormerTerms, Terms
from tokensvc.token.p384 import PublicKey

MAX_RETIRED_PAIRS = 20
MAX_TRANSITIONS = 200
DEPLOYMENT_TAG = "tokensvc:deployment"
KEY_TAG = "tokensvc:key"


class KeyState(StrEnum):
    """The states of a key pair, in the order in which it passes through them."""

    PENDING = "pending"
    PUBLISHED = "published"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The record of one key pair. Times are Unix seconds; None means that it has not happened.

    Attributes:
        key_id: our own ID, never used for a second key pair. It names the private key in custody
            and, with a prefix, the key pair in IVS.
        state: its current state.
        created_at: when it was recorded. The private key is generated after that.
        public_key: the public key; None until custody has generated the private key.
        arn: its ARN in IVS; None until it is imported.
        published_at: when IVS acknowledged the import.
        activated_at: when it began to sign.
        signing_ended_at: a time at which the switch to another key was already saved (rule 4).
        delete_intended_at: when its deletion from IVS was decided. That decision is final.
        deleted_at: when IVS was first seen without it.
        destroyed_on: when the private key is permanently gone, as reported by the custody.
        compromised_at: when it was marked compromised (rule 10): it signs no more, and can only be
            removed.
        adopted: whether its private key was generated outside tokensvc.
        adopted_ttl_seconds: the longest lifetime of the tokens that were signed with it elsewhere.
            None when it is not adopted, or when an earlier release adopted it.
        custody_handle: what custody calls its private key; see `StoredKey`.
    """

    key_id: str
    state: KeyState
    created_at: float
    public_key: PublicKey | None = None
    arn: PlaybackKeyArn | None = None
    published_at: float | None = None
    activated_at: float | None = None
    signing_ended_at: float | None = None
    delete_intended_at: float | None = None
    deleted_at: float | None = None
    destroyed_on: float | None = None
    compromised_at: float | None = None
    adopted: bool = False
    adopted_ttl_seconds: int | None = None
    custody_handle: str | None = None

    @property
    def is_compromised(self) -> bool:
        """Whether it was marked compromised."""
        return self.compromised_at is not None

    @property
    def name_in_ivs(self) -> str:
        """The name under which the key pair is imported into IVS."""
        return f"tokensvc-{self.key_id}"

    def require_public_key(self) -> PublicKey:
        """The public key.

        Raises:
            RotationRefused: when custody has not generated the private key yet.
        """
        if self.public_key is None:
            raise RotationRefused(
                f"The private key of {self.key_id} is not generated yet.",
                hint="Run `tokensvc keys reconcile` to generate it.",
            )
        return self.public_key


@dataclass(frozen=True, slots=True)
class Transition:
    """One line of the history: a change of a key's state.

    A new record has no `from_state`, and neither has a retired key pair that was found in IVS
    again and deleted again.
    """

    at: float
    by: str
    key_id: str
    from_state: KeyState | None
    to_state: KeyState
    why: str


@dataclass(frozen=True, slots=True)
class Act:
    """Who changes a key's state, when (Unix seconds) and why. Each transition records it."""

    at: float
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Ring:
    """One region's key pairs, bound to one account and one endpoint.

    Attributes:
        region: the region that the key pairs belong to.
        account_id: the AWS account that they belong to.
        endpoint: the URL of IVS. It keeps a ring of Local IVS apart from a ring of AWS.
        deployment: a random ID, created with the ring. Its key pairs in IVS are tagged with it.
        terms: the limits that apply to every process.
        pairs: the records, oldest first.
        rotation_request: the rotation request that is not yet carried out, if any.
        history: the latest transitions, oldest first.
        rotation_pause: why no scheduled rotation begins, if that is so.
        former_terms: the limits that were lowered and may still count in a drain, oldest first.
        restoration: the latest restore from a backup, if there was one.
    """

    region: Region
    account_id: str
    endpoint: str
    deployment: str
    terms: Terms
    pairs: tuple[KeyPair, ...] = ()
    rotation_request: RotationRequest | None = None
    history: tuple[Transition, ...] = ()
    rotation_pause: RotationPause | None = None
    former_terms: tuple[FormerTerms, ...] = ()
    restoration: Restoration | None = None

    # --- Queries

    def pair(self, key_id: str) -> KeyPair:
        """The key pair with that ID.

        Raises:
            KeyNotFound: when the ring has no such key pair.
        """
        for pair in self.pairs:
            if pair.key_id == key_id:
                return pair
        raise KeyNotFound(
            f"The ring of {self.region} has no key pair {key_id!r}.",
            hint="Run `tokensvc keys list` to see the key pairs of every region.",
        )

    def in_state(self, *states: KeyState) -> tuple[KeyPair, ...]:
        """The key pairs in any of those states, oldest first."""
        return tuple(pair for pair in self.pairs if pair.state in states)

    @property
    def active(self) -> KeyPair | None:
        """The active key pair, if any."""
        return next((pair for pair in self.pairs if pair.state is KeyState.ACTIVE), None)

    def require_active(self) -> KeyPair:
        """The active key pair.

        Raises:
            NoSigningKey: when no key pair is active.
        """
        active = self.active
        if active is None:
            raise NoSigningKey(
                f"No key pair is active in {self.region}.",
                hint=f"Run `tokensvc keys reconcile --region {self.region}` to activate one.",
            )
        return active

    @property
    def standby(self) -> KeyPair | None:
        """The key pair that will sign next: of the published ones, the one published first."""
        published = [p for p in self.in_state(KeyState.PUBLISHED) if not p.is_compromised]
        return min(published, key=lambda pair: pair.published_at or 0, default=None)

    # --- Rotation request and terms

    def with_rotation_request(self, rotation_request: RotationRequest) -> Ring:
        """The ring with that rotation request, in place of a weaker one.

        A request that is not urgent ends a pause of scheduled rotation.

        Raises:
            RotationRefused: when an earlier request is not finished and not weaker.
        """
        earlier = self.rotation_request
        if earlier is not None and not rotation_request.may_replace(earlier):
            raise RotationRefused(
                f"A rotation of {self.region} is already in progress. {earlier.sentence}",
                hint="Run `tokensvc keys reconcile` to continue it.",
            )
        pause = self.rotation_pause if rotation_request.is_urgent else None
        return dataclasses.replace(self, rotation_request=rotation_request, rotation_pause=pause)

    def with_failed_request(self, at: float, failure: str) -> Ring:
        """The ring after its rotation request could not be carried out, if it has one."""
        if self.rotation_request is None:
            return self
        failed = dataclasses.replace(self.rotation_request, failed_at=at, failure=failure)
        return dataclasses.replace(self, rotation_request=failed)

    def with_terms(self, terms: Terms) -> Ring:
        """The ring with each limit raised to at least that of `terms`."""
        return dataclasses.replace(self, terms=self.terms.raised_to(terms))

    # --- Transitions

    def with_new_pair(self, key_id: str, act: Act) -> Ring:
        """The ring with a new pending key pair; its private key is not generated yet."""
        return _with_record(self, KeyPair(key_id, KeyState.PENDING, act.at), act)

    def with_adopted_pair(
        self,
        key_id: str,
        public_key: PublicKey,
        arn: PlaybackKeyArn,
        longest_ttl_seconds: int,
        act: Act,
    ) -> Ring:
        """The ring with a published key pair that was imported into IVS outside tokensvc.

        Its drain allows for tokens of that lifetime, which were signed elsewhere (rule 4).
        """
        pair = KeyPair(
            key_id,
            KeyState.PUBLISHED,
            act.at,
            public_key,
            arn,
            published_at=act.at,
            adopted=True,
            adopted_ttl_seconds=longest_ttl_seconds or None,
        )
        return _with_record(self, pair, act)

    def with_public_key(
        self, key_id: str, public_key: PublicKey, handle: str | None = None
    ) -> Ring:
        """The ring after custody has generated the private key of that pending key pair."""
        _require(self, key_id, KeyState.PENDING)
        return _with_changes(self, key_id, public_key=public_key, custody_handle=handle)

    def published(self, key_id: str, arn: PlaybackKeyArn, act: Act) -> Ring:
        """The ring after IVS has imported the public key."""
        moved = _with_state(self, key_id, KeyState.PENDING, KeyState.PUBLISHED, act)
        return _with_changes(moved, key_id, arn=arn, published_at=act.at)

    def switched_to(self, key_id: str, act: Act) -> Ring:
        """The ring with that key pair active, the previous one retiring, and the request done.

        A retiring key pair can become active again. Its signing has then not ended.
        """
        returns = self.pair(key_id).state is KeyState.RETIRING
        before = KeyState.RETIRING if returns else KeyState.PUBLISHED
        moved = _with_state(self, key_id, before, KeyState.ACTIVE, act)
        moved = _with_changes(moved, key_id, activated_at=act.at, signing_ended_at=None)
        if (predecessor := self.active) is not None:
            moved = _with_state(moved, predecessor.key_id, KeyState.ACTIVE, KeyState.RETIRING, act)
        return dataclasses.replace(moved, rotation_request=None)

    def signing_ended(self, key_id: str, at: float) -> Ring:
        """The ring with that key pair's end of signing, a time after the saved switch (rule 4)."""
        _require(self, key_id, KeyState.RETIRING)
        return _with_changes(self, key_id, signing_ended_at=at)

    def delete_intended(self, key_id: str, at: float) -> Ring:
        """The ring with the decision recorded to delete that key pair from IVS."""
        _require(self, key_id, KeyState.RETIRING)
        return _with_changes(self, key_id, delete_intended_at=at)

    def compromised(self, key_ids: Iterable[str], act: Act) -> Ring:
        """The ring with those key pairs marked compromised (rule 10); retired ones don't change."""
        ring = self
        for key_id in key_ids:
            pair = ring.pair(key_id)
            if pair.state is not KeyState.RETIRED and not pair.is_compromised:
                line = Transition(act.at, act.by, key_id, pair.state, pair.state, act.why)
                ring = _with_transition(_with_changes(ring, key_id, compromised_at=act.at), line)
        return ring

    def stopped(self, key_id: str, act: Act) -> Ring:
        """The ring with that key pair retiring and none active: its region is decommissioned.

        A rotation request is removed, so that it can't run if the region is added again.
        """
        moved = _with_state(self, key_id, KeyState.ACTIVE, KeyState.RETIRING, act)
        return dataclasses.replace(moved, rotation_request=None)

    def withdrawn(self, key_id: str, act: Act) -> Ring:
        """The ring with the decision recorded to delete that key pair from IVS without a drain.

        A compromised key pair gets no drain (rule 10). A key pair that never signed needs none.
        """
        pair = self.pair(key_id)
        if pair.activated_at is not None and not pair.is_compromised:
            raise RotationRefused(
                f"Key pair {key_id} must drain: it has signed tokens and is not compromised.",
                hint="Run `tokensvc keys reconcile` after the drain to delete it from IVS.",
            )
        moved = _with_state(self, key_id, pair.state, KeyState.RETIRING, act)
        return _with_changes(moved, key_id, delete_intended_at=act.at)

    def retired(self, key_id: str, act: Act) -> Ring:
        """The ring after IVS was seen without that key pair."""
        moved = _with_state(self, key_id, KeyState.RETIRING, KeyState.RETIRED, act)
        return _with_changes(moved, key_id, deleted_at=act.at)

    def deleted_again(self, key_id: str, act: Act) -> Ring:
        """The ring after IVS held a retired key pair again, and deleted it again."""
        _require(self, key_id, KeyState.RETIRED)
        line = Transition(act.at, act.by, key_id, None, KeyState.RETIRED, act.why)
        return _with_transition(_with_changes(self, key_id, deleted_at=act.at), line)

    def destroyed(self, key_id: str, on: float) -> Ring:
        """The ring after custody has made the private key unusable; it is permanently gone at `on`.

        Rule 8: after IVS has confirmed the delete, or at once for a compromised key pair.
        """
        if not self.pair(key_id).is_compromised:
            _require(self, key_id, KeyState.RETIRED)
        return _without_oldest_retired(_with_changes(self, key_id, destroyed_on=on))


def _require(ring: Ring, key_id: str, state: KeyState) -> KeyPair:
    pair = ring.pair(key_id)
    if pair.state is not state:
        raise RotationRefused(
            f"Key pair {key_id} is {pair.state}, not {state}.",
            hint="Run `tokensvc keys list` to see the state of each key pair.",
        )
    return pair


def _with_changes(ring: Ring, key_id: str, **changes: Any) -> Ring:
    pairs = tuple(
        dataclasses.replace(pair, **changes) if pair.key_id == key_id else pair
        for pair in ring.pairs
    )
    return dataclasses.replace(ring, pairs=pairs)


def _with_state(ring: Ring, key_id: str, before: KeyState, after: KeyState, act: Act) -> Ring:
    _require(ring, key_id, before)
    line = Transition(act.at, act.by, key_id, before, after, act.why)
    return _with_transition(_with_changes(ring, key_id, state=after), line)


def _with_record(ring: Ring, pair: KeyPair, act: Act) -> Ring:
    if any(pair.key_id == other.key_id for other in ring.pairs):
        raise RotationRefused(
            f"The ring of {ring.region} already has a key pair {pair.key_id}.",
            hint="Run `tokensvc keys generate` to create a new one: a key ID is never reused.",
        )
    line = Transition(act.at, act.by, pair.key_id, None, pair.state, act.why)
    return _with_transition(dataclasses.replace(ring, pairs=(*ring.pairs, pair)), line)


def _with_transition(ring: Ring, line: Transition) -> Ring:
    return dataclasses.replace(ring, history=(*ring.history, line)[-MAX_TRANSITIONS:])


def _without_oldest_retired(ring: Ring) -> Ring:
    done = [pair for pair in ring.in_state(KeyState.RETIRED) if pair.destroyed_on is not None]
    dropped = {pair.key_id for pair in done[:-MAX_RETIRED_PAIRS]}
    kept = tuple(pair for pair in ring.pairs if pair.key_id not in dropped)
    return dataclasses.replace(ring, pairs=kept)
