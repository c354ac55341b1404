"""Local IVS under gunicorn, killed and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ConnectionClosedError

from tokensvc.localivs.config import LocalIvsConfig
from tokensvc.localivs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_ivs import IVSClient


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def gunicorn(data_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Local IVS in its own process group; killed on leaving, if it isn't dead by then."""
    port = free_port()
    # The gunicorn.conf.py of the folder is the service's, not Local IVS's.
    command = [sys.executable, "-m", "gunicorn", "--config", os.devnull]
    command += ["--bind", f"127.0.0.1:{port}"]
    command += ["--workers", "1", "--threads", "8", "--no-control-socket", "--log-level", "error"]
    command += ["tokensvc.localivs.wsgi:app_from_environment()"]
    process = subprocess.Popen(
        command,
        env={**os.environ, "LOCAL_IVS_DATA": str(data_path), "LOCAL_IVS_THROTTLE": "off"},
        start_new_session=True,
    )
    try:
        wait_until_healthy(process, f"http://127.0.0.1:{port}")
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_healthy(process: subprocess.Popen[bytes], url: str) -> None:
    """Return when `/healthz` answers 200."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, "gunicorn ended"
        try:
            if urllib3.request("GET", f"{url}/healthz", retries=False).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.05)
    pytest.fail("gunicorn doesn't answer")


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


def create_until_dead(ivs: IVSClient, created: list[str]) -> None:
    """Create channels, noting each that was confirmed, until the server is gone."""
    while True:
        try:
            created.append(ivs.create_channel()["channel"]["arn"])
        except BotoCoreError:
            return


def test_every_confirmed_write_survives_kill_9_during_writes(tmp_path: Path) -> None:
    """Four writers, killed in the middle: what was confirmed is there, whole, with its key."""
    created: list[str] = []
    with gunicorn(tmp_path) as (process, url), client_of(url) as ivs:
        writers = [
            threading.Thread(target=create_until_dead, args=(ivs, created)) for _ in range(4)
        ]
        for writer in writers:
            writer.start()
        while len(created) < 40:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        for writer in writers:
            writer.join()
    with gunicorn(tmp_path) as (_, url), client_of(url) as ivs:
        pages = ivs.get_paginator("list_channels").paginate()
        found = {channel["arn"] for page in pages for channel in page["channels"]}
        assert set(created) <= found
        # A writer may have lost the answer to one channel that was made: at most one each.
        assert len(found) <= len(created) + 4
        for arn in found:
            assert len(ivs.list_stream_keys(channelArn=arn)["streamKeys"]) == 1
        assert ivs.create_channel()["channel"]["arn"] not in found


def test_a_planned_drop_closes_the_connection_under_gunicorn_too(tmp_path: Path) -> None:
    """No answer, no effect; the next call is served."""
    with gunicorn(tmp_path) as (_, url), client_of(url) as ivs:
        fault = {"operation": "CreateChannel", "kind": "drop"}
        assert urllib3.request("POST", f"{url}/_local/faults", json=fault).status == 201
        with pytest.raises(ConnectionClosedError):
            ivs.create_channel()
        assert ivs.list_channels()["channels"] == []


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
