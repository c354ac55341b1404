"""A deployment of its own for the run: Local IVS, the state on a small disk, and the service."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import boto3

from benchmarks.reliability.load import request
from benchmarks.serving.failure import BenchmarkFailed
from demo.launcher.folder import ACCOUNT_ID, REGION, clean_environment
from demo.launcher.ports import listen
from demo.launcher.processes import Server, running
from tests.support.full_disk import SmallDisk, mounted_disk
from tests.support.process_memory import children_of, has_loaded
from tokensvc.clock import SystemClock

TTL_SECONDS: Final = 12
ACCESS_MAX_AGE_SECONDS: Final = 6
RING_MAX_AGE_SECONDS: Final = 8
CLOCK_SKEW_SECONDS: Final = 3
DRAIN_SECONDS: Final = RING_MAX_AGE_SECONDS + TTL_SECONDS + 2 * CLOCK_SKEW_SECONDS
"""Rule 4: how long IVS accepts the tokens of a key pair that signs no more."""

_WORKERS = 2
_LOG_DISK_KIB = 65_536  # A run logs about 15 MB.
_COMMAND_SECONDS = 60.0
_OK, _CREATED = 200, 201
_SETTINGS = f"""\
[ivs]
account_id = "{ACCOUNT_ID}"
regions = ["{REGION}"]
[state]
url = "sqlite:disk/state/state.sqlite3"
access_max_age_seconds = {ACCESS_MAX_AGE_SECONDS}
[custody]
url = "file:keys"
key_encryption_secret_file = "secret"
[grants.run]
channels = ["arn:aws:ivs:{REGION}:{ACCOUNT_ID}:channel/*"]
[playback]
ttl_seconds = {TTL_SECONDS}
max_ttl_seconds = {TTL_SECONDS}
[rotation]
publish_delay_seconds = 0
ring_max_age_seconds = {RING_MAX_AGE_SECONDS}
clock_skew_seconds = {CLOCK_SKEW_SECONDS}
state_refresh_seconds = 1
[service]
workers = {_WORKERS}
"""
# Credentials that must be renewed before each call, as short-lived ones of a role soon must.
_CREDENTIALS = f"""\
#!/bin/sh
expires=$(date -u -d '+5 minutes' +%Y-%m-%dT%H:%M:%SZ)
printf '{{"Version": 1, "AccessKeyId": "{ACCOUNT_ID}", "SecretAccessKey": "none"'
printf ', "SessionToken": "none", "Expiration": "%s"}}' "$expires"
"""


@dataclass(frozen=True)
class Site:
    """A running deployment.

    Attributes:
        folder: its settings, secret and logs.
        disk: the disk of the state, and of nothing else.
        log_disk: the disk of the service's log, which has the audit lines.
        environment: the environment variables of its processes.
        local_ivs: the running Local IVS.
        service: the running service.
    """

    folder: Path
    disk: SmallDisk
    log_disk: SmallDisk
    environment: Mapping[str, str]
    local_ivs: Server
    service: Server

    @property
    def state(self) -> Path:
        """The folder of the state."""
        return self.disk.folder / "state"

    @property
    def keys(self) -> Path:
        """The folder of the private keys."""
        return self.folder / "keys"

    @property
    def credentials(self) -> Path:
        """The program that prints AWS credentials."""
        return self.folder / "credentials.sh"

    def command(self, *arguments: str) -> str:
        """Run `tokensvc` with these arguments, and return what it prints.

        Raises:
            BenchmarkFailed: it failed.
        """
        return _command(self.environment, *arguments)

    def control(self, method: str, path: str, document: Mapping[str, object]) -> None:
        """Call Local IVS's control API, which moves its clock and plans faults.

        Raises:
            BenchmarkFailed: it refused.
        """
        _control(self.local_ivs, method, path, document)

    def active_key_id(self) -> str:
        """The ID of the key pair that signs."""
        found = [
            str(row["key_id"])
            for row in json.loads(self.command("keys", "list", "--json"))
            if row["state"] == "active"
        ]
        if len(found) != 1:
            raise BenchmarkFailed(f"{len(found)} key pairs are active, not 1.")
        return found[0]

    def workers(self) -> list[int]:
        """The process IDs of the workers that have started."""
        children = children_of(self.service.process.pid)
        return sorted(pid for pid in children if has_loaded(pid, "_awscrt"))


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    """Start a deployment in that folder, and stop it when the block ends.

    Raises:
        BenchmarkFailed, DemoFailed, DiskNotMounted: it can't be started.
    """
    clock = SystemClock()
    environment = clean_environment(os.environ)
    with ExitStack() as stack:
        disk = stack.enter_context(mounted_disk(folder / "disk"))
        log_disk = stack.enter_context(mounted_disk(folder / "logs", size_kib=_LOG_DISK_KIB))
        listener = listen(0, "LOCAL_IVS_PORT", clock)
        data = ("--data", str(folder / "ivs"))
        options = ("--listen-fd", str(listener.fileno()), *data, "--no-throttle")
        local_ivs = stack.enter_context(
            running(
                "Local IVS",
                (sys.executable, "-m", "local_ivs", *options),
                listener=listener,
                environment=environment,
                log=folder / "local-ivs.log",
            )
        )
        local_ivs.wait_until_ready("/healthz", clock)
        environment.update(_write_files(folder, local_ivs.url))
        service_listener = listen(0, "PORT", clock)
        arguments = f"--bind fd://{service_listener.fileno()}"
        _command(environment, "keys", "reconcile")
        service = stack.enter_context(
            running(
                "The service",
                (sys.executable, "-m", "tokensvc", "serve"),
                listener=service_listener,
                environment={**environment, "GUNICORN_CMD_ARGS": arguments},
                log=log_disk.folder / "service.log",
            )
        )
        service.wait_until_ready("/readyz", clock)
        yield Site(folder, disk, log_disk, environment, local_ivs, service)


def create_channels(site: Site, count: int) -> list[str]:
    """Create so many private channels, take them live, and return their ARNs."""
    client = boto3.client(
        "ivs",
        region_name=REGION,
        endpoint_url=site.local_ivs.url,
        aws_access_key_id=ACCOUNT_ID,
        aws_secret_access_key="none",  # noqa: S106 # Local IVS checks no signature.
    )
    arns = [client.create_channel(authorized=True)["channel"]["arn"] for _ in range(count)]
    for arn in arns:
        site.control("PUT", "/_local/streams", {"channel_arn": arn, "live": True})
    return arns


def create_api_key(site: Site) -> str:
    """The text of a new API key."""
    return site.command("api-keys", "create", "run", "--grant", "run")


def _write_files(folder: Path, local_ivs_url: str) -> Mapping[str, str]:
    """Write the settings, the secret and the credentials; return the variables that name them."""
    settings, config = folder / "tokensvc.toml", folder / "aws-config"
    program, secret = folder / "credentials.sh", folder / "secret"
    settings.write_text(_SETTINGS)
    secret.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    secret.chmod(0o600)
    program.write_text(_CREDENTIALS)
    program.chmod(0o700)
    config.write_text(f"[default]\nregion = {REGION}\ncredential_process = {program}\n")
    return {
        "AWS_ENDPOINT_URL_IVS": local_ivs_url,
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "TOKENSVC_CONFIG": str(settings),
    }


def _control(local_ivs: Server, method: str, path: str, document: Mapping[str, object]) -> None:
    headers = {"Content-Type": "application/json"}
    host = urlsplit(local_ivs.url).netloc
    status, content = request(host, method, path, json.dumps(document), headers)
    if status not in {_OK, _CREATED}:
        raise BenchmarkFailed(f"Local IVS refuses {method} {path}: {content.decode()}")


def _command(environment: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 # Our own interpreter and commands, no shell.
        (sys.executable, "-m", "tokensvc", *arguments),
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    if done.returncode:
        raise BenchmarkFailed(f"tokensvc {' '.join(arguments)} failed: {done.stderr}")
    return done.stdout.strip()
