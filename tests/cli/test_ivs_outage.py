"""A command that has just started signs from stored answers while IVS fails."""

from __future__ import annotations

import json

import urllib3

from tests.cli.conftest import Desk
from tests.support.sqlite_files import stored_records


def test_a_token_is_signed_from_the_stored_answer_while_ivs_fails(rotating_desk: Desk) -> None:
    """By a new process; not for a channel without a stored answer, and not after a day."""
    channel = rotating_desk.ivs.client().create_channel(authorized=True)["channel"]["arn"]
    other = rotating_desk.ivs.client().create_channel(authorized=True)["channel"]["arn"]
    before = rotating_desk.json("tokens", "sign", channel)
    fault = {"operation": "GetChannel", "kind": "drop", "times": 100}
    planned = urllib3.request("POST", f"{rotating_desk.ivs.url}/_local/faults", json=fault)
    assert planned.status < 300

    rotating_desk.clock.advance(86_300)
    during = rotating_desk.json("tokens", "sign", channel)

    assert during["playback_url"].split("?")[0] == before["playback_url"].split("?")[0]
    assert rotating_desk.error("tokens", "sign", other).code == "ivs_unavailable"
    rotating_desk.clock.advance(101)
    assert rotating_desk.error("tokens", "sign", channel).code == "ivs_unavailable"


def test_no_secret_of_a_channel_is_stored(rotating_desk: Desk) -> None:
    """The state stores only the members of an answer that a token needs."""
    channel = rotating_desk.ivs.client().create_channel(authorized=True)["channel"]["arn"]
    rotating_desk.done("tokens", "sign", channel)
    (record,) = stored_records(rotating_desk.folder / "keys/state.sqlite3", "channel")
    assert record.record_id == channel
    assert set(json.loads(record.body)) == {
        "schema_version",
        "name",
        "is_private",
        "playback_url",
    }
