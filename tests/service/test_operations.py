"""What changes keys is built from the settings: each part is opened once, and closed if ours."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import cast

import pytest

from tests.keyring.rings import REGION
from tests.keyring.world import LossyKeyPairs
from tests.support.clock import ManualClock
from tests.support.settings import settings_in
from tests.support.sqlite_files import created_state
from tokensvc import operations
from tokensvc.errors import SettingsInvalid, StateUnavailable
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.model import KeyState
from tokensvc.operations import RegionInIvs


class NoKeyPairs:
    """An IVS that holds nothing and may only be asked for its endpoint."""

    endpoint = "http://127.0.0.1:8001"


def no_key_pairs(_: str) -> RegionInIvs:
    """An IVS for rotators that never call it."""
    return LossyKeyPairs(cast("RegionInIvs", NoKeyPairs()), set())


def test_nothing_is_opened_before_it_is_used(tmp_path: Path) -> None:
    """A command that needs no private key needs no key-encryption secret."""
    settings = settings_in(tmp_path, custody={"key_encryption_secret": None})
    with contextlib.closing(operations.build(settings, ManualClock(), by="ann@desk")) as opened:
        opened.state.create()
        assert opened.ring(REGION) is None
        with pytest.raises(SettingsInvalid):
            opened.custody(REGION)


def test_state_and_custody_are_opened_once_and_shared_by_all_regions(tmp_path: Path) -> None:
    """Two rotators of one process use the same objects."""
    settings = settings_in(tmp_path, regions=(REGION, "eu-west-1"))
    opened = operations.build(settings, ManualClock(), by="ann@desk", key_pairs=no_key_pairs)
    rotators = [opened.rotator(region) for region in settings.ivs.regions]
    assert {rotator._effects.custody for rotator in rotators} == {opened.custody(REGION)}
    assert {rotator._store._state for rotator in rotators} == {opened.state}
    assert opened.clients is opened.clients
    opened.close()


def test_close_closes_what_was_opened_here_and_nothing_that_was_passed_in(tmp_path: Path) -> None:
    """Whoever opened a part closes it."""
    clock = ManualClock()
    settings = settings_in(tmp_path)
    mine = created_state(tmp_path / "state.sqlite3", clock)
    with contextlib.closing(mine):
        operations.build(settings, clock, by="ann@desk", state=mine).close()
        assert mine.load("ring") is None
        opened = operations.build(settings, clock, by="ann@desk")
        state = opened.state
        opened.close()
        with pytest.raises(StateUnavailable):
            state.load("ring")


def test_overrides_are_used_instead_of_the_settings(tmp_path: Path) -> None:
    """The key pair is generated in the custody and the state that were passed in."""
    clock = ManualClock()
    custody = FileCustody(tmp_path / "elsewhere", bytes(32), clock)
    with contextlib.closing(created_state(tmp_path / "other.sqlite3", clock)) as state:
        opened = operations.build(
            settings_in(tmp_path / "unused"),
            clock,
            by="ann@desk",
            state=state,
            custody=custody,
            key_pairs=no_key_pairs,
        )
        generated = opened.rotator(REGION).generate("first key")
        ring = opened.ring(REGION)
    assert custody.key_ids() == [generated.key_id]
    assert ring is not None
    assert [pair.state for pair in ring.pairs] == [KeyState.PENDING]
    assert ring.history[0].by == "ann@desk"
    assert not (tmp_path / "unused").exists()


def test_a_region_that_the_settings_no_longer_name_is_decommissioned(tmp_path: Path) -> None:
    """Its rotator adds no key pair; that of a configured region does."""
    settings = settings_in(tmp_path, regions=("eu-west-1",))
    opened = operations.build(settings, ManualClock(), by="ann@desk", key_pairs=no_key_pairs)
    assert opened.rotator(REGION)._decommissioning
    (configured,) = settings.ivs.regions
    assert not opened.rotator(configured)._decommissioning
    assert [one.decommissioning for one in opened.doctor([REGION, configured]).regions] == [
        True,
        False,
    ]
    opened.close()
