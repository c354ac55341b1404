"""The processes of a fleet: replicas that sign from a real view; hosts that run a real rotator."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.fleet.cooperative_threads import Actor, CooperativeLock, yield_point
from tests.fleet.links import Link
from tests.fleet.memory_custody import MemoryCustody, Vault
from tests.fleet.memory_ivs import MemoryIvs, MemoryKeyPairs, Token
from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.fleet.virtual_time import SkewedClock
from tests.keyring.rings import ACCOUNT_ID, ENDPOINT, REGION
from tokensvc.arns import ChannelArn
from tokensvc.clock import Moment
from tokensvc.errors import RotationRefused
from tokensvc.keyring.binding import Binding
from tokensvc.keyring.effects import Effects
from tokensvc.keyring.model import Act, Ring
from tokensvc.keyring.revocation import declare_compromised
from tokensvc.keyring.ring_document import RingStore, document_name
from tokensvc.keyring.rotator import Rotator
from tokensvc.keyring.steps import WaitUntil
from tokensvc.keyring.terms import Terms
from tokensvc.keyring.view import RingView
from tokensvc.state.watch import Reading
from tokensvc.token.claims import PlaybackClaims, PlaybackOptions
from tokensvc.token.p384 import Signer

TERMS = Terms(
    publish_delay_seconds=60,
    ring_max_age_seconds=120,
    longest_ttl_seconds=300,
    clock_skew_seconds=10,
)
SLOWEST_IMPORT_SECONDS = 50
"""The publish delay minus the skew: its begin and end may be read from different clocks."""

RING = document_name(REGION)
CHANNEL = ChannelArn.parse(f"arn:aws:ivs:{REGION}:{ACCOUNT_ID}:channel/abcdefgh")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a fleet is built from; a test replaces one part to leave out a rule.

    Attributes:
        terms: the terms in the operator's settings.
        view: the class of the view that replicas sign from.
        rotator: the class of the rotators.
        effects: the class of the effects of their steps.
        slowest_import_seconds: the longest time until an import takes effect at the edge.
        loses_standbys: whether operators lose the private key of a standby, and need it then.
        has_canary: whether the canary asks the edge before each switch.
        wrong_clock_seconds: how far a rotator's clock is off at times; 0 keeps it within the skew.
    """

    terms: Terms = TERMS
    view: type[RingView] = RingView
    rotator: type[Rotator] = Rotator
    effects: type[Effects] = Effects
    slowest_import_seconds: float = SLOWEST_IMPORT_SECONDS
    loses_standbys: bool = False
    has_canary: bool = False
    wrong_clock_seconds: float = 0


@dataclass(slots=True)
class World:
    """Everything that the processes share: the store, the vault, and IVS."""

    parts: Parts
    store: MemoryStore
    vault: Vault
    ivs: MemoryIvs


@dataclass(slots=True)
class Process:
    """A process, with a clock of its own and a link to the state that may fail.

    Attributes:
        name: its name in reports.
        world: what it shares with other processes.
        clock: its own clock.
        state_link: the link to the state.
        actors: the parked work of this process.
    """

    name: str
    world: World
    clock: SkewedClock
    state_link: Link = field(default_factory=Link)
    actors: list[Actor] = field(default_factory=list)

    @property
    def state(self) -> MemoryState:
        """The state as this process reaches it."""
        return MemoryState(self.world.store, self.state_link)

    @property
    def custody(self) -> MemoryCustody:
        """The custody as this process reaches it: its link never fails, but has yield points."""
        return MemoryCustody(self.world.vault, self.clock, Link())

    def kill(self) -> None:
        """Kill all its actors."""
        for actor in self.actors:
            actor.kill()
        self.actors.clear()


@dataclass(slots=True)
class Replica(Process):
    """A web worker: answers requests, and refreshes its view of the ring from time to time."""

    view: RingView = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start as a new process, which has not read the ring yet."""
        self.view = self.world.parts.view(
            REGION, self.state, self.custody, self.clock, refresh_seconds=5
        )
        # Actors run in place of all threads, so the lock must park actors, not block threads.
        self.view._watched._refresh_lock = CooperativeLock()  # type: ignore[assignment] # See above.

    @property
    def is_behind(self) -> bool:
        """Whether its ring is older than the stored one."""
        seen = self._seen
        return seen is not None and seen.version != self.world.store.version(RING)

    def seconds_until_too_old(self) -> float:
        """How long it may still sign from the ring that it has read (rule 3)."""
        seen = self._seen
        if seen is None or seen.value is None:
            return 0
        age_seconds = seen.age_seconds(Moment.of(self.clock))
        return seen.value.terms.ring_max_age_seconds - age_seconds

    @property
    def _seen(self) -> Reading[Ring | None] | None:
        return self.view._watched._latest

    def sign(self, ttl_seconds: int) -> None:
        """Answer a request as the service does, and record the issued token."""
        moment = Moment.of(self.clock)
        yield_point()
        compromised = self._read_as_compromised()
        key = self.view.active(moment)
        yield_point()
        granted = PlaybackOptions(ttl_seconds=min(ttl_seconds, key.longest_ttl_seconds))
        claims = PlaybackClaims.at(moment.now, CHANNEL, granted)
        fingerprint = key.signer.public_key.fingerprint
        yield_point()
        issued_at = self.clock.time.now
        token = Token(
            key.key_id,
            fingerprint,
            issued_at,
            claims.expires_at,
            self.name,
            key_was_compromised=key.key_id in compromised,
        )
        self.world.ivs.add_token(token)

    def _read_as_compromised(self) -> set[str]:
        """The IDs of the key pairs that are compromised in the ring that it has read."""
        ring = self._seen.value if self._seen is not None else None
        return {pair.key_id for pair in ring.pairs if pair.is_compromised} if ring else set()


@dataclass(slots=True)
class RotatorHost(Process):
    """A host that runs an operator's commands and a scheduled job.

    Attributes:
        terms: the terms in its settings.
        ivs_link: the link to the control plane of IVS.
        waits_until: when to run again, by its own clock, as its last reconcile returned it.
    """

    terms: Terms = TERMS
    ivs_link: Link = field(default_factory=Link)
    waits_until: float | None = None

    def reconcile(self) -> None:
        """Run the scheduled job."""
        self.waits_until = None
        result = self.rotator().reconcile(lambda _: None)
        if isinstance(result, WaitUntil):
            self.waits_until = result.at

    def revoke(self, key_id: str, reason: str) -> None:
        """Mark that key as compromised, as `keys revoke` does first."""
        act = Act(self.clock.now(), self.name, reason)
        declare_compromised(RingStore(self.state, REGION), [key_id], act)

    def rotator(self) -> Rotator:
        """A new rotator, as each command makes one."""
        parts = self.world.parts
        effects = parts.effects(
            self.custody,
            MemoryKeyPairs(self.world.ivs, self.ivs_link, self.clock),
            self.clock,
            self.name,
            self._canary if parts.has_canary else None,
        )
        return parts.rotator(
            RingStore(self.state, REGION),
            effects,
            binding=Binding(REGION, ACCOUNT_ID, ENDPOINT),
            terms=self.terms,
        )

    def _canary(self, signer: Signer) -> None:
        if not self.world.ivs.accepts(signer.public_key.fingerprint):
            raise RotationRefused("The edge answers 403.")
