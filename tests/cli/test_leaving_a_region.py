"""A region that is taken out of the settings, by the command."""

from __future__ import annotations

import json

from tests.cli.conftest import Desk
from tokensvc.keyring.model import KeyState

DRAIN_SECONDS = 3_740


def _configure(desk: Desk, region: str) -> None:
    """Let the settings name that region alone."""
    text = desk.settings.read_text()
    desk.settings.write_text(text.replace("us-west-2", region))


def test_a_region_that_was_taken_out_is_left_by_reconcile(rotating_desk: Desk) -> None:
    """Named with --region, it drains and goes; the others don't see it."""
    desk = rotating_desk
    _configure(desk, "eu-west-1")

    told = desk.done("keys", "reconcile", "--region", "us-west-2")
    assert "stop signing with" in told
    assert f"({DRAIN_SECONDS} s)" in told
    desk.clock.advance(DRAIN_SECONDS)
    desk.done("keys", "reconcile", "--region", "us-west-2")

    assert {pair.state for pair in desk.ring().pairs} == {KeyState.RETIRED}
    assert desk.ivs.client().list_playback_key_pairs()["keyPairs"] == []


def test_nothing_new_begins_in_a_region_that_was_taken_out(rotating_desk: Desk) -> None:
    """The refusal names the setting that would keep it."""
    _configure(rotating_desk, "eu-west-1")

    refusal = rotating_desk.refused("keys", "generate", "--region", "us-west-2")

    assert "ivs.regions" in refusal


def test_a_key_stolen_in_a_region_that_was_taken_out_is_shown_and_revoked(
    rotating_desk: Desk,
) -> None:
    """By its ID, where --region says where to look; nothing takes its place."""
    desk = rotating_desk
    stolen = desk.ring().pairs[0].key_id
    _configure(desk, "eu-west-1")

    assert "--region" in desk.refused("keys", "revoke", stolen, "--yes")
    assert desk.json("keys", "show", stolen, "--region", "us-west-2")["state"] == "active"
    desk.done("keys", "revoke", stolen, "--region", "us-west-2", "--yes")

    assert [pair.state for pair in desk.ring().pairs] == [KeyState.RETIRED, KeyState.RETIRED]
    assert desk.ring().rotation_request is None
    assert desk.ivs.client().list_playback_key_pairs()["keyPairs"] == []


def test_the_doctor_examines_a_region_that_was_taken_out(rotating_desk: Desk) -> None:
    """That nothing signs there is as it should be; that nobody carries the leaving on is not."""
    desk = rotating_desk
    _configure(desk, "eu-west-1")
    desk.done("keys", "reconcile", "--region", "us-west-2")
    desk.clock.advance(DRAIN_SECONDS + 1_000)

    result = desk.run("keys", "doctor", "--region", "us-west-2", "--json")

    # The desk's clock is not the machine's, by which IVS's answers are dated.
    found = [one for one in json.loads(result.stdout) if one["code"] != "clock_off"]
    assert [(one["severity"], one["code"], one["region"]) for one in found] == [
        ("warning", "stuck_step", "us-west-2")
    ]


def test_a_region_that_never_was_is_wrong_use(rotating_desk: Desk) -> None:
    """As is what is no region."""
    assert "us-west-2" in rotating_desk.refused(
        "keys", "reconcile", "--region", "ap-south-1", status=2
    )
    assert "--region" in rotating_desk.refused("keys", "reconcile", "--region", "nowhere", status=2)
