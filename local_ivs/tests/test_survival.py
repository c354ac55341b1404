"""Local IVS as the command `local-ivs` runs it: state after kill -9, and settings."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ConnectionClosedError, EndpointConnectionError

from local_ivs.config import LocalIvsConfig
from local_ivs.errors import ConfigError
from local_ivs.testing import Channel, KeyPair, Player, claims, refusal_in, urls_in
from processes import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_ivs import IVSClient

    from processes import RunningCommand

ROUNDS = 3


@pytest.fixture
def port() -> int:
    """A free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: int = listener.getsockname()[1]
        return found


@contextmanager
def local_ivs(folder: Path, port: int, *options: str) -> Iterator[tuple[RunningCommand, str]]:
    """Start `local-ivs` with its state in that folder; yield it and its URL when ready.

    At the end, its process group is killed, so that the port is free for the next one.
    """
    arguments = ("--data", str(folder / "data"), "--port", str(port), *options)
    url = f"http://127.0.0.1:{port}"
    with running(folder / "out.txt", *arguments) as server:
        server.wait_for("Booting worker")
        wait_until_healthy(url)
        yield server, url
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGKILL)


def wait_until_healthy(url: str) -> None:
    """Return when `/healthz` returns 200."""
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        try:
            if urllib3.request("GET", f"{url}/healthz", retries=False).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.05)
    pytest.fail("Local IVS doesn't respond")


@contextmanager
def client_of(url: str) -> Iterator[IVSClient]:
    """A client without retries."""
    client = boto3.client(
        "ivs",
        region_name="us-west-2",
        endpoint_url=url,
        aws_access_key_id="123456789012",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )
    try:
        yield client
    finally:
        client.close()


def live_channel(ivs: IVSClient, url: str) -> Channel:
    """A new private channel that is live."""
    channel = ivs.create_channel(authorized=True)["channel"]
    document = {"channel_arn": channel["arn"], "live": True}
    assert urllib3.request("PUT", f"{url}/_local/streams", json=document).status == 200
    return Channel(channel["arn"], channel["playbackUrl"])


@dataclass
class Writers:
    """Writes until Local IVS is killed, and records the confirmed writes.

    Attributes:
        channels: The ARNs of created channels.
        starts: The single-use tokens that started playback, each with its session's playlist.
        revoked_up_to: The highest version up to which the viewer was revoked.
    """

    ivs: IVSClient
    player: Player
    channel: Channel
    pair: KeyPair
    channels: list[str] = field(default_factory=list)
    starts: list[tuple[str, str]] = field(default_factory=list)
    revoked_up_to: int = 0

    def create_channel(self) -> None:
        """Create a channel with its stream key and a tag: four rows in one transaction."""
        response = self.ivs.create_channel(tags={"state": "complete"})
        self.channels.append(response["channel"]["arn"])

    def start_playback(self) -> None:
        """Start a session and use up its token: one transaction of the edge."""
        token = self.single_use_token()
        response = self.player.start(self.channel, token)
        assert response.status == 200, response.data
        self.starts.append((token, urls_in(response)[-1]))

    def single_use_token(self) -> str:
        """A token that can start playback once."""
        now = int(time.time())
        return self.pair.token(claims(self.channel.arn, now, single_use_uuid=str(uuid4())))

    def revoke_one_more_version(self) -> None:
        """Revoke the viewer up to the next version."""
        self.ivs.start_viewer_session_revocation(
            channelArn=self.channel.arn,
            viewerId="alice",
            viewerSessionVersionsLessThanOrEqualTo=self.revoked_up_to + 1,
        )
        self.revoked_up_to += 1

    def import_and_delete_a_key(self) -> None:
        """Import a key pair and delete it."""
        material = KeyPair().public_pem
        arn = self.ivs.import_playback_key_pair(publicKeyMaterial=material)["keyPair"]["arn"]
        self.ivs.delete_playback_key_pair(arn=arn)

    def write_until(self, kill: Callable[[], None]) -> None:
        """Run all kinds of writes at once, one thread each, and call `kill` in the middle."""
        actions = (
            self.create_channel,
            self.start_playback,
            self.revoke_one_more_version,
            self.import_and_delete_a_key,
        )
        with ThreadPoolExecutor(len(actions)) as threads:
            futures = [threads.submit(_repeat_until_killed, action) for action in actions]
            targets = [count + 10 for count in self.counts()]
            while any(count < least for count, least in zip(self.counts(), targets, strict=True)):
                if any(each.done() for each in futures):
                    break
                time.sleep(0.01)
            ended_early = [
                action for action, each in zip(actions, futures, strict=True) if each.done()
            ]
            kill()
        for each in futures:
            each.result()
        assert ended_early == []

    def counts(self) -> tuple[int, int, int]:
        """The number of confirmed writes of each kind that is still in the state."""
        return len(self.channels), len(self.starts), self.revoked_up_to


def _repeat_until_killed(action: Callable[[], None]) -> None:
    # botocore doesn't check the Content-Length: a response that is cut off after its headers is a
    # success without members.
    with suppress(BotoCoreError, urllib3.exceptions.HTTPError, KeyError):
        while True:
            action()


def assert_consistent(writers: Writers, url: str, kills: int) -> None:
    """Every confirmed write is present; an unconfirmed one (one per action) is whole or absent."""
    pages = writers.ivs.get_paginator("list_channels").paginate()
    found = {each["arn"]: each["tags"] for page in pages for each in page["channels"]}
    del found[writers.channel.arn]
    assert set(writers.channels) <= set(found)
    assert len(found) <= len(writers.channels) + kills
    for arn, tags in found.items():
        assert tags == {"state": "complete"}
        assert len(writers.ivs.list_stream_keys(channelArn=arn)["streamKeys"]) == 1
    for token, playlist in writers.starts:
        assert writers.player.get(playlist).status == 200
        error_code, _ = refusal_in(writers.player.start(writers.channel, token))
        assert error_code == "playback_auth_error"
    (revocation,) = urllib3.request("GET", f"{url}/_local/overview").json()["revocations"]
    confirmed = writers.revoked_up_to
    assert confirmed <= revocation["versions_up_to"] <= confirmed + 1
    key_pairs = writers.ivs.list_playback_key_pairs()["keyPairs"]
    assert len(key_pairs) in {1, 2}
    for pair in key_pairs[1:]:
        writers.ivs.delete_playback_key_pair(arn=pair["arn"])


def test_confirmed_writes_survive_kill_9(tmp_path: Path, port: int) -> None:
    """Four kinds of writes at once, killed in the middle three times, on one port and folder."""
    pair = KeyPair()
    url = f"http://127.0.0.1:{port}"
    with client_of(url) as ivs, urllib3.PoolManager() as pool:
        with local_ivs(tmp_path, port, "--no-throttle"):
            ivs.import_playback_key_pair(publicKeyMaterial=pair.public_pem)
            writers = Writers(ivs, Player(pool, url), live_channel(ivs, url), pair)
            writers.revoke_one_more_version()
        for kills in range(ROUNDS):
            with local_ivs(tmp_path, port, "--no-throttle") as (server, _):
                assert_consistent(writers, url, kills)
                writers.write_until(lambda: os.killpg(server.process.pid, signal.SIGKILL))
        with local_ivs(tmp_path, port, "--no-throttle"):
            assert_consistent(writers, url, ROUNDS)
    with closing(sqlite3.connect(tmp_path / "data" / "local-ivs.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_kill_9_of_the_main_process_frees_the_port(tmp_path: Path, port: int) -> None:
    """Its worker ends by itself; the next start uses the same port and state."""
    with client_of(f"http://127.0.0.1:{port}") as ivs:
        with local_ivs(tmp_path, port) as (server, _):
            arn = ivs.create_channel()["channel"]["arn"]
            server.process.kill()
            assert server.wait() == -signal.SIGKILL
        with local_ivs(tmp_path, port):
            assert [each["arn"] for each in ivs.list_channels()["channels"]] == [arn]


def test_sigterm_finishes_running_requests_and_exits_with_status_0(
    tmp_path: Path, port: int
) -> None:
    """A call that takes another second gets its response; then the port is free."""
    with local_ivs(tmp_path, port) as (server, url), client_of(url) as ivs:
        fault = {"operation": "CreateChannel", "kind": "slow", "seconds": 1}
        assert urllib3.request("POST", f"{url}/_local/faults", json=fault).status == 201
        with ThreadPoolExecutor(1) as thread:
            slow = thread.submit(ivs.create_channel)
            while urllib3.request("GET", f"{url}/_local/faults").json()["faults"]:
                time.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
            assert slow.result()["channel"]["arn"]
        assert server.wait() == 0
        with pytest.raises(EndpointConnectionError):
            ivs.list_channels()


def test_the_variable_with_which_aws_sdks_use_it_is_printed(tmp_path: Path, port: int) -> None:
    """AWS_ENDPOINT_URL_IVS, with the address at which Local IVS responds."""
    with local_ivs(tmp_path, port) as (server, url):
        assert f"AWS_ENDPOINT_URL_IVS={url}\n" in server.printed


def test_ctrl_c_stops_it(tmp_path: Path, port: int) -> None:
    """With exit status 0 and no traceback; then the port is free."""
    with local_ivs(tmp_path, port) as (server, _):
        assert server.interrupt() == 0
        assert "Traceback" not in server.printed
    socket.create_server(("127.0.0.1", port)).close()


def test_a_launcher_passes_a_socket_that_it_has_bound(tmp_path: Path) -> None:
    """Local IVS serves the socket's port, prints it, and stops gracefully."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        descriptor = listener.fileno()
        arguments = ("--data", str(tmp_path / "data"), "--listen-fd", str(descriptor))
        with running(tmp_path / "out.txt", *arguments, pass_fds=(descriptor,)) as server:
            listener.close()
            server.wait_for(f"AWS_ENDPOINT_URL_IVS={url}\n")
            wait_until_healthy(url)
            with client_of(url) as ivs:
                assert ivs.create_channel()["channel"]["playbackUrl"].startswith(url)
            server.process.send_signal(signal.SIGTERM)
            assert server.wait() == 0


def test_the_rates_of_aws_apply_unless_they_are_switched_off(tmp_path: Path, port: int) -> None:
    """12 calls in much less than 2 s: some are throttled; with --no-throttle, none is."""
    refused: dict[str, int] = {}
    for option in ("--throttle", "--no-throttle"):
        with local_ivs(tmp_path, port, option) as (_, url), client_of(url) as ivs:
            refused[option] = 0
            for _ in range(12):
                try:
                    ivs.list_channels()
                except ivs.exceptions.ThrottlingException:
                    refused[option] += 1
    assert refused["--throttle"] > 0
    assert refused["--no-throttle"] == 0


def test_a_planned_drop_closes_the_connection_under_gunicorn_too(tmp_path: Path, port: int) -> None:
    """No response, no effect; the next call succeeds."""
    with local_ivs(tmp_path, port) as (_, url), client_of(url) as ivs:
        fault = {"operation": "CreateChannel", "kind": "drop"}
        assert urllib3.request("POST", f"{url}/_local/faults", json=fault).status == 201
        with pytest.raises(ConnectionClosedError):
            ivs.create_channel()
        assert ivs.list_channels()["channels"] == []


def test_responses_are_dated_by_the_movable_clock_under_gunicorn_too(
    tmp_path: Path, port: int
) -> None:
    """An unsigned request gets a 403 with a request ID and one Date, an hour ahead."""
    with local_ivs(tmp_path, port) as (_, url):
        moved = urllib3.request("PUT", f"{url}/_local/clock", json={"offset_seconds": 3600})
        assert moved.status == 200
        response = urllib3.request("POST", f"{url}/ListPlaybackKeyPairs", body=b"{}")
        ahead_seconds = parsedate_to_datetime(response.headers["Date"]).timestamp() - time.time()
    assert response.status == 403
    assert response.headers["x-amzn-RequestId"]
    assert ahead_seconds == pytest.approx(3600, abs=60)


def test_an_invalid_setting_prints_one_error_line_and_exits(tmp_path: Path, port: int) -> None:
    """The line names the variable and its limit; status 1 and no traceback."""
    arguments = ("--data", str(tmp_path / "data"), "--port", str(port))
    invalid = {"LOCAL_IVS_EFFECT_DELAY_SECONDS": "abc"}
    with running(tmp_path / "out.txt", *arguments, environment=invalid) as server:
        assert server.wait() == 1
        last_line = server.printed.splitlines()[-1]
        assert last_line.startswith("Error: ")
        assert "LOCAL_IVS_EFFECT_DELAY_SECONDS" in last_line
        assert "3600" in last_line
        assert "Traceback" not in server.printed


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    """Folder, throttle and delay."""
    environment = {
        "LOCAL_IVS_DATA": str(tmp_path),
        "LOCAL_IVS_THROTTLE": "off",
        "LOCAL_IVS_EFFECT_DELAY_SECONDS": "2.5",
    }
    expected = LocalIvsConfig(data_path=tmp_path, throttle=False, effect_delay_seconds=2.5)
    assert LocalIvsConfig.from_environment(environment) == expected
    only_data = LocalIvsConfig.from_environment({"LOCAL_IVS_DATA": str(tmp_path)})
    assert only_data == LocalIvsConfig(tmp_path, throttle=True, effect_delay_seconds=0.0)


def test_all_invalid_settings_are_reported_at_once() -> None:
    """The message names each variable."""
    environment = {"LOCAL_IVS_THROTTLE": "maybe", "LOCAL_IVS_EFFECT_DELAY_SECONDS": "nan"}
    with pytest.raises(ConfigError) as caught:
        LocalIvsConfig.from_environment(environment)
    for name in ("LOCAL_IVS_DATA", "LOCAL_IVS_THROTTLE", "LOCAL_IVS_EFFECT_DELAY_SECONDS"):
        assert name in str(caught.value)
