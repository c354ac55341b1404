"""What a command that has just started does for viewers while IVS is away."""

from __future__ import annotations

import json

import urllib3

from tests.cli.conftest import Desk


def test_a_channel_that_ivs_told_of_before_its_outage_is_signed_for(rotating_desk: Desk) -> None:
    """By a process that never asked; not for another channel, and not after a day."""
    channel = rotating_desk.ivs.client().create_channel(authorized=True)["channel"]["arn"]
    other = rotating_desk.ivs.client().create_channel(authorized=True)["channel"]["arn"]
    before = rotating_desk.json("tokens", "sign", channel)
    fault = {"operation": "GetChannel", "kind": "drop", "times": 100}
    planned = urllib3.request("POST", f"{rotating_desk.ivs.url}/_local/faults", json=fault)
    assert planned.status < 300

    rotating_desk.clock.advance(86_300)
    during = rotating_desk.json("tokens", "sign", channel)

    assert during["playback_url"].split("?")[0] == before["playback_url"].split("?")[0]
    assert "Error: Amazon IVS can't be asked" in rotating_desk.refused("tokens", "sign", other)
    rotating_desk.clock.advance(101)
    assert "Error: Amazon IVS can't be asked" in rotating_desk.refused("tokens", "sign", channel)


def test_no_secret_of_a_channel_is_kept(rotating_desk: Desk) -> None:
    """What the state keeps of an answer is what a token needs."""
    channel = rotating_desk.ivs.client().create_channel(authorized=True)["channel"]["arn"]
    rotating_desk.done("tokens", "sign", channel)
    (record,) = rotating_desk.state.records("channel")
    assert record.record_id == channel
    assert set(json.loads(record.body)) == {
        "schema_version",
        "name",
        "is_private",
        "playback_url",
    }
