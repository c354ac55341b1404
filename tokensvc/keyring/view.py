"""What a web worker signs from: the ring as it was last read, and signers of the keys in it.

Workers hold this, never a rotator or a custody (rule 11), and follow a rotation without a restart.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from tokensvc.arns import Region
from tokensvc.clock import Clock, Moment
from tokensvc.errors import TokensvcError
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.model import KeyPair, KeyState, Ring
from tokensvc.keyring.steps import required_public_key, self_checked_signer
from tokensvc.keyring.store import decode_ring, document_name, no_ring_yet
from tokensvc.p384 import PublicKey, Signer
from tokensvc.state.base import Document, State
from tokensvc.state.following import Watched

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ActiveKey:
    """The key pair that signs at a moment.

    Attributes:
        key_id: its ID in the ring.
        signer: its private half, at work.
        longest_ttl_seconds: the longest life that a token may be given (rule 4).
    """

    key_id: str
    signer: Signer
    longest_ttl_seconds: int


class RingView:
    """One region's ring in one worker; to be started in the process that uses it."""

    def __init__(
        self,
        region: Region,
        state: State,
        custody: Custody,
        clock: Clock,
        *,
        refresh_seconds: float,
    ) -> None:
        self.region = region
        self._custody = custody
        self._signers: dict[str, Signer] = {}
        self._followed: Watched[Ring | None] = Watched(
            state,
            document_name(region),
            _decode,
            clock=clock,
            refresh_seconds=refresh_seconds,
            on_change=self._load_signers,
        )

    def start(self) -> None:
        """Read the ring, load its signers, and follow it from now on.

        Raises:
            StateUnavailable, StateDamaged: when the ring can't be read.
        """
        self._followed.start()

    def close(self) -> None:
        """Stop following."""
        self._followed.close()

    def refresh(self) -> None:
        """Read the ring now, without waiting for the next look.

        Raises:
            StateUnavailable, StateDamaged: when the ring can't be read; the last view stays.
        """
        self._followed.refresh()

    def ring(self, moment: Moment) -> Ring:
        """The ring, known to be no older at that moment than its own terms allow (rule 3).

        Raises:
            NoSigningKey: when the region has no ring yet.
            StateUnavailable: when the view is too old and the state can't be read.
        """
        reading = self._followed.latest()
        ring = _required(reading.value, self.region)
        if reading.age_seconds(moment) <= ring.terms.view_max_age_seconds:
            return ring
        # The reader's thread is late or the state was away: this request looks for itself. The
        # moment stays the request's own, so that its `exp` can't come from after the look.
        self._followed.refresh()
        return _required(self._followed.latest().value, self.region)

    def active(self, moment: Moment) -> ActiveKey:
        """The key pair that signs at that moment.

        Raises:
            NoSigningKey: when none is active.
            StateUnavailable: when the view is too old and the state can't be read.
            CustodyUnavailable, CustodyDamaged: when the private half can't be used.
        """
        ring = self.ring(moment)
        pair = ring.require_active()
        return ActiveKey(pair.key_id, self._signer_of(pair), ring.terms.longest_ttl_seconds)

    def public_keys(self, moment: Moment) -> Sequence[PublicKey]:
        """The public halves whose tokens may still play: of the active and the retiring pairs.

        None that was declared stolen: nobody is to believe a thief for as long as IVS may.

        Raises:
            NoSigningKey: when the region has no ring yet.
            StateUnavailable: when the view is too old and the state can't be read.
        """
        pairs = self.ring(moment).in_state(KeyState.ACTIVE, KeyState.RETIRING)
        return [
            required_public_key(pair)
            for pair in pairs
            if pair.activated_at is not None and not pair.is_compromised
        ]

    def warnings(self, moment: Moment) -> Sequence[str]:
        """What an operator should know while the active key signs, as sentences without a path.

        Raises:
            NoSigningKey: when the region has no ring yet.
            StateUnavailable: when the view is too old and the state can't be read.
        """
        ring = self.ring(moment)
        unusable = [
            f"The private half of the standby {pair.key_id} can't be used here."
            for pair in ring.in_state(KeyState.PUBLISHED)
            if not self._can_sign(pair)
        ]
        stolen = [
            f"{pair.key_id} was declared stolen, and IVS has not yet confirmed that it is gone."
            for pair in ring.pairs
            if pair.is_compromised and pair.state is not KeyState.RETIRED
        ]
        return unusable + stolen

    def _load_signers(self, ring: Ring | None) -> None:
        """Load and probe what signs or may sign next: what is missing shows before a switch."""
        pairs = ring.in_state(KeyState.ACTIVE, KeyState.PUBLISHED) if ring is not None else ()
        signers: dict[str, Signer] = {}
        for pair in pairs:
            try:
                signers[pair.key_id] = self._signer_of(pair)
            except TokensvcError:
                _logger.exception("The private half of %s can't be used here", pair.key_id)
        # Replaced as a whole: requests read it from other threads.
        self._signers = signers

    def _signer_of(self, pair: KeyPair) -> Signer:
        """The signer that is there, or one loaded now: what failed when the ring changed may do."""
        signer = self._signers.get(pair.key_id)
        if signer is None:
            signer = self_checked_signer(self._custody, pair)
            self._signers = {**self._signers, pair.key_id: signer}
        return signer

    def _can_sign(self, pair: KeyPair) -> bool:
        try:
            self._signer_of(pair)
        except TokensvcError:
            return False
        return True


def _decode(document: Document | None) -> Ring | None:
    return None if document is None else decode_ring(document)


def _required(ring: Ring | None, region: Region) -> Ring:
    if ring is None:
        raise no_ring_yet(region)
    return ring
