"""A worker's view of one region's ring: the ring as last read, and signers for its keys.

Workers use a view with a `SignerLoader`, never a rotator or a custody (rule 11). A view follows a
rotation without a restart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokensvc.arns import Region
from tokensvc.clock import Clock, Moment
from tokensvc.errors import TokensvcError
from tokensvc.keyring.emergency import has_emergency, signing_pair
from tokensvc.keyring.model import KeyPair, KeyState, Ring
from tokensvc.keyring.ring_document import decode_ring, document_name, ring_missing
from tokensvc.keyring.signers import RemoteSigner, SignerLoader, self_checked_signer
from tokensvc.state.base import Document, State
from tokensvc.state.shared_versions import SharedVersions
from tokensvc.state.watch import Reading, Watched
from tokensvc.token.p384 import PublicKey, Signer
from tokensvc.waiting import MustWait

_logger = logging.getLogger(__name__)

PROBE_AGAIN_SECONDS = 30.0
"""The pause between two probes of a key pair that this process can't sign with."""

_CUSTODY_FAILS = "The custody that signs fails or does not answer, so requests are refused."
_STANDBY_UNUSABLE = "This process can't use the private key of a standby."
_COMPROMISED_IN_IVS = (
    "A key pair was marked compromised, and IVS has not confirmed its deletion yet."
)

RecordProbe = Callable[[str, TokensvcError | None], None]
"""Records that this process can sign with the key pair of that ID, or the error."""


def _no_record(_key_id: str, _error: TokensvcError | None) -> None:
    """Record no probe: this process serves no requests."""


@dataclass(frozen=True, slots=True)
class ActiveKey:
    """The key pair that is active at a given time.

    Attributes:
        key_id: its ID in the ring.
        signer: signs with its private key.
        longest_ttl_seconds: the longest lifetime that a token may have (rule 4).
    """

    key_id: str
    signer: Signer
    longest_ttl_seconds: int


class RingView:
    """One region's ring in one worker. Start it in the process that uses it, after any fork."""

    def __init__(
        self,
        region: Region,
        state: State,
        signer_loader: SignerLoader,
        clock: Clock,
        *,
        refresh_seconds: float,
        record_probe: RecordProbe = _no_record,
        versions: SharedVersions | None = None,
    ) -> None:
        """A view that reads nothing before it is started.

        Args:
            region: the region of the ring.
            state: the state with the ring.
            signer_loader: loads the signers.
            clock: measures the age of the ring.
            refresh_seconds: the interval between two reads.
            record_probe: records whether this process can sign with a key pair (rule 2).
            versions: reads the ring's version for all watchers of this process.
        """
        self.region = region
        self._signer_loader = signer_loader
        self._signers: dict[str, Signer] = {}
        self._clock = clock
        self._record_probe = record_probe
        self._failing: tuple[KeyPair, ...] = ()
        self._errors: dict[str, TokensvcError] = {}  # Of the last probe of each failing key pair.
        self._probed_monotonic = float("-inf")
        self._watched: Watched[Ring | None] = Watched(
            state,
            document_name(region),
            _decode,
            clock=clock,
            refresh_seconds=refresh_seconds,
            on_change=self._load_signers,
            on_pass=self._probe_again,
            changes_soon=lambda ring: ring is not None and has_emergency(ring),
            versions=versions,
        )

    def start(self) -> None:
        """Read the ring, load its signers, and follow its changes from now on.

        If the ring can't be read now, it is read as soon as the state is available.
        """
        self._watched.start()

    def close(self) -> None:
        """Stop following changes."""
        self._watched.close()

    def refresh(self) -> None:
        """Read the ring now instead of at the next refresh.

        Raises:
            StateUnavailable, StateDamaged: when the ring can't be read. The previous one is kept.
        """
        self._watched.refresh()

    def latest(self) -> Reading[Ring | None]:
        """The ring as it was read last, with the time of that read.

        Raises:
            StateUnavailable: when nothing has been read yet.
        """
        return self._watched.latest()

    @property
    def failure(self) -> TokensvcError | None:
        """The error of the last attempt to read the ring; None when it succeeded."""
        return self._watched.failure

    def custody_failure(self, moment: Moment) -> TokensvcError | None:
        """The error of the last probe of the active key pair; None when it can sign.

        Raises:
            NoSigningKey, StateUnavailable: as `active` does.
        """
        return self._errors.get(signing_pair(self.ring(moment)).key_id)

    def ring(self, moment: Moment) -> Ring:
        """The ring, no older at that moment than its own terms allow (rule 3).

        Raises:
            NoSigningKey: when the region has no ring yet.
            StateUnavailable: when the view is too old and the state can't be read.
        """
        terms = _require_ring(self._watched.latest().value, self.region).terms
        ring = self._watched.within(terms.ring_max_age_seconds, moment)
        return _require_ring(ring, self.region)

    def active(self, moment: Moment) -> ActiveKey:
        """The active key pair at that moment.

        Raises:
            NoSigningKey: when no key pair is active, or the active one is compromised (rule 10).
            StateUnavailable: when the view is too old and the state can't be read.
            CustodyUnavailable, CustodyDamaged: when the private key can't be used.
        """
        ring = self.ring(moment)
        pair = signing_pair(ring)
        return ActiveKey(pair.key_id, self._signer_of(pair), ring.terms.longest_ttl_seconds)

    def public_keys(self, moment: Moment) -> Sequence[PublicKey]:
        """The public keys whose tokens may be valid: of the active and retiring key pairs.

        The standby's is one too: a verifier that caches the keys must know the next one before it
        signs. Compromised key pairs are left out: a verifier that uses these keys must refuse an
        attacker's tokens even while IVS still accepts them.

        Raises:
            NoSigningKey: when the region has no ring yet.
            StateUnavailable: when the view is too old and the state can't be read.
        """
        ring = self.ring(moment)
        pairs = ring.in_state(KeyState.PUBLISHED, KeyState.ACTIVE, KeyState.RETIRING)
        return [
            pair.require_public_key()
            for pair in pairs
            if not pair.is_compromised and not _is_withdrawn(pair)
        ]

    def warnings(self, moment: Moment) -> Sequence[str]:
        """Warnings that don't prevent signing: sentences that anyone may read.

        They name no file and no key ID: `tokensvc keys doctor` does.

        Raises:
            NoSigningKey: when the region has no ring yet.
            StateUnavailable: when the view is too old and the state can't be read.
        """
        ring = self.ring(moment)
        signer = self._signers.get(ring.active.key_id) if ring.active else None
        holds = {
            _CUSTODY_FAILS: isinstance(signer, RemoteSigner) and signer.is_failing,
            _STANDBY_UNUSABLE: not all(map(self._can_sign, ring.in_state(KeyState.PUBLISHED))),
            _COMPROMISED_IN_IVS: any(
                pair.is_compromised and pair.state is not KeyState.RETIRED for pair in ring.pairs
            ),
        }
        return [warning for warning, is_so in holds.items() if is_so]

    def _load_signers(self, ring: Ring | None) -> None:
        """Load and test each key that signs or may become active, so that faults show before."""
        pairs = _may_sign(ring) if ring is not None else ()
        usable = {*self._signers} - {pair.key_id for pair in self._failing}
        failing = []
        for pair in pairs:
            if pair.key_id not in usable and (error := self._probe(pair)) is not None:
                failing.append(pair)
                message = "This process can't use the private key of %s: %s"
                _logger.error(message, pair.key_id, error)
        self._failing = tuple(failing)
        self._errors = {pair.key_id: self._errors[pair.key_id] for pair in failing}
        self._probed_monotonic = self._clock.monotonic()
        # The dict is replaced as a whole, because requests read it from other threads.
        loaded, needed = self._signers, {pair.key_id for pair in pairs}
        self._signers = {key_id: loaded[key_id] for key_id in loaded if key_id in needed}

    def _probe_again(self) -> None:
        """Probe again what failed, so that the record shows a fault that goes on or is fixed."""
        now = self._clock.monotonic()
        if self._failing and now >= self._probed_monotonic + PROBE_AGAIN_SECONDS:
            self._probed_monotonic = now
            self._failing = tuple(pair for pair in self._failing if self._probe(pair) is not None)

    def _probe(self, pair: KeyPair) -> TokensvcError | None:
        """Load and test the key, and record the result. Returns the error, None if it can sign."""
        error = None
        try:
            self._signer_of(pair)
        except TokensvcError as exc:
            error = exc
        others = {key_id: self._errors[key_id] for key_id in self._errors if key_id != pair.key_id}
        self._errors = others if error is None else {**others, pair.key_id: error}
        self._record_probe(pair.key_id, error)
        return error

    def _signer_of(self, pair: KeyPair) -> Signer:
        """The loaded signer, or one loaded now: the failure at the last refresh may be fixed."""
        signer = self._signers.get(pair.key_id)
        if signer is None:
            signer = self_checked_signer(self._signer_loader, pair)
            self._signers = {**self._signers, pair.key_id: signer}
        return signer

    def _can_sign(self, pair: KeyPair) -> bool:
        try:
            self._signer_of(pair)
        except (TokensvcError, MustWait):  # Its custody must be asked, and so was the last probe.
            return False
        return True


def _decode(document: Document | None) -> Ring | None:
    return None if document is None else decode_ring(document)


def _may_sign(ring: Ring) -> Sequence[KeyPair]:
    """The active key pair, the standbys, and the retiring ones that a rollback may activate.

    Compromised ones never sign again (rule 10).
    """
    return [
        pair
        for pair in ring.in_state(KeyState.ACTIVE, KeyState.PUBLISHED, KeyState.RETIRING)
        if pair.delete_intended_at is None and not pair.is_compromised
    ]


def _is_withdrawn(pair: KeyPair) -> bool:
    """Whether it was a standby, and will never sign."""
    return pair.state is KeyState.RETIRING and pair.activated_at is None


def _require_ring(ring: Ring | None, region: Region) -> Ring:
    if ring is None:
        raise ring_missing(region)
    return ring
