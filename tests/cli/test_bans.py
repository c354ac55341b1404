"""`tokensvc bans`: what an operator makes, sees and lifts, and what a viewer then gets."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.conftest import Desk
from tests.cli.test_viewers import OLD, USER, VIEWER_ID
from tokensvc.cli.context import operator
from tokensvc.errors import InvalidRequest, NotFound, ViewerBanned, ViewerRevoked

CHANNEL = "arn:aws:ivs:us-west-2:123456789012:channel/demo"

LISTED = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"


@pytest.fixture
def channel(rotating_desk: Desk) -> str:
    """The ARN of a private channel."""
    arn = rotating_desk.ivs.client().create_channel(authorized=True)["channel"]["arn"]
    assert isinstance(arn, str)
    return arn


def sign(channel: str, viewer_id: str = "viewer-1") -> tuple[str, ...]:
    """The command that signs for a viewer."""
    return ("tokens", "sign", channel, "--viewer-id", viewer_id)


def audited(desk: Desk, *arguments: str) -> dict[str, object]:
    """The audit line of the command."""
    lines = desk.run(*arguments).stderr.splitlines()
    (line,) = (json.loads(line) for line in lines if line.startswith("{"))
    assert isinstance(line, dict)
    return line


def test_a_banned_viewer_gets_no_url_until_the_ban_is_lifted(
    rotating_desk: Desk, channel: str
) -> None:
    """Another viewer does. When it is lifted, the command says when the viewer may play again."""
    desk = rotating_desk
    ban_id = desk.done("bans", "add", "viewer-1", "--channel", channel, "--for", "2h").strip()
    assert isinstance(desk.error(*sign(channel)), ViewerBanned)
    desk.done(*sign(channel, "viewer-2"))

    (listed,) = desk.json("bans", "list")
    assert listed == {
        "ban_id": ban_id,
        "kind": "ban",
        "state": "active",
        "viewer_ids": ["viewer-1"],
        "channel_arn": channel,
        "banned_until": "2027-01-15T10:02:00Z",
        "line_passes_at": "2027-01-15T08:04:16Z",  # 120 + 5 + 10 + 1 s
        "is_pending_at_ivs": True,
        "channels_left": [],
        "made_at": "2027-01-15T08:02:00Z",
        "made_by": operator(),
        "note": "",
        "lifted_at": None,
        "lifted_by": None,
    }

    assert "2027-01-15T08:04:16Z, in 136 s" in desk.done("bans", "lift", ban_id)
    assert isinstance(desk.error(*sign(channel)), ViewerRevoked)
    desk.clock.advance(136)
    desk.done(*sign(channel))
    (listed,) = desk.json("bans", "list", "--all")
    assert (listed["state"], listed["lifted_by"]) == ("lifted", operator())


def test_a_ban_without_an_end(rotating_desk: Desk, channel: str) -> None:
    """It has none in ten years either."""
    rotating_desk.done("bans", "add", "viewer-1", "--all-channels", "--note", "chargeback")
    rotating_desk.clock.advance(10 * 366 * 86_400)
    (listed,) = rotating_desk.json("bans", "list")
    assert (listed["banned_until"], listed["channel_arn"]) == (None, None)
    assert (listed["state"], listed["note"]) == ("active", "chargeback")
    assert "until lifted" in rotating_desk.done("bans", "list")
    assert isinstance(rotating_desk.error(*sign(channel)), ViewerBanned)


def test_a_channel_is_closed_for_everyone_and_opened(rotating_desk: Desk, channel: str) -> None:
    """Also for a token without a viewer ID. Nothing is pending: no session is revoked."""
    ban_id = rotating_desk.done("bans", "add", "--everyone", "--channel", channel).strip()
    (listed,) = rotating_desk.json("bans", "list")
    assert (listed["kind"], listed["is_pending_at_ivs"]) == ("closed_channel", False)
    assert isinstance(rotating_desk.error("tokens", "sign", channel), ViewerBanned)
    rotating_desk.done("bans", "lift", ban_id)
    rotating_desk.done("tokens", "sign", channel)
    rotating_desk.done(*sign(channel))


def test_a_user_is_banned_under_every_viewer_id(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By issuer and subject, of which neither is stored."""
    monkeypatch.setenv("TOKENSVC_VIEWER_IDS__SECRET", OLD)
    desk.done("viewers", "record-secrets")
    user = ("--issuer", USER[0], "--subject", USER[1])
    line = audited(desk, "bans", "add", *user, "--channel", CHANNEL)
    assert line["viewer_id"] == VIEWER_ID
    (listed,) = desk.json("bans", "list")
    assert listed["viewer_ids"] == [VIEWER_ID]
    stored = (desk.folder / "keys/state.sqlite3").read_bytes()
    assert USER[1].encode() not in stored


def test_a_user_of_an_issuer_that_is_not_configured_can_not_be_banned(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as the name of its section, or its URL without the slash: it would have no effect."""
    monkeypatch.setenv("TOKENSVC_VIEWER_IDS__SECRET", OLD)
    with desk.settings.open("a") as settings:
        settings.write('[issuers.main]\nissuer = "https://a.example.com/"\naudience = "x"\n')
    desk.done("viewers", "record-secrets")
    commands = (("bans", "add", "--channel"), ("viewers", "revoke"))
    for command in commands:
        for issuer in ("main", "https://a.example.com"):
            user = ("--issuer", issuer, "--subject", "ann")
            error = desk.error(*command, CHANNEL, *user)
            assert isinstance(error, InvalidRequest)
            assert error.problems[0].rule == "unknown_issuer"
    assert desk.json("bans", "list") == []
    user = ("--issuer", "https://a.example.com/", "--subject", "ann")
    desk.done("bans", "add", "--channel", CHANNEL, *user)


def test_a_viewer_is_banned_on_several_channels(desk: Desk) -> None:
    """Each ban can be lifted by itself."""
    desk.done("api-keys", "create", "site", "--grant", "web")
    other = f"{CHANNEL}2"
    made = desk.json("bans", "add", "viewer-1", "--channel", CHANNEL, "--channel", other)
    assert [each["channel_arn"] for each in made] == [CHANNEL, other]
    desk.done("bans", "lift", made[0]["ban_id"])
    assert [each["state"] for each in desk.json("bans", "list")].count("lifted") == 1


def test_changes_are_audited(desk: Desk) -> None:
    """With who made them, and with the highest session version that is revoked."""
    desk.done("api-keys", "create", "site", "--grant", "web")
    line = audited(desk, "bans", "add", "viewer-1", "--channel", CHANNEL, "--for", "60s")
    assert line["decision"] == "banned"
    assert (line["viewer_id"], line["channel_arn"]) == ("viewer-1", CHANNEL)
    assert line["expires_at"] == "2027-01-15T08:01:00Z"
    assert (line["session_version"], line["caller_id"]) == (1_800_000_070, operator())
    lifted = audited(desk, "bans", "lift", str(line["ban_id"]))
    assert (lifted["decision"], lifted["ban_id"]) == ("lifted", line["ban_id"])
    closed = audited(desk, "bans", "add", "--everyone", "--channel", CHANNEL)
    assert (closed["decision"], closed["expires_at"]) == ("closed", None)


def test_a_ban_that_is_over_is_listed_with_all(desk: Desk) -> None:
    """A closed channel, because IVS has to confirm a ban."""
    desk.done("api-keys", "create", "site", "--grant", "web")
    desk.done("bans", "add", "--everyone", "--channel", CHANNEL, "--for", "60s")
    desk.clock.advance(60)
    assert desk.json("bans", "list") == []
    assert [each["state"] for each in desk.json("bans", "list", "--all")] == ["ended"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("viewer-1",),
        ("viewer-1", "--channel", CHANNEL, "--all-channels"),
        ("viewer-1", "--channel", CHANNEL, "--everyone"),
        ("--channel", CHANNEL),
        ("--everyone", "--all-channels"),
        ("--issuer", "https://issuer.example", "--channel", CHANNEL),
        ("viewer-1", "--channel", CHANNEL, "--for", "0s"),
        ("viewer-1", "--channel", CHANNEL, "--note", 201 * "a"),
        ("viewer-1", "--channel", CHANNEL, "--note", "two\nlines"),
    ],
)
def test_wrong_use(desk: Desk, arguments: tuple[str, ...]) -> None:
    """Nothing is written."""
    desk.done("api-keys", "create", "site", "--grant", "web")
    desk.usage_error("bans", "add", *arguments)
    assert desk.json("bans", "list") == []


def test_a_viewer_id_that_no_token_can_have_is_refused(desk: Desk) -> None:
    """IVS would refuse to revoke it."""
    desk.done("api-keys", "create", "site", "--grant", "web")
    error = desk.error("bans", "add", 41 * "a", "--channel", CHANNEL)
    assert isinstance(error, InvalidRequest)
    assert [problem.rule for problem in error.problems] == ["viewer_id_length"]


def test_lifting_names_the_other_bans_of_the_viewer(desk: Desk, channel: str) -> None:
    """Those that refuse the viewer there, and not those of others or of other channels."""

    def banned(*arguments: str) -> str:
        return desk.done("bans", "add", *arguments).strip()

    first = banned("viewer-1", "--channel", channel)
    same = banned("viewer-1", "--channel", channel, "--for", "2h")
    everywhere = banned("viewer-1", "--all-channels")
    closed = banned("--everyone", "--channel", channel)
    of_another = banned("viewer-2", "--channel", channel)
    elsewhere = banned("viewer-1", "--channel", f"{channel[:-12]}ABCDEFGHIJKL")

    named = set(re.findall(r"\b[0-9a-f]{16}\b", desk.run("bans", "lift", first).stderr)) - {first}
    assert named == {same, everywhere, closed}
    assert not named & {of_another, elsewhere}
    left = desk.run("bans", "lift", same, everywhere, closed).stderr.splitlines()[-2:]
    assert not any("`tokensvc bans lift" in line for line in left)


def test_an_unknown_name_of_a_channel_is_refused_with_the_names(desk: Desk) -> None:
    """The exit status is 2. What is meant as an ARN is checked as one."""
    desk.settings.write_text(f'{desk.settings.read_text()}[channels]\ndemo = "{LISTED}"\n')
    result = desk.run("bans", "add", "viewer-1", "--channel", "demmo")
    assert result.exit_code == 2
    assert result.stderr.split("'demmo'")[1].rstrip().endswith(" demo.")
    result = desk.run("bans", "add", "viewer-1", "--channel", "arn:aws:ivs:x")
    assert result.exit_code == 2
    assert "ARN" in result.stderr


def test_a_ban_that_does_not_exist_can_not_be_lifted(desk: Desk) -> None:
    """The exit status is 1."""
    desk.done("api-keys", "create", "site", "--grant", "web")
    assert isinstance(desk.error("bans", "lift", "0123456789abcdef"), NotFound)
