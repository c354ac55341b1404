"""moto's server in its own process: DynamoDB, Secrets Manager, KMS and STS over real HTTP.

`stand_in_gaps` lists what it does not do as AWS does.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import urllib3

from tests.support.aws import EXAMPLE_ACCOUNT, set_aws_environment

_ENDPOINTS: Final = ("DYNAMODB", "KMS", "SECRETS_MANAGER", "STS")
_START_SECONDS: Final = 60.0
_ADDRESS: Final = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")


@dataclass(frozen=True)
class Moto:
    """The running server.

    Attributes:
        url: its base URL, which is the endpoint of every service.
        process_id: the process.
    """

    url: str
    process_id: int

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables with which boto3 and the aws CLI call this server.

        The endpoint of IVS is not among them: moto has no key pairs of IVS.
        """
        return {
            "AWS_ACCESS_KEY_ID": EXAMPLE_ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "example-secret",
            **{f"AWS_ENDPOINT_URL_{name}": self.url for name in _ENDPOINTS},
        }

    def set_environment(self, monkeypatch: pytest.MonkeyPatch, folder: Path, **more: str) -> None:
        """Replace the AWS variables of this process with `environment` and `more`.

        The AWS configuration files are set to files in `folder` that don't exist.
        """
        set_aws_environment(monkeypatch, folder, **{**self.environment, **more})

    def pause(self) -> None:
        """Let the server accept connections, and answer nothing until it is resumed."""
        os.kill(self.process_id, signal.SIGSTOP)

    def resume(self) -> None:
        """End a pause."""
        os.kill(self.process_id, signal.SIGCONT)

    def reset(self) -> None:
        """Delete everything in every service and region."""
        answer = urllib3.request("POST", f"{self.url}/moto-api/reset", timeout=10.0)
        assert answer.status == 200, answer.data


@contextmanager
def moto_in(folder: Path) -> Iterator[Moto]:
    """Run a server at a free port until the block ends. Its log is in `folder`."""
    log = folder / "moto.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-p", "0"],
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Moto(_address(process, log), process.pid)
    finally:
        process.terminate()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    give_up_at = time.monotonic() + _START_SECONDS
    while not (found := _ADDRESS.search(log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < give_up_at, log.read_text()
        time.sleep(0.02)
    return found[1]


@pytest.fixture(scope="session")
def running_moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """The server of this test process. Use `moto`, which begins empty."""
    with moto_in(tmp_path_factory.mktemp("moto")) as running:
        yield running


@pytest.fixture
def moto(running_moto: Moto) -> Moto:
    """The server, with nothing in it."""
    running_moto.reset()
    return running_moto
