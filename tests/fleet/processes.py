"""The processes of a fleet: replicas that sign from a real view, hosts that run a real rotator."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.fleet.cooperation import Actor, CooperativeLock, point
from tests.fleet.links import Link
from tests.fleet.memory_custody import MemoryCustody, Vault
from tests.fleet.memory_ivs import MemoryIvs, MemoryKeyPairs, Token
from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.fleet.virtual_time import SkewedClock
from tests.keyring.rings import ACCOUNT_ID, ENDPOINT, REGION
from tokensvc.arns import ChannelArn
from tokensvc.claims import PlaybackClaims, PlaybackOptions
from tokensvc.clock import Moment
from tokensvc.errors import RotationRefused
from tokensvc.keyring.model import Ring, Terms
from tokensvc.keyring.rotation import WaitUntil
from tokensvc.keyring.rotator import Binding, Rotator
from tokensvc.keyring.steps import Steps
from tokensvc.keyring.store import RingStore, document_name
from tokensvc.keyring.view import RingView
from tokensvc.p384 import Signer
from tokensvc.state.following import Reading

TERMS = Terms(
    publish_delay_seconds=60,
    view_max_age_seconds=120,
    longest_ttl_seconds=300,
    clock_skew_seconds=10,
)
SLOWEST_IMPORT_SECONDS = 50
"""The publish delay less the skew: other clocks may tell its end than told its begin."""

RING = document_name(REGION)
CHANNEL = ChannelArn.parse(f"arn:aws:ivs:{REGION}:{ACCOUNT_ID}:channel/abcdefgh")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a fleet is built from; a test swaps one for another that leaves a rule out.

    Attributes:
        terms: what the operator has set.
        view: what replicas sign from.
        steps: what rotators act with.
        slowest_import_seconds: the longest that an import takes to show at the edge.
        has_canary: whether the edge is asked before each switch.
    """

    terms: Terms = TERMS
    view: type[RingView] = RingView
    steps: type[Steps] = Steps
    slowest_import_seconds: float = SLOWEST_IMPORT_SECONDS
    has_canary: bool = False


@dataclass(slots=True)
class World:
    """What all processes share: the store, the vault, and IVS."""

    parts: Parts
    store: MemoryStore
    vault: Vault
    ivs: MemoryIvs


@dataclass(slots=True)
class Process:
    """What dies at once: its clock may be set and its link to the state may fail.

    Attributes:
        name: what a report calls it.
        world: what it shares with others.
        clock: its own.
        state_link: the way to the state.
        actors: what runs in it, parked.
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
        """The custody as this process reaches it: never failing, yet any call may be its last."""
        return MemoryCustody(self.world.vault, self.clock, Link())

    def die(self) -> None:
        """Kill everything in it."""
        for actor in self.actors:
            actor.die()
        self.actors.clear()


@dataclass(slots=True)
class Replica(Process):
    """A web worker: answers requests, and looks at the ring from time to time."""

    view: RingView = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Be a new process, that has not looked yet."""
        self.view = self.world.parts.view(
            REGION, self.state, self.custody, self.clock, refresh_seconds=5
        )
        # The simulation's actors take the places of threads, the follower's own included.
        self.view._followed._flight = CooperativeLock()  # type: ignore[assignment] # As said above.

    @property
    def is_behind(self) -> bool:
        """Whether it has a ring, and there is a later one."""
        seen = self._seen
        return seen is not None and seen.version != self.world.store.version(RING)

    def seconds_until_too_old(self) -> float:
        """How long the ring that it has seen may still be signed from (rule 3)."""
        seen = self._seen
        if seen is None or seen.value is None:
            return 0
        age_seconds = seen.age_seconds(Moment.of(self.clock))
        return seen.value.terms.view_max_age_seconds - age_seconds

    @property
    def _seen(self) -> Reading[Ring | None] | None:
        return self.view._followed._known

    def sign(self, ttl_seconds: int) -> None:
        """Answer a request as the issuer does, and hand the token out."""
        moment = Moment.of(self.clock)
        point()
        key = self.view.active(moment)
        point()
        granted = PlaybackOptions(ttl_seconds=min(ttl_seconds, key.longest_ttl_seconds))
        claims = PlaybackClaims.at(moment.now, CHANNEL, granted)
        fingerprint = key.signer.public_key.fingerprint
        point()
        handed_out_at = self.clock.time.now
        token = Token(key.key_id, fingerprint, handed_out_at, claims.expires_at, self.name)
        self.world.ivs.hand_out(token)


@dataclass(slots=True)
class RotatorHost(Process):
    """Where an operator's commands and a scheduled job run.

    Attributes:
        terms: what its settings say.
        ivs_link: the way to IVS's control plane.
        waits_until: when its last reconcile said to come again, by its own clock.
    """

    terms: Terms = TERMS
    ivs_link: Link = field(default_factory=Link)
    waits_until: float | None = None

    def reconcile(self) -> None:
        """What the scheduled job does."""
        self.waits_until = None
        observation = self.rotator().reconcile(lambda _: None)
        if isinstance(observation, WaitUntil):
            self.waits_until = observation.at

    def rotator(self) -> Rotator:
        """The rotator that a command of its own makes."""
        parts = self.world.parts
        steps = parts.steps(
            self.custody,
            MemoryKeyPairs(self.world.ivs, self.ivs_link),
            self.clock,
            self.name,
            self._canary if parts.has_canary else None,
        )
        return Rotator(
            RingStore(self.state, REGION),
            steps,
            binding=Binding(REGION, ACCOUNT_ID, ENDPOINT),
            terms=self.terms,
        )

    def _canary(self, signer: Signer) -> None:
        if not self.world.ivs.takes(signer.public_key.fingerprint):
            raise RotationRefused("The edge answers 403.")
