"""One region of IVS in memory: the key pairs, and the edge that accepts or refuses tokens.

A change takes effect at the edge some time after the call was answered.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tests.fleet.links import Link
from tests.fleet.virtual_time import SkewedClock
from tests.keyring.rings import ACCOUNT_ID, REGION
from tokensvc.arns import PlaybackKeyArn
from tokensvc.aws_dates import DatedAnswer
from tokensvc.clock import Moment
from tokensvc.errors import IvsUnavailable, NotFound
from tokensvc.ivs.errors import Conflict, QuotaExceeded
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.token.p384 import PublicKey

MAX_PAIRS = 3


@dataclass(frozen=True, slots=True)
class Token:
    """An issued token, as far as the edge needs it.

    Attributes:
        key_id: the ID, in the ring, of the key pair that signed it.
        fingerprint: the fingerprint of that key pair in IVS.
        issued_at: the true time from which a viewer has the token.
        expires_at: its claim `exp`, Unix seconds by the clock of the replica that signed.
        signed_by: the name of that replica.
        key_was_compromised: whether the replica had read before that the key is compromised.
    """

    key_id: str
    fingerprint: str
    issued_at: float
    expires_at: int
    signed_by: str
    key_was_compromised: bool = False


class Fault(StrEnum):
    """What is wrong with the key of a token."""

    TOO_NEW = "not accepted yet"
    DELETED = "deleted"
    COMPROMISED = "compromised, as the replica had read before"


@dataclass(frozen=True, slots=True)
class BrokenToken:
    """A token that the edge refuses before it expires by the clock of IVS, or must not be issued.

    Attributes:
        token: the token.
        found_at: the true time of the refusal, or of the issue.
        fault: what is wrong with its key.
    """

    token: Token
    found_at: float
    fault: Fault

    def __str__(self) -> str:
        token = self.token
        return (
            f"token of {token.signed_by} signed by {token.key_id}, issued at {token.issued_at:.3f}"
            f", expires at {token.expires_at}, found at {self.found_at:.3f}: key is {self.fault}"
        )


@dataclass(slots=True)
class MemoryIvs:
    """One region of IVS.

    Attributes:
        clock: the clock of IVS, by which the edge checks `exp`.
        import_delay_seconds: how long after the call an import takes effect at the edge.
        delete_delay_seconds: the same for a delete.
        held: the key pairs held by IVS.
        tokens: the tokens that may not have expired, by the fingerprint of their key.
        accepted_from: the true time from which the edge accepts each key, by fingerprint.
        accepted_until: the true time from which the edge refuses each deleted key.
        tokens_issued: the number of tokens ever issued.
        signed_with: the fingerprints of all keys that signed them.
        wrongly_issued: the tokens that must not have been issued.
    """

    clock: SkewedClock
    import_delay_seconds: float = 0
    delete_delay_seconds: float = 0
    held: dict[PlaybackKeyArn, HeldKeyPair] = field(default_factory=dict)
    tokens: dict[str, list[Token]] = field(default_factory=dict)
    accepted_from: dict[str, float] = field(default_factory=dict)
    accepted_until: dict[str, float] = field(default_factory=dict)
    tokens_issued: int = 0
    signed_with: set[str] = field(default_factory=set)
    wrongly_issued: list[BrokenToken] = field(default_factory=list)
    _arn_numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def is_full(self) -> bool:
        """Whether IVS would refuse another key pair."""
        return len(self.held) >= MAX_PAIRS

    def add(self, fingerprint: str, name: str, tags: Mapping[str, str]) -> HeldKeyPair:
        """Import a public key.

        Raises:
            Conflict, QuotaExceeded: when IVS already holds that public key, or three others.
        """
        if any(pair.fingerprint == fingerprint for pair in self.held.values()):
            raise Conflict("IVS already holds that public key.")
        if self.is_full:
            raise QuotaExceeded("IVS is full.")
        arn = PlaybackKeyArn(REGION, ACCOUNT_ID, f"pair-{next(self._arn_numbers)}")
        pair = self.held[arn] = HeldKeyPair(arn, name, fingerprint, tags)
        self.accepted_from[fingerprint] = self.clock.time.now + self.import_delay_seconds
        self.accepted_until.pop(fingerprint, None)
        return pair

    def delete(self, arn: PlaybackKeyArn) -> None:
        """Delete the key pair, if it exists."""
        pair = self.held.pop(arn, None)
        if pair is not None:
            self.accepted_until[pair.fingerprint] = self.clock.time.now + self.delete_delay_seconds

    # --- The edge

    def add_token(self, token: Token) -> None:
        """Record an issued token, which the edge must accept from now on."""
        self.tokens.setdefault(token.fingerprint, []).append(token)
        self.tokens_issued += 1
        self.signed_with.add(token.fingerprint)
        if token.key_was_compromised:
            found = BrokenToken(token, self.clock.time.now, Fault.COMPROMISED)
            self.wrongly_issued.append(found)

    def accepts(self, fingerprint: str) -> bool:
        """Whether the edge accepts that key's tokens now."""
        now = self.clock.time.now
        accepted_from = self.accepted_from.get(fingerprint, float("inf"))
        return accepted_from <= now < self.accepted_until.get(fingerprint, float("inf"))

    def next_key_removal(self) -> float:
        """The true time at which the edge next stops accepting a key; infinite if none is due."""
        now = self.clock.time.now
        return min((at for at in self.accepted_until.values() if at > now), default=float("inf"))

    def pop_broken_tokens(self) -> list[BrokenToken]:
        """The tokens that are refused now, or must not have been issued; each only once."""
        broken, self.wrongly_issued = self.wrongly_issued, []
        for fingerprint in [key for key in self.tokens if not self.accepts(key)]:
            fault = Fault.DELETED if fingerprint in self.accepted_until else Fault.TOO_NEW
            broken += [
                BrokenToken(token, self.clock.time.now, fault)
                for token in self.tokens.pop(fingerprint)
                # At exactly `exp` the edge refuses a token rightly.
                if self.clock.now() < token.expires_at
            ]
        return broken

    def forget_expired(self) -> None:
        """Drop expired tokens, so that a long run does not use much memory."""
        for fingerprint, tokens in self.tokens.items():
            self.tokens[fingerprint] = [
                token for token in tokens if self.clock.now() < token.expires_at
            ]


class MemoryKeyPairs:
    """Implements `KeyPairsInIvs` for one process, which has that clock."""

    def __init__(self, ivs: MemoryIvs, link: Link, clock: SkewedClock) -> None:
        self._ivs = ivs
        self._link = link
        self._clock = clock
        self._dated_answer: DatedAnswer | None = None

    def import_pair(
        self, public_key: PublicKey, *, name: str, tags: Mapping[str, str]
    ) -> HeldKeyPair:
        """Import the key, and return the key pair."""
        with self._call():
            return self._ivs.add(public_key.fingerprint, name, tags)

    def held(self) -> tuple[HeldKeyPair, ...]:
        """Every key pair held by IVS."""
        with self._call():
            return tuple(self._ivs.held.values())

    def get(self, arn: PlaybackKeyArn) -> HeldKeyPair:
        """The key pair with that ARN."""
        with self._call():
            if arn not in self._ivs.held:
                raise NotFound(f"IVS holds no key pair {arn}.")
            return self._ivs.held[arn]

    def delete(self, arn: PlaybackKeyArn) -> None:
        """Delete the key pair; return once IVS no longer holds it."""
        with self._call():
            self._ivs.delete(arn)

    def dated_answer(self) -> DatedAnswer | None:
        """The newest answer."""
        return self._dated_answer

    @contextlib.contextmanager
    def _call(self) -> Iterator[None]:
        """Run the effect in this context, between the request and its dated answer."""
        sent_monotonic = self._clock.monotonic()
        with self._link.call(IvsUnavailable):
            yield
            aws_at = int(self._ivs.clock.now())
        received = Moment.of(self._clock)
        self._dated_answer = DatedAnswer(received, received.monotonic - sent_monotonic, aws_at)
