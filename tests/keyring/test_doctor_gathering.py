"""The doctor gathers its evidence itself: errors become findings, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from tests.keyring.rings import ACCOUNT_ID, REGION, TERMS
from tests.keyring.world import World, world_in
from tokensvc.arns import Region, parse_region
from tokensvc.errors import IvsUnavailable, StateDamaged
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.checks.doctor import Doctor, RegionToExamine
from tokensvc.keyring.checks.files import DeploymentFiles
from tokensvc.keyring.model import Ring
from tokensvc.keyring.reporting.record import RecordStore

IRELAND = parse_region("eu-west-1")
NO_FILES = DeploymentFiles(None, (), None)


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        world.copy_active_and_standby()
        yield world


def ivs_fails() -> NoReturn:
    """Fail as IVS does when it can't be reached."""
    raise IvsUnavailable("IVS does not answer.", hint="Wait.")


def region_of(
    world: World,
    *,
    read_endpoint: Callable[[], str] | None = None,
    read_held: Callable[[], Sequence[HeldKeyPair]] | None = None,
    read_clock_offset_seconds: Callable[[], float] = lambda: 0.0,
) -> RegionToExamine:
    """The world's region, with what is given read in another way."""
    return RegionToExamine(
        region=REGION,
        account_id=ACCOUNT_ID,
        read_endpoint=read_endpoint or (lambda: "http://loopback"),
        read_held=read_held or world.key_pairs.held,
        read_clock_offset_seconds=read_clock_offset_seconds,
        read_failed_probes=lambda: (),
        clock_skew_seconds=10,
        key_age_warning_seconds=7_776_000,
        terms=TERMS,
        keep_standby=True,
        has_canary=True,
        reconcile_overdue_seconds=90_000,
        decommissioning=False,
    )


def codes(
    world: World, region: RegionToExamine, *, configured: Sequence[Region] = (REGION,)
) -> list[tuple[str | None, str, str]]:
    """The region, code and subject of each finding. The ring of eu-west-1 is damaged."""

    def read_ring(of_region: Region) -> Ring | None:
        if of_region == IRELAND:
            raise StateDamaged("The stored ring is not valid.")
        return world.ring

    doctor = Doctor(
        [region],
        read_ring,
        lambda _: world.custody,
        world.clock,
        configured,
        NO_FILES,
        RecordStore(world.state).load,
    )
    return [(one.region, one.code, one.subject) for one in doctor.examine()]


def test_a_healthy_region_has_no_findings_and_is_not_changed(world: World) -> None:
    """The examination saves nothing and calls nothing that changes IVS."""
    before = world.store.load()

    assert codes(world, region_of(world)) == []

    assert world.store.load() == before


def test_an_ivs_that_can_not_be_called_at_all_is_one_finding(world: World) -> None:
    """The endpoint is then unknown, and is not reported as a wrong one."""
    region = region_of(
        world,
        read_endpoint=ivs_fails,
        read_held=ivs_fails,
        read_clock_offset_seconds=ivs_fails,
    )

    assert codes(world, region) == [("us-west-2", "ivs_unavailable", "")]


def test_a_private_key_that_can_not_sign_is_found(world: World) -> None:
    """The active and the standby key are both tried."""
    standby = world.ring.pairs[1].key_id
    (world.folder / "keys" / f"{standby}.pem").write_bytes(b"damaged")

    assert codes(world, region_of(world)) == [("us-west-2", "private_key_unusable", standby)]


def test_a_private_key_that_no_ring_records_is_an_orphan(world: World) -> None:
    """It is a finding about the custody, not about a region."""
    world.custody.create("k9")

    assert codes(world, region_of(world)) == [(None, "orphan", "k9")]


def test_no_key_is_called_an_orphan_while_a_configured_ring_can_not_be_read(world: World) -> None:
    """That ring may record the key, even if its region is not examined now."""
    world.custody.create("k9")

    assert codes(world, region_of(world), configured=(IRELAND, REGION)) == []
