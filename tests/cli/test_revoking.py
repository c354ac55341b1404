"""`tokensvc viewers revoke` and `viewers end-due`, on Local IVS and its playback edge."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
import urllib3
from local_ivs.testing import Account, Channel, KeyPair, Playback, Player, claims

from tests.cli.conftest import Desk
from tokensvc.access.bans.log import BanLog
from tokensvc.arns import ChannelArn
from tokensvc.clock import rfc3339
from tokensvc.errors import InvalidRequest
from tokensvc.ivs.viewer_sessions import Viewer
from tokensvc.playback.revocation.due_ends import DueEnd, DueEnds

BATCH = "BatchStartViewerSessionRevocation"
SECONDS_UNTIL_DUE = 3


@dataclass
class Stage:
    """A deployment with live channels, and viewers who watch them."""

    desk: Desk
    account: Account
    pair: KeyPair
    player: Player

    def channel(self) -> Channel:
        """A new live private channel."""
        return self.account.create_channel()

    def watch(self, channel: Channel, viewer: str, *, version: int | None = None) -> Playback:
        """A session of that viewer; by default it began now."""
        return self.player.watch(channel, self.token(channel, viewer, version=version))

    def token(self, channel: Channel, viewer: str, *, version: int | None = None) -> str:
        """A token of that viewer."""
        now = int(self.desk.clock.now())
        version = now if version is None else version
        named = claims(channel.arn, now, viewer_id=viewer, viewer_session_version=version)
        return self.pair.token(named)

    def fail(self, error: str, *, times: int = 1) -> None:
        """Let the next calls that revoke sessions fail."""
        fault = {"operation": BATCH, "kind": "error", "error": error, "times": times}
        url = f"{self.desk.ivs.url}/_local/faults"
        assert urllib3.request("POST", url, json=fault, retries=False).status < 300

    def answer_again(self) -> None:
        """Let no call fail any more."""
        urllib3.request("DELETE", f"{self.desk.ivs.url}/_local/faults", retries=False)

    def pending(self) -> list[str]:
        """The IDs of the kicks and bans that IVS has not confirmed."""
        book = BanLog(self.desk.state, self.desk.clock).read()
        return [ban.ban_id for ban in book.bans if ban.unconfirmed]


def staged(desk: Desk) -> Iterator[Stage]:
    """The deployment with a key pair, whose state exists."""
    desk.state.create()
    account, pair = Account(desk.ivs, "123456789012"), KeyPair()
    account.import_key(pair)
    with urllib3.PoolManager() as pool:
        yield Stage(desk, account, pair, Player(pool, desk.ivs.url))


@pytest.fixture(name="stage")
def _stage(desk: Desk) -> Iterator[Stage]:
    yield from staged(desk)


def statuses(playbacks: Sequence[Playback]) -> list[int]:
    """What the edge answers to each player's next request."""
    return [playback.playlist().status for playback in playbacks]


def test_a_kick_ends_the_session_and_the_viewer_may_come_back(stage: Stage) -> None:
    """With a version above the line: now plus the allowed skew of 10 s."""
    channel, now = stage.channel(), int(stage.desk.clock.now())
    alice, bob = stage.watch(channel, "alice"), stage.watch(channel, "bob")

    (kicked,) = stage.desk.json("viewers", "revoke", channel.arn, "alice")["revocations"]

    assert statuses([alice, bob]) == [403, 200]
    assert kicked == {
        "ban_id": kicked["ban_id"],
        "viewer_ids": ["alice"],
        "channel_arn": channel.arn,
        "banned_until": None,
        "line_passes_at": rfc3339(now + 11),
        "pending": False,
    }
    assert (
        stage.player.start(channel, stage.token(channel, "alice", version=now + 10)).status == 403
    )
    stage.watch(channel, "alice", version=now + 11)
    assert stage.pending() == []


def test_a_ban_revokes_what_is_signed_soon_too(stage: Stage) -> None:
    """By a worker that can't read the state for 120 s; 5 s are for the write, 10 for the skew."""
    channel, now = stage.channel(), int(stage.desk.clock.now())

    (banned,) = stage.desk.json("viewers", "revoke", channel.arn, "alice", "--ban", "2h")[
        "revocations"
    ]

    assert banned["banned_until"] == rfc3339(now + 7_200)
    assert banned["line_passes_at"] == rfc3339(now + 136)
    token = stage.token(channel, "alice", version=now + 135)
    assert stage.player.start(channel, token).status == 403


def test_a_viewer_is_kicked_from_all_channels_of_the_grants(stage: Stage) -> None:
    """The channels are listed in IVS. Other viewers go on."""
    channels = [stage.channel(), stage.channel(), stage.channel()]
    alices = [stage.watch(channel, "alice") for channel in channels]
    bob = stage.watch(channels[0], "bob")

    done = stage.desk.done("viewers", "revoke", "--all-channels", "alice")

    assert len(done.split()) == 1
    assert statuses([*alices, bob]) == [403, 403, 403, 200]


def test_several_viewers_of_a_file_and_of_the_command_line(stage: Stage) -> None:
    """Each once; blank lines are skipped."""
    channel = stage.channel()
    (stage.desk.folder / "viewers").write_text("v1\n\n v2 \nv1\n")
    viewers = [stage.watch(channel, viewer) for viewer in ("v0", "v1", "v2", "v3")]

    done = stage.desk.done(
        "viewers", "revoke", channel.arn, "v0", "--from", str(stage.desk.folder / "viewers")
    )

    assert len(done.split()) == 3
    assert statuses(viewers) == [403, 403, 403, 200]


def test_while_ivs_is_away_the_kick_is_pending_and_run_again_it_goes_on(stage: Stage) -> None:
    """The same kick: not another one with a later line."""
    channel = stage.channel()
    alice = stage.watch(channel, "alice")
    stage.fail("InternalServerException", times=1_000)

    stage.desk.refused("viewers", "revoke", channel.arn, "alice")
    (pending,) = stage.pending()
    assert statuses([alice]) == [200]
    stage.answer_again()
    stage.desk.clock.advance(60)
    (kicked,) = stage.desk.json("viewers", "revoke", channel.arn, "alice")["revocations"]

    assert kicked["ban_id"] == pending
    assert statuses([alice]) == [403]
    assert stage.pending() == []


def test_a_kick_without_the_permission_is_pending_and_end_due_carries_it_out(
    stage: Stage,
) -> None:
    """Which runs with the moderator's role."""
    channel = stage.channel()
    alice = stage.watch(channel, "alice")
    stage.fail("AccessDeniedException", times=1_000)
    assert "AccessDenied" in stage.desk.refused("viewers", "revoke", channel.arn, "alice")
    stage.answer_again()

    stage.desk.done("viewers", "end-due")

    assert statuses([alice]) == [403]
    assert stage.pending() == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--all-channels",),
        ("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl",),
        ("no-such-name", "alice"),
        ("--all-channels", "--issuer", "https://issuer.example"),
        ("--all-channels", "alice", "--ban", "2"),
    ],
)
def test_wrong_use(stage: Stage, arguments: tuple[str, ...]) -> None:
    """Nothing is written."""
    stage.desk.usage_error("viewers", "revoke", *arguments)

    assert stage.pending() == []


def test_a_viewer_id_that_no_token_can_have_is_refused(stage: Stage) -> None:
    """IVS allows 40 characters. An address, which new tokens may not have, can be kicked."""
    assert isinstance(
        stage.desk.error("viewers", "revoke", "--all-channels", 41 * "v"), InvalidRequest
    )
    stage.desk.done("viewers", "revoke", stage.channel().arn, "alice@example.com")


def store(stage: Stage, channel: Channel, viewer: str, seconds: int) -> None:
    """A playback URL for that viewer that ends after so many seconds."""
    now = int(stage.desk.clock.now())
    due_end = DueEnd(Viewer(ChannelArn.parse(channel.arn), viewer), now, now, now + seconds)
    DueEnds(stage.desk.state).store(due_end)


def test_end_due_ends_what_is_due_now_and_no_more(stage: Stage) -> None:
    """A JSON line for each."""
    channel, now = stage.channel(), int(stage.desk.clock.now())
    sessions = [stage.watch(channel, viewer) for viewer in ("alice", "bob")]
    store(stage, channel, "alice", 30)
    store(stage, channel, "bob", 60)
    stage.desk.clock.advance(30)

    ended = stage.desk.json("viewers", "end-due", "--once")

    assert ended == {
        "at": ended["at"],
        "event": "session_ended",
        "channel_arn": channel.arn,
        "viewer_id": "alice",
        "session_version": now,
        "watch_until": rfc3339(now + 30),
    }
    assert statuses(sessions) == [403, 200]


def test_end_due_fails_while_ivs_is_away_and_goes_on_later(stage: Stage) -> None:
    """The exit status is 1, and nothing is lost."""
    channel = stage.channel()
    alice = stage.watch(channel, "alice")
    store(stage, channel, "alice", 1)
    stage.desk.clock.advance(2)
    stage.fail("ServiceUnavailable", times=1_000)

    stage.desk.refused("viewers", "end-due")
    stage.answer_again()
    stage.desk.clock.advance(60)
    stage.desk.done("viewers", "end-due")

    assert statuses([alice]) == [403]


def test_end_due_watches_until_a_signal(real_time_desk: Desk) -> None:
    """Another process with the same task waits; the exit status is 0."""
    desk = real_time_desk
    (stage,) = staged(desk)
    channel = stage.channel()
    alice = stage.watch(channel, "alice")
    store(stage, channel, "alice", SECONDS_UNTIL_DUE)
    command = [sys.executable, "-m", "tokensvc", "--config", str(desk.settings)]
    command += ["viewers", "end-due", "--watch", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.wait(60)

    assert '"event":"session_ended"' in line
    # A due end is a whole second.
    assert time.time() >= int(desk.clock.now()) + SECONDS_UNTIL_DUE
    assert statuses([alice]) == [403]
    assert process.returncode == 0


def test_the_doctor_reports_what_nothing_carries_out(stage: Stage) -> None:
    """After a minute; the number of each kind."""
    channel = stage.channel()
    store(stage, channel, "alice", 1)
    stage.fail("InternalServerException", times=1_000)
    stage.desk.refused("viewers", "revoke", channel.arn, "bob")
    stage.answer_again()

    def reasons() -> list[str]:
        found = stage.desk.run("keys", "doctor", "--json").stdout
        findings = json.loads(found)
        return [one["reason"] for one in findings if one["code"] == "revocations_overdue"]

    assert reasons() == []
    stage.desk.clock.advance(61)
    (reason,) = reasons()
    assert "1 kicks and bans and 1 sessions" in reason
    stage.desk.done("viewers", "end-due")
    assert reasons() == []
