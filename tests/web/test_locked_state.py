"""No request waits for a database that another process has locked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pytest
import urllib3

from tests.support.deployment import Deployment, MemoryAudit
from tests.support.serving import serving
from tests.support.sqlite_files import stored_records, write_lock_held
from tokensvc.clock import SystemClock
from tokensvc.ivs.shared_turns import SharedTurns
from tokensvc.service import build
from tokensvc.settings import load_settings
from tokensvc.state.sqlite import SqliteState
from tokensvc.web.app import create_app

SETTINGS = """
[ivs]
account_id = "123456789012"
regions = ["us-west-2"]
[custody]
key_encryption_secret_file = "secret"
[grants.open]
channels = ["arn:aws:ivs:us-west-2:123456789012:channel/*"]
"""
LONGEST_SECONDS = 10.0


@pytest.fixture
def state_file(tmp_path: Path) -> Path:
    """The state file of the deployment."""
    return tmp_path / "state.sqlite3"


@contextmanager
def served(deployment: Deployment) -> Iterator[str]:
    """The address of a service that was built from settings, with an empty channel directory.

    It is closed at the end of the block.
    """
    world = deployment.world
    (world.folder / "secret").write_bytes(bytes(range(32)))
    path = world.folder / "tokensvc.toml"
    path.write_text(SETTINGS)
    # Turns are taken in real time, and a state removes what has expired by its own clock.
    state_of_turns = SqliteState(world.folder / "state.sqlite3", SystemClock())
    service = build(
        load_settings(path, {}),
        world.clock,
        MemoryAudit(),
        state=world.state,
        signer_loader=world.custody,
        turns=SharedTurns(state_of_turns, SystemClock(), Random(1)),  # noqa: S311 # Not a secret.
    )
    with closing(state_of_turns), closing(service), serving(create_app(service)) as url:
        service.start()
        yield url


@pytest.fixture
def arns(own_deployment: Deployment) -> list[str]:
    """The ARNs of 100 private channels, sorted."""
    ivs = own_deployment.world.ivs.client()
    made = [ivs.create_channel(authorized=True)["channel"]["arn"] for _ in range(100)]
    return sorted(made)


def post(url: str, path: str, key: str, body: object) -> urllib3.BaseHTTPResponse:
    """The answer to a request of a backend with that API key."""
    return urllib3.request(
        "POST",
        url + path,
        json=body,
        headers={"Authorization": f"Bearer {key}"},
        retries=False,
        timeout=60.0,
    )


def stored_arns(state_file: Path) -> list[str]:
    """The ARNs of the channels whose answers are stored."""
    return [record.record_id for record in stored_records(state_file, "channel")]


def test_a_batch_of_unknown_channels_does_not_wait_for_the_write_lock(
    own_deployment: Deployment, arns: list[str], state_file: Path
) -> None:
    """Another process holds it until all 100 answers are there; they are stored afterwards."""
    body = {"requests": [{"channel": arn} for arn in arns]}
    with served(own_deployment) as url:
        with write_lock_held(state_file):
            began_at = time.monotonic()
            response = post(url, "/v1/playback-urls:batch", own_deployment.key, body)
            assert time.monotonic() - began_at < LONGEST_SECONDS
            assert stored_arns(state_file) == []
        give_up_at = time.monotonic() + 30
        while stored_arns(state_file) != arns:
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
    assert response.status == 200
    results = response.json()["results"]
    assert [result.get("channel_arn") for result in results] == arns
    assert all(result["token"] for result in results)


def test_requests_for_single_channels_do_not_wait_for_the_write_lock(
    own_deployment: Deployment, arns: list[str], state_file: Path
) -> None:
    """What is queued when the service closes is stored before its end."""
    with served(own_deployment) as url, write_lock_held(state_file):
        began_at = time.monotonic()
        responses = [
            post(url, "/v1/playback-urls", own_deployment.key, {"channel": arn})
            for arn in arns[:10]
        ]
        assert time.monotonic() - began_at < LONGEST_SECONDS
        assert stored_arns(state_file) == []
    assert [response.status for response in responses] == [200] * 10
    assert stored_arns(state_file) == arns[:10]


def test_while_ivs_fails_a_batch_is_answered_from_the_locked_state(
    own_deployment: Deployment, arns: list[str], state_file: Path
) -> None:
    """By a service that starts meanwhile. A reader of the state does not wait for a writer."""
    body = {"requests": [{"channel": arn} for arn in arns]}
    with served(own_deployment) as url:
        before = post(url, "/v1/playback-urls:batch", own_deployment.key, body)
    for operation in ("GetChannel", "BatchGetChannel"):
        fault = {
            "operation": operation,
            "kind": "error",
            "error": "AccessDeniedException",
            "times": 200,
        }
        faults = f"{own_deployment.world.ivs.url}/_local/faults"
        assert urllib3.request("POST", faults, json=fault, retries=False).status == 201
    with write_lock_held(state_file), served(own_deployment) as url:
        began_at = time.monotonic()
        during = post(url, "/v1/playback-urls:batch", own_deployment.key, body)
        assert time.monotonic() - began_at < LONGEST_SECONDS
    assert [playlist(result) for result in during.json()["results"]] == [
        playlist(result) for result in before.json()["results"]
    ]


def playlist(result: dict[str, str]) -> str:
    """The URL in the result, without its token."""
    return result["playback_url"].partition("?")[0]
