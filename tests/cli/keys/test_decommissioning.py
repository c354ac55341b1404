"""The commands on a region that was removed from the settings."""

from __future__ import annotations

import json

import click
import pytest

from tests.cli.conftest import Desk
from tokensvc.errors import KeyNotFound, RotationRefused
from tokensvc.keyring.model import KeyState

DRAIN_SECONDS = 7_220


def _configure(desk: Desk, region: str) -> None:
    """Replace the region in the settings."""
    text = desk.settings.read_text()
    desk.settings.write_text(text.replace("us-west-2", region))


def test_reconcile_decommissions_a_region_that_was_removed(rotating_desk: Desk) -> None:
    """With --region, its key pairs drain and are deleted from IVS."""
    desk = rotating_desk
    _configure(desk, "eu-west-1")

    active = desk.ring().active
    assert active is not None
    printed = desk.done("keys", "reconcile", "--region", "us-west-2")
    assert desk.ring().pair(active.key_id).state is KeyState.RETIRING
    assert f"({DRAIN_SECONDS} s)" in printed
    desk.clock.advance(DRAIN_SECONDS)
    desk.done("keys", "reconcile", "--region", "us-west-2")

    assert {pair.state for pair in desk.ring().pairs} == {KeyState.RETIRED}
    assert desk.ivs.client().list_playback_key_pairs()["keyPairs"] == []


def test_no_key_is_generated_in_a_region_that_was_removed(rotating_desk: Desk) -> None:
    """The hint names the setting that would keep the region."""
    _configure(rotating_desk, "eu-west-1")

    error = rotating_desk.error("keys", "generate", "--region", "us-west-2")

    assert isinstance(error, RotationRefused)
    assert "ivs.regions" in error.hint


def test_a_compromised_key_in_a_region_that_was_removed_is_shown_and_revoked(
    rotating_desk: Desk,
) -> None:
    """By its ID, with --region; no other key becomes active."""
    desk = rotating_desk
    compromised = desk.ring().pairs[0].key_id
    _configure(desk, "eu-west-1")

    error = desk.error("keys", "revoke", compromised, "--yes")
    assert isinstance(error, KeyNotFound)
    assert "--region" in error.hint
    assert desk.json("keys", "show", compromised, "--region", "us-west-2")["state"] == "active"
    desk.done("keys", "revoke", compromised, "--region", "us-west-2", "--yes")

    assert [pair.state for pair in desk.ring().pairs] == [KeyState.RETIRED, KeyState.RETIRED]
    assert desk.ring().rotation_request is None
    assert desk.ivs.client().list_playback_key_pairs()["keyPairs"] == []


def test_the_doctor_examines_a_region_that_was_removed(rotating_desk: Desk) -> None:
    """The missing active key is no finding; a deletion that is overdue is one."""
    desk = rotating_desk
    _configure(desk, "eu-west-1")
    desk.done("keys", "reconcile", "--region", "us-west-2")
    desk.clock.advance(DRAIN_SECONDS + 1_000)

    result = desk.run("keys", "doctor", "--region", "us-west-2", "--json")

    found = json.loads(result.stdout)
    assert [(one["severity"], one["code"], one["region"]) for one in found] == [
        ("warning", "stuck_step", "us-west-2")
    ]


@pytest.mark.parametrize("region", ["ap-south-1", "nowhere"])
def test_a_region_that_was_never_configured_is_wrong_use(rotating_desk: Desk, region: str) -> None:
    """So is a text that is not a region. The error lists the configured regions."""
    error = rotating_desk.usage_error("keys", "reconcile", "--region", region)
    assert isinstance(error, click.BadParameter)
    assert error.param_hint == "--region"
    assert region in error.message
    assert "us-west-2" in error.message
