"""An emergency revocation without a command: its plan, its consequences and its order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import urllib3

from tests.keyring.rings import DRAIN_SECONDS, REGION, pair, ring
from tests.keyring.world import World, world_in
from tests.support.clock import EXAMPLE_NOW, ManualClock
from tokensvc.arns import Region, parse_region
from tokensvc.errors import (
    KeyNotFound,
    SettingsInvalid,
    StateDamaged,
    StateUnavailable,
    TokensvcError,
)
from tokensvc.keyring.lookup import ReadRing
from tokensvc.keyring.model import Act, KeyState, Ring
from tokensvc.keyring.reconcile_loop import StepBegins
from tokensvc.keyring.revocation import (
    Ended,
    KeysToRevoke,
    Marked,
    NotMarked,
    RevocationEvent,
    RevocationPlan,
    RevocationResult,
    consequences,
    declare_compromised,
    plan_revocation,
    revoke,
)
from tokensvc.keyring.ring_document import RingStore, StoredRing
from tokensvc.keyring.rotator import Rotator
from tokensvc.state.base import NEW, Version

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
IRELAND = parse_region("eu-west-1")


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        world.copy_active_and_standby()
        yield world


def reads(rings: dict[Region, Ring | TokensvcError]) -> ReadRing:
    """Read these rings, and raise these errors; other regions have no ring."""

    def read(region: Region) -> Ring | None:
        found = rings.get(region)
        if isinstance(found, TokensvcError):
            raise found
        return found

    return read


# --- The plan

OURS = ring(pair("k0", RETIRED), pair("k1", ACTIVE), pair("k2", PUBLISHED))
DAMAGED = StateDamaged("The stored ring is not valid.", hint="Restore the state.")


def test_all_keys_are_those_that_are_not_retired() -> None:
    """A region without a ring, or with only retired keys, has nothing to revoke."""
    retired = ring(pair("k9", RETIRED))
    regions = [IRELAND, REGION, parse_region("eu-north-1")]

    plan = plan_revocation(regions, reads({IRELAND: retired, REGION: OURS}), None)

    assert plan == RevocationPlan({REGION: KeysToRevoke(OURS, ("k1", "k2"))}, {})
    assert plan.key_ids == ("k1", "k2")


def test_named_keys_are_revoked_once_each_in_the_given_order() -> None:
    """A retired key may be named too: revoking it changes nothing."""
    plan = plan_revocation([REGION], reads({REGION: OURS}), ["k2", "k0", "k2"])

    assert plan == RevocationPlan({REGION: KeysToRevoke(OURS, ("k2", "k0"))}, {})


def test_an_unreadable_ring_is_skipped_if_all_keys_are_revoked() -> None:
    """It must not stop an emergency in another region."""
    plan = plan_revocation([IRELAND, REGION], reads({IRELAND: DAMAGED, REGION: OURS}), None)

    assert plan.key_ids == ("k1", "k2")
    assert plan.skipped == {IRELAND: DAMAGED}


def test_an_unreadable_ring_does_not_matter_to_keys_that_another_ring_records() -> None:
    """An unknown key may be in the unreadable ring, so that ring's error is raised."""
    read = reads({IRELAND: DAMAGED, REGION: OURS})

    assert plan_revocation([IRELAND, REGION], read, ["k1"]).skipped == {}
    with pytest.raises(StateDamaged):
        plan_revocation([IRELAND, REGION], read, ["k1", "typo"])


def test_a_key_that_no_ring_records_is_an_error() -> None:
    """The error names the key."""
    with pytest.raises(KeyNotFound, match="'typo'"):
        plan_revocation([REGION], reads({REGION: OURS}), ["k1", "typo"])


# --- The consequences

K1_IS_REFUSED = ("k1", "active", "3600 s")
SESSIONS_CONTINUE = ("(believed)",)
NEW_PAIR = ("60 s", "no_signing_key")
WORKERS_SWITCH = ("5 s", "120 s")
CONSEQUENCES: dict[str, tuple[Ring, tuple[str, ...], list[tuple[str, ...]]]] = {
    "the active key, with a standby": (
        ring(pair("k1", ACTIVE), pair("k2", PUBLISHED)),
        ("k1",),
        [K1_IS_REFUSED, SESSIONS_CONTINUE, ("standby", "k2"), WORKERS_SWITCH],
    ),
    "all keys": (
        ring(pair("k1", ACTIVE), pair("k2", PUBLISHED)),
        ("k1", "k2"),
        [K1_IS_REFUSED, ("k2", "published"), SESSIONS_CONTINUE, NEW_PAIR, WORKERS_SWITCH],
    ),
    "the active key and the standby, while another key drains": (
        ring(
            pair("k0", RETIRING, signing_ended_at=EXAMPLE_NOW),
            pair("k1", ACTIVE),
            pair("k2", PUBLISHED),
        ),
        ("k1", "k2"),
        [
            K1_IS_REFUSED,
            ("k2", "published"),
            SESSIONS_CONTINUE,
            ("standby", "k0", "drains"),
            WORKERS_SWITCH,
        ],
    ),
    "only the standby": (
        ring(pair("k1", ACTIVE), pair("k2", PUBLISHED)),
        ("k2",),
        [("k2", "published")],
    ),
    "a retired key": (
        ring(pair("k0", RETIRED), pair("k1", ACTIVE)),
        ("k0",),
        [("k0", "retired")],
    ),
}


@pytest.mark.parametrize(
    ("of_ring", "key_ids", "expected"), CONSEQUENCES.values(), ids=CONSEQUENCES.keys()
)
def test_the_consequences_have_the_keys_states_and_seconds(
    of_ring: Ring, key_ids: tuple[str, ...], expected: list[tuple[str, ...]]
) -> None:
    """One message for each consequence; `test_error_sentences` holds their sentences."""
    messages = list(consequences(of_ring, key_ids, state_refresh_seconds=5))

    assert len(messages) == len(expected)
    for message, data in zip(messages, expected, strict=True):
        assert [one for one in data if one not in message] == []


# --- The revocation


@dataclass
class Actions:
    """The world's ring, as the ring of every region but those whose rotator raises an error."""

    world: World
    errors: dict[Region, TokensvcError] = field(default_factory=dict)

    @property
    def clock(self) -> ManualClock:
        """The world's clock."""
        return self.world.clock

    def ring(self, _: Region) -> Ring:
        """The stored ring."""
        return self.world.ring

    def declare_compromised(self, region: Region, key_ids: Collection[str], reason: str) -> Ring:
        """Mark the key pairs, unless the region's state has an error."""
        if isinstance(error := self.errors.get(region), StateUnavailable):
            raise error
        act = Act(self.clock.now(), "ann@desk", reason)
        return declare_compromised(self.world.store, key_ids, act)

    def rotator(self, region: Region) -> Rotator:
        """A rotator, unless the region has an error."""
        if region in self.errors:
            raise self.errors[region]
        return self.world.rotator()


def test_every_key_is_marked_before_any_step_is_done(world: World) -> None:
    """So a compromised key of the second region stops signing while the first region is slow."""
    # The world has one ring; both regions of the plan use it.
    active, standby = (one.key_id for one in world.ring.pairs)
    keys = {
        IRELAND: KeysToRevoke(world.ring, (active,)),
        REGION: KeysToRevoke(world.ring, (standby,)),
    }
    marked: list[list[bool]] = []

    def on_event(event: RevocationEvent) -> None:
        if isinstance(event, StepBegins):
            marked.append([world.ring.pair(key_id).is_compromised for key_id in (active, standby)])

    result = revoke(RevocationPlan(keys, {}), Actions(world), "lost", on_event)

    assert result == RevocationResult(all_marked=True, has_failed_steps=False)
    assert result.is_done
    assert marked[0] == [True, True]
    assert [one.state for one in world.ring.pairs] == [RETIRED, RETIRED, ACTIVE, PUBLISHED]
    assert [line.why for line in world.ring.history if line.from_state is line.to_state] == [
        "lost",
        "lost",
    ]


def test_a_region_that_can_not_be_marked_does_not_stop_the_others(world: World) -> None:
    """Its error is reported first, and the result says that not every key is marked."""
    standby = world.ring.pairs[1].key_id
    keys = KeysToRevoke(world.ring, (standby,))
    error = StateUnavailable("The disk is full.", hint="Free space.")
    events: list[RevocationEvent] = []

    result = revoke(
        RevocationPlan({IRELAND: keys, REGION: keys}, {}),
        Actions(world, {IRELAND: error}),
        "lost",
        events.append,
    )

    assert result == RevocationResult(all_marked=False, has_failed_steps=False)
    assert not result.is_done
    assert events[:2] == [NotMarked(IRELAND, error), Marked(REGION, (standby,))]
    assert world.ring.pair(standby).state is RETIRED


def test_keys_stay_marked_if_ivs_refuses_a_step(world: World) -> None:
    """The private key is destroyed at once; `reconcile` deletes the key pair later."""
    standby = world.ring.pairs[1]
    fault = {
        "operation": "DeletePlaybackKeyPair",
        "kind": "error",
        "error": "AccessDeniedException",
    }
    planned = urllib3.request("POST", f"{world.ivs.url}/_local/faults", json=fault, retries=False)
    assert planned.status < 300, planned.data
    events: list[RevocationEvent] = []

    result = revoke(
        RevocationPlan({REGION: KeysToRevoke(world.ring, (standby.key_id,))}, {}),
        Actions(world),
        "lost",
        events.append,
    )

    assert result == RevocationResult(all_marked=True, has_failed_steps=True)
    assert not result.is_done
    assert world.ring.pair(standby.key_id).is_compromised
    assert standby.key_id not in world.custody.key_ids()
    world.reconcile()
    assert world.ring.pair(standby.key_id).state is RETIRED


def revoke_active(world: World, actions: Actions) -> tuple[str, RevocationEvent]:
    """The revoked active key, and the last event."""
    key_id = world.ring.require_active().key_id
    events: list[RevocationEvent] = []
    plan = RevocationPlan({REGION: KeysToRevoke(world.ring, (key_id,))}, {})
    revoke(plan, actions, "lost", events.append)
    return key_id, events[-1]


def test_the_last_event_says_that_the_key_signs_no_more(world: World) -> None:
    """And which key signs now."""
    standby = world.ring.pairs[1].key_id

    key_id, ending = revoke_active(world, Actions(world))

    assert ending == Ended(REGION, (key_id,), standby)


def test_a_retired_key_pair_is_not_reported_as_marked(world: World) -> None:
    """Nothing is left to be revoked, and the active key goes on signing."""
    retired, active = world.ring.pairs
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(DRAIN_SECONDS)
    world.reconcile()
    plan = RevocationPlan({REGION: KeysToRevoke(world.ring, (retired.key_id,))}, {})
    events: list[RevocationEvent] = []

    revoke(plan, Actions(world), "lost", events.append)

    assert not any(isinstance(event, Marked) for event in events)
    assert events[-1] == Ended(REGION, (retired.key_id,), active.key_id)


def test_the_last_event_says_that_no_key_signs(world: World) -> None:
    """The error was reported before. The mark is saved, so that `reconcile` can go on."""
    unusable = SettingsInvalid("The key-encryption secret can't be read.", hint="Restore it.")

    key_id, ending = revoke_active(world, Actions(world, {REGION: unusable}))

    assert ending == Ended(REGION, (key_id,), None)
    assert world.ring.pair(key_id).is_compromised
    world.reconcile()
    assert world.ring.require_active().key_id != key_id


def test_a_declaration_does_not_give_way_to_a_rotator_that_saves_at_the_same_time(
    world: World,
) -> None:
    """A scheduled job must not make an emergency fail."""
    active, _ = world.ring.pairs
    store, act = _Contested(world.state, REGION), Act(world.clock.now(), "ann@desk", "lost")

    declared = declare_compromised(store, [active.key_id], act)

    assert declared.pair(active.key_id).is_compromised
    assert world.ring == declared
    assert store.conflicts_left == 0


class _Contested(RingStore):
    """A store in which another process saves first, three times."""

    conflicts_left = 3

    def save(self, ring: Ring, *, replacing: Version = NEW) -> StoredRing:
        """Let the other process save first."""
        if self.conflicts_left:
            self.conflicts_left -= 1
            stored = self.load()
            assert stored is not None
            super().save(stored.ring, replacing=stored.version)
        return super().save(ring, replacing=replacing)
