"""One region of IVS in memory: key pairs for rotators, and the edge that judges tokens.

What a call changes takes effect at the edge some time after the call was answered.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.fleet.links import Link
from tests.fleet.virtual_time import SkewedClock
from tests.keyring.rings import ACCOUNT_ID, REGION
from tokensvc.arns import PlaybackKeyArn
from tokensvc.errors import IvsRefused, IvsUnavailable, NotFound
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.p384 import PublicKey

MOST_PAIRS = 3


@dataclass(frozen=True, slots=True)
class Token:
    """What the edge needs of a token that was handed out.

    Attributes:
        key_id: the key pair that signed, by its ID in the ring.
        fingerprint: the same by its public half, as IVS knows it.
        handed_out_at: the true time from which a viewer has it.
        expires_at: its claim `exp`, Unix seconds by the clock of the replica that signed.
        signed_by: that replica.
    """

    key_id: str
    fingerprint: str
    handed_out_at: float
    expires_at: int
    signed_by: str


@dataclass(frozen=True, slots=True)
class BrokenToken:
    """A token that the edge refuses, at a true time, though it has not expired by IVS's clock."""

    token: Token
    refused_at: float
    is_key_too_new: bool

    def __str__(self) -> str:
        token = self.token
        why = "not yet known" if self.is_key_too_new else "deleted"
        return (
            f"{token.signed_by}'s token by {token.key_id}, handed out at {token.handed_out_at:.3f}"
            f" until {token.expires_at}, is refused at {self.refused_at:.3f}: the key is {why}"
        )


@dataclass(slots=True)
class MemoryIvs:
    """The region.

    Attributes:
        clock: IVS's own, by which its edge judges `exp`.
        import_delay_seconds: how long after its effect the next import shows at the edge.
        delete_delay_seconds: the same for a delete.
        held: the key pairs.
        tokens: the tokens that may still be alive, by their key's fingerprint.
        known_from: the true time from which the edge takes each key.
        known_until: the true time from which it takes a deleted one no more.
        tokens_handed_out: how many there ever were.
        signed_with: the fingerprints of all keys that they were signed with.
    """

    clock: SkewedClock
    import_delay_seconds: float = 0
    delete_delay_seconds: float = 0
    held: dict[PlaybackKeyArn, HeldKeyPair] = field(default_factory=dict)
    tokens: dict[str, list[Token]] = field(default_factory=dict)
    known_from: dict[str, float] = field(default_factory=dict)
    known_until: dict[str, float] = field(default_factory=dict)
    tokens_handed_out: int = 0
    signed_with: set[str] = field(default_factory=set)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def is_full(self) -> bool:
        """Whether another pair would be refused."""
        return len(self.held) >= MOST_PAIRS

    def add(self, fingerprint: str, name: str, tags: Mapping[str, str]) -> HeldKeyPair:
        """The pair that IVS makes.

        Raises:
            IvsRefused: when it has that public half, or three others, already.
        """
        if any(pair.fingerprint == fingerprint for pair in self.held.values()):
            raise IvsRefused("IVS has that public half.", aws_code="ConflictException")
        if self.is_full:
            raise IvsRefused("IVS is full.", aws_code="ServiceQuotaExceededException")
        arn = PlaybackKeyArn(REGION, ACCOUNT_ID, f"pair-{next(self._numbers)}")
        pair = self.held[arn] = HeldKeyPair(arn, name, fingerprint, tags)
        self.known_from[fingerprint] = self.clock.time.now + self.import_delay_seconds
        self.known_until.pop(fingerprint, None)
        return pair

    def drop(self, arn: PlaybackKeyArn) -> None:
        """Delete the pair, if there is one."""
        pair = self.held.pop(arn, None)
        if pair is not None:
            self.known_until[pair.fingerprint] = self.clock.time.now + self.delete_delay_seconds

    # --- The edge

    def hand_out(self, token: Token) -> None:
        """Expect the edge to take the token from now on."""
        self.tokens.setdefault(token.fingerprint, []).append(token)
        self.tokens_handed_out += 1
        self.signed_with.add(token.fingerprint)

    def takes(self, fingerprint: str) -> bool:
        """Whether the edge takes that key's tokens now."""
        now = self.clock.time.now
        known_from = self.known_from.get(fingerprint, float("inf"))
        return known_from <= now < self.known_until.get(fingerprint, float("inf"))

    def next_loss(self) -> float:
        """The true time at which the edge next forgets a key; infinite when none is to be."""
        now = self.clock.time.now
        return min((at for at in self.known_until.values() if at > now), default=float("inf"))

    def judge(self) -> list[BrokenToken]:
        """The tokens that are refused now before their time; each is told once."""
        broken = []
        for fingerprint in [key for key in self.tokens if not self.takes(key)]:
            is_too_new = fingerprint not in self.known_until
            broken += [
                BrokenToken(token, self.clock.time.now, is_too_new)
                for token in self.tokens.pop(fingerprint)
                # The edge refuses a token at its `exp` itself.
                if self.clock.now() < token.expires_at
            ]
        return broken

    def forget_expired(self) -> None:
        """Keep only tokens that are alive, so that a long run stays small."""
        for fingerprint, tokens in self.tokens.items():
            self.tokens[fingerprint] = [
                token for token in tokens if self.clock.now() < token.expires_at
            ]


class MemoryKeyPairs:
    """Implements `KeyPairsInIvs` for one process."""

    def __init__(self, ivs: MemoryIvs, link: Link) -> None:
        self._ivs = ivs
        self._link = link

    def import_pair(
        self, public_key: PublicKey, *, name: str, tags: Mapping[str, str]
    ) -> HeldKeyPair:
        """The pair as IVS took it."""
        with self._link.call(IvsUnavailable):
            return self._ivs.add(public_key.fingerprint, name, tags)

    def held(self) -> tuple[HeldKeyPair, ...]:
        """Every pair that IVS holds."""
        with self._link.call(IvsUnavailable):
            return tuple(self._ivs.held.values())

    def get(self, arn: PlaybackKeyArn) -> HeldKeyPair:
        """The pair of that ARN."""
        with self._link.call(IvsUnavailable):
            if arn not in self._ivs.held:
                raise NotFound(f"IVS holds no {arn}.")
            return self._ivs.held[arn]

    def delete(self, arn: PlaybackKeyArn) -> None:
        """Return when IVS holds the pair no more."""
        with self._link.call(IvsUnavailable):
            self._ivs.drop(arn)
