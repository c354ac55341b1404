"""Rule 10: a key that is marked compromised signs no more, also while nothing can replace it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.keyring.rings import ACCOUNT_ID, REGION
from tests.keyring.world import LossyKeyPairs, World, world_in
from tests.support.settings import settings_in
from tokensvc import operations
from tokensvc.arns import parse_region
from tokensvc.clock import Moment, SystemClock
from tokensvc.errors import IvsUnavailable, NoSigningKey
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.reconcile_loop import RegionFailed, StepBegins
from tokensvc.keyring.revocation import Ended, Marked, RevocationEvent, plan_revocation, revoke
from tokensvc.keyring.steps import Action, Done
from tokensvc.keyring.view import RingView
from tokensvc.operations import RegionInIvs

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
IRELAND = parse_region("eu-west-1")


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        world.copy_active_and_standby()
        yield world


class Silent(LossyKeyPairs):
    """IVS that never answers."""

    def held(self) -> tuple[()]:
        """No answer."""
        raise IvsUnavailable("IVS does not answer.")


def silent(world: World) -> RegionInIvs:
    """The IVS of the world, which does not answer."""
    return Silent(world.key_pairs, set())


def test_the_active_key_signs_no_more_as_soon_as_the_mark_is_read(world: World) -> None:
    """Before any other step. The hint has the command that switches to another key."""
    compromised, _ = world.ring.pairs
    with world.view() as view:
        assert view.active(world.moment()).key_id == compromised.key_id

        world.revoke([compromised.key_id], "laptop lost")
        view.refresh()

        assert world.ring.active is not None
        with pytest.raises(NoSigningKey) as refusal:
            view.active(world.moment())
    assert compromised.key_id in refusal.value.detail
    assert "`tokensvc keys reconcile --region us-west-2`" in refusal.value.hint


def test_no_key_signs_while_ivs_is_silent_and_no_other_key_pair_can_take_over(world: World) -> None:
    """A new key pair signs when IVS answers. The compromised one is removed without a drain."""
    compromised, standby = world.ring.pairs
    (world.folder / "keys" / f"{standby.key_id}.pem").unlink()

    world.revoke([compromised.key_id], "laptop lost")
    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=silent(world)))

    with world.view() as view, pytest.raises(NoSigningKey):
        view.active(world.moment())
    assert isinstance(world.reconcile(), Done)
    assert [pair.state for pair in world.ring.pairs] == [RETIRED, RETIRED, ACTIVE, PUBLISHED]
    assert world.ring.pairs[0].signing_ended_at is None
    with world.view() as view:
        assert view.active(world.moment()).key_id == world.ring.pairs[2].key_id


def test_a_worker_that_has_read_the_mark_soon_reads_the_switch(world: World) -> None:
    """By the real clock: every 0.5 s then, and not once an hour, as it is here otherwise."""
    compromised, standby = world.ring.pairs
    clock = SystemClock()
    world.revoke([compromised.key_id], "laptop lost")
    view = RingView(REGION, world.state, world.custody, clock, refresh_seconds=3_600)
    view.start()
    try:
        with pytest.raises(NoSigningKey):
            view.active(Moment.of(clock))
        world.reconcile()
        deadline = clock.monotonic() + 20
        while _signing_key_id(view) != standby.key_id:
            assert clock.monotonic() < deadline
            clock.sleep(0.05)
    finally:
        view.close()


def _signing_key_id(view: RingView) -> str:
    try:
        return view.active(Moment.of(SystemClock())).key_id
    except NoSigningKey:
        return ""


def test_no_region_waits_for_the_ivs_of_another(world: World) -> None:
    """The keys are marked, and standbys take over in all regions, before IVS fails in the first."""
    settings = settings_in(world.folder, account_id=ACCOUNT_ID, regions=(IRELAND, REGION))
    parts = operations.build(settings, world.clock, by="ann@desk", state=world.state)
    for _ in range(2):
        parts.rotator(IRELAND).reconcile(lambda _: None)
        world.clock.advance(60)
    without_ivs = operations.build(
        settings,
        world.clock,
        by="ann@desk",
        state=world.state,
        key_pairs=lambda _: silent(world),
    )
    plan = plan_revocation((IRELAND, REGION), without_ivs.ring, _active_keys(parts))
    events: list[RevocationEvent] = []

    revoke(plan, without_ivs, "laptop lost", events.append)

    regions = (IRELAND, REGION)
    assert events[:2] == [Marked(region, plan.regions[region].key_ids) for region in regions]
    switched = [
        event.region
        for event in events[: _first_failure(events)]
        if isinstance(event, StepBegins) and event.step.action is Action.SWITCH
    ]
    assert switched == [IRELAND, REGION]
    endings = [event for event in events if isinstance(event, Ended)]
    for region, ending in zip(regions, endings, strict=True):
        ring = parts.ring(region)
        assert ring is not None
        assert ending == Ended(region, plan.regions[region].key_ids, ring.require_active().key_id)
    parts.close()
    without_ivs.close()


def _active_keys(parts: operations.Operations) -> Sequence[str]:
    rings = [parts.ring(region) for region in (IRELAND, REGION)]
    return [ring.require_active().key_id for ring in rings if ring is not None]


def _first_failure(events: Sequence[RevocationEvent]) -> int:
    return next(at for at, event in enumerate(events) if isinstance(event, RegionFailed))
