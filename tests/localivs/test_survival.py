"""Local IVS as `tokensvc local-ivs` runs it: what a sudden end leaves, and its settings."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ConnectionClosedError, EndpointConnectionError

from tests.e2e.processes import running
from tests.localivs.edge.stage import Channel, KeyPair, Player, claims, refusal_in, urls_in
from tokensvc.localivs.config import LocalIvsConfig
from tokensvc.localivs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_ivs import IVSClient

    from tests.e2e.processes import Running

ROUNDS = 3


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: int = listener.getsockname()[1]
        return found


@contextmanager
def local_ivs(folder: Path, port: int, *options: str) -> Iterator[tuple[Running, str]]:
    """`tokensvc local-ivs` with its state in that folder, once it answers, and its URL.

    On leaving its process group is killed, so that the port is free for the next one.
    """
    arguments = ("--data", str(folder / "data"), "--port", str(port), *options)
    url = f"http://127.0.0.1:{port}"
    with running(folder / "out.txt", "local-ivs", *arguments, environment={}) as server:
        server.wait_for("Booting worker")
        wait_until_healthy(url)
        yield server, url
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGKILL)


def wait_until_healthy(url: str) -> None:
    """Return when `/healthz` answers 200."""
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        try:
            if urllib3.request("GET", f"{url}/healthz", retries=False).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.05)
    pytest.fail("Local IVS doesn't answer")


@contextmanager
def client_of(url: str) -> Iterator[IVSClient]:
    """A client that doesn't retry."""
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
    """Write until Local IVS is gone, and remember what it has confirmed.

    Attributes:
        channels: The ARNs of created channels.
        starts: The single-use tokens that started playback, each with its session's playlist.
        line: The highest version up to which the viewer was revoked.
    """

    ivs: IVSClient
    player: Player
    channel: Channel
    pair: KeyPair
    channels: list[str] = field(default_factory=list)
    starts: list[tuple[str, str]] = field(default_factory=list)
    line: int = 0

    def create_channel(self) -> None:
        """A channel with its stream key and a tag: four rows of one transaction."""
        answer = self.ivs.create_channel(tags={"kept": "whole"})
        self.channels.append(answer["channel"]["arn"])

    def start_playback(self) -> None:
        """A session, and its token used up: one transaction of the edge."""
        token = self.single_use_token()
        answer = self.player.start(self.channel, token)
        assert answer.status == 200, answer.data
        self.starts.append((token, urls_in(answer)[-1]))

    def single_use_token(self) -> str:
        """A token that plays once."""
        now = int(time.time())
        return self.pair.token(claims(self.channel.arn, now, single_use_uuid=str(uuid4())))

    def revoke_one_more_version(self) -> None:
        """The viewer's line, one up."""
        self.ivs.start_viewer_session_revocation(
            channelArn=self.channel.arn,
            viewerId="alice",
            viewerSessionVersionsLessThanOrEqualTo=self.line + 1,
        )
        self.line += 1

    def import_and_delete_a_key(self) -> None:
        """A key pair that comes and goes."""
        material = KeyPair().public_pem
        arn = self.ivs.import_playback_key_pair(publicKeyMaterial=material)["keyPair"]["arn"]
        self.ivs.delete_playback_key_pair(arn=arn)

    def write_until(self, end: Callable[[], None]) -> None:
        """Do all of it at once, in a thread each, and let `end` happen in the middle."""
        acts = (
            self.create_channel,
            self.start_playback,
            self.revoke_one_more_version,
            self.import_and_delete_a_key,
        )
        with ThreadPoolExecutor(len(acts)) as threads:
            writing = [threads.submit(_repeat_until_dead, act) for act in acts]
            enough = [count + 10 for count in self.counts()]
            while any(count < least for count, least in zip(self.counts(), enough, strict=True)):
                if any(each.done() for each in writing):
                    break
                time.sleep(0.01)
            too_early = [act for act, each in zip(acts, writing, strict=True) if each.done()]
            end()
        for each in writing:
            each.result()
        assert too_early == []

    def counts(self) -> tuple[int, int, int]:
        """How much has been confirmed of each kind that lasts."""
        return len(self.channels), len(self.starts), self.line


def _repeat_until_dead(act: Callable[[], None]) -> None:
    # botocore doesn't hold an answer to its Content-Length: one that is cut off after its headers
    # is a success without members.
    with suppress(BotoCoreError, urllib3.exceptions.HTTPError, KeyError):
        while True:
            act()


def assert_whole(writers: Writers, url: str, kills: int) -> None:
    """What was confirmed is there; of what wasn't, all or nothing, and at most one an act."""
    pages = writers.ivs.get_paginator("list_channels").paginate()
    found = {each["arn"]: each["tags"] for page in pages for each in page["channels"]}
    del found[writers.channel.arn]
    assert set(writers.channels) <= set(found)
    assert len(found) <= len(writers.channels) + kills
    for arn, tags in found.items():
        assert tags == {"kept": "whole"}
        assert len(writers.ivs.list_stream_keys(channelArn=arn)["streamKeys"]) == 1
    for token, playlist in writers.starts:
        assert writers.player.get(playlist).status == 200
        assert "single use" in refusal_in(writers.player.start(writers.channel, token))[1]
    (revocation,) = urllib3.request("GET", f"{url}/_local/overview").json()["revocations"]
    assert writers.line <= revocation["versions_up_to"] <= writers.line + 1
    key_pairs = writers.ivs.list_playback_key_pairs()["keyPairs"]
    assert len(key_pairs) in {1, 2}
    for pair in key_pairs[1:]:
        writers.ivs.delete_playback_key_pair(arn=pair["arn"])


def test_what_was_confirmed_survives_kill_9_during_writes(tmp_path: Path, port: int) -> None:
    """Four kinds of writes at once, killed in the middle three times, at one port and folder."""
    pair = KeyPair()
    url = f"http://127.0.0.1:{port}"
    with client_of(url) as ivs, urllib3.PoolManager() as pool:
        with local_ivs(tmp_path, port, "--no-throttle"):
            ivs.import_playback_key_pair(publicKeyMaterial=pair.public_pem)
            writers = Writers(ivs, Player(pool, url), live_channel(ivs, url), pair)
            writers.revoke_one_more_version()
        for kills in range(ROUNDS):
            with local_ivs(tmp_path, port, "--no-throttle") as (server, _):
                assert_whole(writers, url, kills)
                writers.write_until(lambda: os.killpg(server.process.pid, signal.SIGKILL))
        with local_ivs(tmp_path, port, "--no-throttle"):
            assert_whole(writers, url, ROUNDS)
    with closing(sqlite3.connect(tmp_path / "data" / "local-ivs.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_kill_9_of_the_one_process_that_a_person_sees_frees_the_port(
    tmp_path: Path, port: int
) -> None:
    """Its worker ends by itself; the next start takes port and state over."""
    with client_of(f"http://127.0.0.1:{port}") as ivs:
        with local_ivs(tmp_path, port) as (server, _):
            arn = ivs.create_channel()["channel"]["arn"]
            server.process.kill()
            assert server.ends() == -signal.SIGKILL
        with local_ivs(tmp_path, port):
            assert [each["arn"] for each in ivs.list_channels()["channels"]] == [arn]


def test_sigterm_lets_the_answer_under_way_out_and_ends_with_status_0(
    tmp_path: Path, port: int
) -> None:
    """A call that takes another second is answered; then the port is free."""
    with local_ivs(tmp_path, port) as (server, url), client_of(url) as ivs:
        fault = {"operation": "CreateChannel", "kind": "slow", "seconds": 1}
        assert urllib3.request("POST", f"{url}/_local/faults", json=fault).status == 201
        with ThreadPoolExecutor(1) as thread:
            slow = thread.submit(ivs.create_channel)
            while urllib3.request("GET", f"{url}/_local/faults").json()["faults"]:
                time.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
            assert slow.result()["channel"]["arn"]
        assert server.ends() == 0
        with pytest.raises(EndpointConnectionError):
            ivs.list_channels()


def test_the_rates_of_aws_hold_unless_they_are_switched_off(tmp_path: Path, port: int) -> None:
    """Of 12 calls in far less than 2 s some are refused; with --no-throttle none is."""
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
    """No answer, no effect; the next call is served."""
    with local_ivs(tmp_path, port) as (_, url), client_of(url) as ivs:
        fault = {"operation": "CreateChannel", "kind": "drop"}
        assert urllib3.request("POST", f"{url}/_local/faults", json=fault).status == 201
        with pytest.raises(ConnectionClosedError):
            ivs.create_channel()
        assert ivs.list_channels()["channels"] == []


def test_a_wrong_setting_is_one_line_before_anything_is_served(tmp_path: Path, port: int) -> None:
    """What it takes, status 1, and no traceback; nobody is left to serve."""
    arguments = ("local-ivs", "--data", str(tmp_path / "data"), "--port", str(port))
    wrong = {"LOCAL_IVS_EFFECT_DELAY_SECONDS": "abc"}
    with running(tmp_path / "out.txt", *arguments, environment=wrong) as server:
        assert server.ends() == 1
        last_line = server.said.splitlines()[-1]
        expected = "Error: LOCAL_IVS_EFFECT_DELAY_SECONDS must be a number of seconds, 0 to 3600."
        assert last_line == expected
        assert "Traceback" not in server.said


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


def test_all_wrong_settings_are_told_at_once() -> None:
    """Each variable is named with what it takes."""
    environment = {"LOCAL_IVS_THROTTLE": "maybe", "LOCAL_IVS_EFFECT_DELAY_SECONDS": "nan"}
    with pytest.raises(ConfigError) as caught:
        LocalIvsConfig.from_environment(environment)
    for name in ("LOCAL_IVS_DATA", "LOCAL_IVS_THROTTLE", "LOCAL_IVS_EFFECT_DELAY_SECONDS"):
        assert name in str(caught.value)
