"""The ring as a value: a region's key pairs and the only ways from state to state.

A transition is a method that gives a new ring and writes down who did it, when and why; one that
the states don't allow raises. Nothing here reads a clock, a file or a network.

    pending    made, or about to be made, and not yet known to IVS
    published  imported: the standby
    active     signs
    retiring   signs no more, and IVS still accepts what it signed
    retired    gone from IVS, private half destroyed or about to be; the record is kept
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tokensvc.arns import PlaybackKeyArn, Region
from tokensvc.errors import KeyNotFound, NoSigningKey, RotationRefused
from tokensvc.p384 import PublicKey

MOST_PAIRS_IN_IVS = 3  # IVS: service-quotas, playback key pairs per region; not adjustable
RETIRED_PAIRS_KEPT = 20
TRANSITIONS_KEPT = 200
DEPLOYMENT_TAG = "tokensvc:deployment"
KEY_TAG = "tokensvc:key"


class KeyState(StrEnum):
    """Where a key pair is on its way."""

    PENDING = "pending"
    PUBLISHED = "published"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """One key pair's record. Times are Unix seconds; None means that it has not happened.

    Attributes:
        key_id: ours, unique for ever; names the private half in custody and, with a prefix, the
            pair in IVS.
        state: where it is on its way.
        created_at: when it was recorded, before its private half was made.
        public_key: its public half; None until custody has made the private one.
        arn: its ARN in IVS; None until it was imported.
        published_at: when IVS acknowledged the import.
        activated_at: when it began to sign.
        signing_ended_at: a moment at which the switch away from it was known to be saved (rule 4).
        delete_intended_at: when its deletion from IVS was decided; from then on there is no way
            back.
        deleted_at: when IVS was seen to hold it no more.
        destroyed_on: when the private half is gone for good; the custody's word.
        compromised_at: when it was declared stolen (rule 10); from then on it only goes down.
        adopted: whether its private half was made elsewhere.
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

    @property
    def is_compromised(self) -> bool:
        """Whether it was declared stolen."""
        return self.compromised_at is not None

    @property
    def name_in_ivs(self) -> str:
        """The name that the pair is imported under."""
        return f"tokensvc-{self.key_id}"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the safety of a switch rests on: high-water marks that no process exceeds (rule 4).

    Attributes:
        publish_delay_seconds: how long a pair is known to IVS before it may sign.
        view_max_age_seconds: the oldest view of the ring that a process may sign from.
        longest_ttl_seconds: the longest life of any token that any process signs.
        clock_skew_seconds: the most by which any two clocks differ, IVS's included.
    """

    publish_delay_seconds: int = 60
    view_max_age_seconds: int = 120
    longest_ttl_seconds: int = 3_600
    clock_skew_seconds: int = 10

    @property
    def drain_seconds(self) -> int:
        """How long after the end of signing the last token may still play (rule 4)."""
        return self.view_max_age_seconds + self.longest_ttl_seconds + 2 * self.clock_skew_seconds

    def raised_to(self, other: Terms) -> Terms:
        """The larger of each mark."""
        mine, others = dataclasses.asdict(self), dataclasses.asdict(other)
        return Terms(**{name: max(mine[name], others[name]) for name in mine})


@dataclass(frozen=True, slots=True)
class RotationRequest:
    """An operator's wish for another key to sign, kept until the switch is done.

    An urgent one does without the publish delay of rule 2: the key that signs is stolen.
    """

    requested_at: float
    requested_by: str
    reason: str
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """One line of history: a key's step to another state; `from_state` is None at its making."""

    at: float
    by: str
    key_id: str
    from_state: KeyState | None
    to_state: KeyState
    why: str


@dataclass(frozen=True, slots=True)
class Act:
    """Who moves a key, when (Unix seconds) and why: what each transition writes down."""

    at: float
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Ring:
    """One region's key pairs, bound to one account and one endpoint.

    Attributes:
        region: the region that the pairs belong to.
        account_id: the account that they belong to.
        endpoint: the URL at which IVS is asked; a ring of Local IVS is never taken for one of AWS.
        deployment: a random ID, made with the ring, that its pairs in IVS are tagged with.
        terms: the high-water marks that every process keeps to.
        pairs: the records, oldest first.
        wish: the wish for another key, when there is one.
        history: the latest transitions, oldest first.
    """

    region: Region
    account_id: str
    endpoint: str
    deployment: str
    terms: Terms
    pairs: tuple[KeyPair, ...] = ()
    rotation_request: RotationRequest | None = None
    history: tuple[Transition, ...] = ()

    # --- Looking

    def pair(self, key_id: str) -> KeyPair:
        """The pair with that ID.

        Raises:
            KeyNotFound: when the ring has none.
        """
        for pair in self.pairs:
            if pair.key_id == key_id:
                return pair
        raise KeyNotFound(
            f"The ring of {self.region} has no key pair {key_id!r}.",
            hint="`tokensvc keys list` shows those that it has.",
        )

    def in_state(self, *states: KeyState) -> tuple[KeyPair, ...]:
        """The pairs in any of those states, oldest first."""
        return tuple(pair for pair in self.pairs if pair.state in states)

    @property
    def active(self) -> KeyPair | None:
        """The pair that signs, if any."""
        return next(iter(self.in_state(KeyState.ACTIVE)), None)

    def require_active(self) -> KeyPair:
        """The pair that signs.

        Raises:
            NoSigningKey: when none does.
        """
        if self.active is None:
            raise NoSigningKey(
                f"No key pair is active in {self.region}.",
                hint=f"`tokensvc keys reconcile --region {self.region}` brings one there.",
            )
        return self.active

    @property
    def standby(self) -> KeyPair | None:
        """The pair that will sign next: the one that was published first."""
        published = [p for p in self.in_state(KeyState.PUBLISHED) if not p.is_compromised]
        return min(published, key=lambda pair: pair.published_at or 0, default=None)

    # --- Wishing

    def with_rotation_request(self, rotation_request: RotationRequest) -> Ring:
        """The ring with the wish recorded; an urgent one takes the place of one that waits.

        Raises:
            RotationRefused: when another wish is still being carried out.
        """
        if self.rotation_request is not None and not rotation_request.is_urgent:
            raise RotationRefused(
                f"A rotation of {self.region} is already in progress, requested by "
                f"{self.rotation_request.requested_by}.",
                hint="Run `tokensvc keys reconcile` to continue it.",
            )
        return dataclasses.replace(self, rotation_request=rotation_request)

    def with_terms(self, terms: Terms) -> Ring:
        """The ring with its high-water marks raised to at least those."""
        return dataclasses.replace(self, terms=self.terms.raised_to(terms))

    # --- Moving

    def with_new_pair(self, key_id: str, act: Act) -> Ring:
        """The ring with a pending pair whose private half is still to be made."""
        return _with_record(self, KeyPair(key_id, KeyState.PENDING, act.at), act)

    def with_adopted_pair(
        self, key_id: str, public_key: PublicKey, arn: PlaybackKeyArn, act: Act
    ) -> Ring:
        """The ring with a published pair that IVS held before the ring knew it."""
        for pair in self.pairs:
            if pair.state is not KeyState.RETIRED and public_key == pair.public_key:
                raise RotationRefused(
                    f"That key is in the ring already, as {pair.key_id}.",
                    hint="`tokensvc keys show` tells its state.",
                )
        pair = KeyPair(
            key_id, KeyState.PUBLISHED, act.at, public_key, arn, published_at=act.at, adopted=True
        )
        return _with_record(self, pair, act)

    def made(self, key_id: str, public_key: PublicKey) -> Ring:
        """The ring after custody has made the pair's private half."""
        _require(self, key_id, KeyState.PENDING)
        return _replaced(self, key_id, public_key=public_key)

    def published(self, key_id: str, arn: PlaybackKeyArn, act: Act) -> Ring:
        """The ring after IVS has taken the pair's public half."""
        moved = _moved(self, key_id, KeyState.PENDING, KeyState.PUBLISHED, act)
        return _replaced(moved, key_id, arn=arn, published_at=act.at)

    def switched_to(self, key_id: str, act: Act) -> Ring:
        """The ring with that pair signing, the one before it retiring, and the wish granted."""
        moved = _moved(self, key_id, KeyState.PUBLISHED, KeyState.ACTIVE, act)
        moved = _replaced(moved, key_id, activated_at=act.at)
        if (predecessor := self.active) is not None:
            moved = _moved(moved, predecessor.key_id, KeyState.ACTIVE, KeyState.RETIRING, act)
        return dataclasses.replace(moved, rotation_request=None)

    def signing_ended(self, key_id: str, at: float) -> Ring:
        """The ring with the moment after which no fresh view lets that retiring pair sign."""
        _require(self, key_id, KeyState.RETIRING)
        return _replaced(self, key_id, signing_ended_at=at)

    def delete_intended(self, key_id: str, at: float) -> Ring:
        """The ring with the decision written down that the pair shall leave IVS."""
        _require(self, key_id, KeyState.RETIRING)
        return _replaced(self, key_id, delete_intended_at=at)

    def compromised(self, key_ids: Iterable[str], act: Act) -> Ring:
        """The ring with those pairs declared stolen (rule 10); retired ones stay as they are."""
        ring = self
        for key_id in key_ids:
            pair = ring.pair(key_id)
            if pair.state is not KeyState.RETIRED and not pair.is_compromised:
                line = Transition(act.at, act.by, key_id, pair.state, pair.state, act.why)
                ring = _noted(_replaced(ring, key_id, compromised_at=act.at), line)
        return ring

    def stopped(self, key_id: str, act: Act) -> Ring:
        """The ring with that pair signing no more and none in its place: its region is left.

        A wish for another key goes with it, lest it be granted when the region comes back.
        """
        moved = _moved(self, key_id, KeyState.ACTIVE, KeyState.RETIRING, act)
        return dataclasses.replace(moved, rotation_request=None)

    def withdrawn(self, key_id: str, act: Act) -> Ring:
        """The ring with that pair on its way out of IVS without a drain.

        A stolen one gets none (rule 10), and one that never signed has nothing to wait for.
        """
        pair = self.pair(key_id)
        if pair.activated_at is not None and not pair.is_compromised:
            raise RotationRefused(f"{key_id} was not declared stolen: it leaves after a drain.")
        moved = _moved(self, key_id, pair.state, KeyState.RETIRING, act)
        return _replaced(moved, key_id, delete_intended_at=act.at)

    def retired(self, key_id: str, act: Act) -> Ring:
        """The ring after IVS was seen to hold the pair no more."""
        moved = _moved(self, key_id, KeyState.RETIRING, KeyState.RETIRED, act)
        return _replaced(moved, key_id, deleted_at=act.at)

    def destroyed(self, key_id: str, on: float) -> Ring:
        """The ring after custody has made the private half unusable; it is gone at `on`.

        Rule 8: after IVS let the pair go, and a stolen one's at once.
        """
        if not self.pair(key_id).is_compromised:
            _require(self, key_id, KeyState.RETIRED)
        return _trimmed(_replaced(self, key_id, destroyed_on=on))


def broken_invariants(ring: Ring) -> tuple[str, ...]:
    """What can't be true of a ring, each as a sentence; looked at at each save and load."""
    return tuple(_invariants(ring))


def _invariants(ring: Ring) -> Iterable[str]:
    ids = [pair.key_id for pair in ring.pairs]
    if len(ids) != len(set(ids)):
        yield "Two key pairs have the same ID."
    if (active := len(ring.in_state(KeyState.ACTIVE))) > 1:
        yield f"{active} key pairs are active, and only one may be (rule 1)."
    for pair in ring.pairs:
        known = pair.public_key is not None and pair.arn is not None
        may_be_unknown = pair.state is KeyState.PENDING or pair.delete_intended_at is not None
        if not known and not may_be_unknown:
            yield f"{pair.key_id} is {pair.state} without a public half and an ARN."
        if pair.arn and (pair.arn.region, pair.arn.account_id) != (ring.region, ring.account_id):
            yield f"{pair.key_id} is of another account or region: {pair.arn}."
        has_signed = pair.activated_at is not None or pair.state is KeyState.ACTIVE
        drained = pair.signing_ended_at is not None or pair.is_compromised or not has_signed
        if pair.delete_intended_at is not None and not drained:
            yield f"{pair.key_id} is to be deleted without a recorded end of signing (rule 4)."


def _require(ring: Ring, key_id: str, state: KeyState) -> KeyPair:
    pair = ring.pair(key_id)
    if pair.state is not state:
        raise RotationRefused(
            f"Key pair {key_id} is {pair.state}, not {state}.",
            hint="`tokensvc keys list` shows the state of each.",
        )
    return pair


def _replaced(ring: Ring, key_id: str, **changes: Any) -> Ring:
    pairs = tuple(
        dataclasses.replace(pair, **changes) if pair.key_id == key_id else pair
        for pair in ring.pairs
    )
    return dataclasses.replace(ring, pairs=pairs)


def _moved(ring: Ring, key_id: str, from_state: KeyState, to_state: KeyState, act: Act) -> Ring:
    _require(ring, key_id, from_state)
    line = Transition(act.at, act.by, key_id, from_state, to_state, act.why)
    return _noted(_replaced(ring, key_id, state=to_state), line)


def _with_record(ring: Ring, pair: KeyPair, act: Act) -> Ring:
    if any(pair.key_id == other.key_id for other in ring.pairs):
        raise RotationRefused(
            f"The ring has a key pair {pair.key_id} already.",
            hint="A retired one does not come back: make another with `tokensvc keys generate`.",
        )
    line = Transition(act.at, act.by, pair.key_id, None, pair.state, act.why)
    return _noted(dataclasses.replace(ring, pairs=(*ring.pairs, pair)), line)


def _noted(ring: Ring, line: Transition) -> Ring:
    return dataclasses.replace(ring, history=(*ring.history, line)[-TRANSITIONS_KEPT:])


def _trimmed(ring: Ring) -> Ring:
    done = [pair for pair in ring.in_state(KeyState.RETIRED) if pair.destroyed_on is not None]
    dropped = {pair.key_id for pair in done[:-RETIRED_PAIRS_KEPT]}
    kept = tuple(pair for pair in ring.pairs if pair.key_id not in dropped)
    return dataclasses.replace(ring, pairs=kept)
