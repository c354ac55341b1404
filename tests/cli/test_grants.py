"""`tokensvc grants explain`: what an API key gets, and which grant limits it."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Desk

CHANNEL = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
MORE_GRANTS = """
[grants.preview]
channels = ["arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"]
max_ttl_seconds = 60
maximum_resolution = "SD"
[grants.members]
channels = ["arn:aws:ivs:us-west-2:123456789012:channel/mmmmEFGHijkl"]
viewer_id = "required"
"""


@pytest.fixture
def key(desk: Desk) -> str:
    """The ID of an API key with three grants, of which one was removed from the settings."""
    settings = desk.folder / "tokensvc.toml"
    kept = settings.read_text()
    settings.write_text(f'{kept}{MORE_GRANTS}[grants.old]\nchannels = ["{CHANNEL}"]\n')
    names = ("web", "preview", "members", "old")
    options = [option for name in names for option in ("--grant", name)]
    text = desk.done("api-keys", "create", "site", *options).strip()
    settings.write_text(kept + MORE_GRANTS)
    return text.split("_")[1]


def test_each_grant_and_the_decision_are_shown(desk: Desk, key: str) -> None:
    """The tightest caps of the two that cover the channel."""
    explained = desk.json("grants", "explain", "--as", key, "--channel", CHANNEL)
    assert [(grant["name"], grant["applies"]) for grant in explained["grants"]] == [
        ("web", "yes"),
        ("preview", "yes"),
        ("members", "for other channels"),
        ("old", "not in the settings"),
    ]
    assert explained["decision"] == "granted"
    assert explained["grant"] == "preview,web"
    assert (explained["ttl_seconds"], explained["maximum_resolution"]) == (60, "SD")
    shown = desk.done("grants", "explain", "--as", "site", "--channel", CHANNEL)
    assert "60 s" in shown
    assert [line.split()[0] for line in shown.splitlines()[2:6]] == [
        "web",
        "preview",
        "members",
        "old",
    ]


def test_a_refusal_has_its_code_and_exit_status_1(desk: Desk, key: str) -> None:
    """It names the rule that refuses."""
    members = CHANNEL.replace("abcd", "mmmm")
    arguments = ("grants", "explain", "--as", key, "--channel", members, "--json")
    result = desk.run(*arguments)
    assert result.exit_code == 1
    assert '"code": "invalid_request"' in result.stdout
    assert desk.run(*arguments, "--viewer-id", "v1").exit_code == 0
    other_region = "arn:aws:ivs:us-west-2:999999999999:channel/abcdEFGHijkl"
    refused = desk.run("grants", "explain", "--as", key, "--channel", other_region)
    assert (refused.exit_code, "not_entitled" in refused.stdout) == (1, True)
