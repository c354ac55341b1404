"""Everything that the next step of a ring depends on, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tokensvc.errors import TokensvcError
from tokensvc.ivs.limits import MAX_KEY_PAIRS
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.checks.contradictions import Comparison
from tokensvc.keyring.model import Ring


@dataclass(frozen=True, slots=True)
class Attempts:
    """The steps that have failed in this run, in such a way that the other steps go on.

    Attributes:
        unusable: why each of these key pairs can't sign, by key ID. It is proven: the private key
            is missing or wrong, or IVS does not hold the key pair.
        undestroyed: why each of these private keys could not be destroyed, by key ID.
    """

    unusable: Mapping[str, str] = field(default_factory=dict)
    undestroyed: Mapping[str, TokensvcError] = field(default_factory=dict)

    def with_unusable(self, key_id: str, reason: str) -> Attempts:
        """The attempts, with one more key pair that can't sign."""
        return Attempts({**self.unusable, key_id: reason}, self.undestroyed)

    def with_undestroyed(self, key_id: str, error: TokensvcError) -> Attempts:
        """The attempts, with one more private key that could not be destroyed."""
        return Attempts(self.unusable, {**self.undestroyed, key_id: error})


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that the next step depends on: ring, key pairs in IVS, time and settings."""

    ring: Ring
    held: Sequence[HeldKeyPair]
    now: float
    keep_standby: bool = True
    decommissioning: bool = False
    attempts: Attempts = field(default_factory=Attempts)
    account_is_certain: bool = True

    @property
    def is_full(self) -> bool:
        """Whether IVS would refuse another key pair."""
        return len(self.held) >= MAX_KEY_PAIRS

    @property
    def shows_deletions(self) -> bool:
        """Whether a key pair that is missing in IVS was certainly deleted (rule 8).

        If the active key pair is missing too, IVS may have answered for another account, or the
        ring may be an old copy.
        """
        return self.account_is_certain and self.comparison.missing_active is None

    @property
    def comparison(self) -> Comparison:
        """The ring and the key pairs in IVS, for the checks of contradictions."""
        return Comparison(self.ring, self.held, self.decommissioning)
