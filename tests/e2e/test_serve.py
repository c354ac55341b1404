"""`tokensvc serve` as a real process under gunicorn."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import urllib3
from local_ivs.testing import LocalIvsServer

from tests.e2e.conftest import Site
from tests.e2e.processes import TIMEOUT_SECONDS, RunningCommand, running

NO_DELAY = (
    "[rotation]\npublish_delay_seconds = 0\nstate_refresh_seconds = 1\n[service]\nworkers = 1\n"
)


PAGE = "https://www.example.com"
FOR_PAGES = f'[limits]\ncaller_per_second = 1000\n[cors]\nallowed_origins = ["{PAGE}"]\n'


def assert_a_page_is_answered(url: str, key: str, channel: str) -> None:
    """With CORS: a preflight, a request, and what the server itself refuses."""
    path, origin = f"{url}/v1/playback-urls", {"Origin": PAGE}
    key_header = {"Authorization": f"Bearer {key}"}
    preflight = {**origin, "Access-Control-Request-Method": "POST"}
    answers = [
        urllib3.request("OPTIONS", path, headers=preflight, retries=False),
        urllib3.request("POST", path, json={"channel": channel}, headers=key_header | origin),
        urllib3.request("POST", path, headers={"Authorization": 9_000 * "x", **origin}),
    ]
    assert [answer.status for answer in answers] == [204, 200, 431]
    allowed = {answer.headers.get("Access-Control-Allow-Origin") for answer in answers}
    assert allowed == {PAGE}
    assert answers[1].headers["RateLimit-Policy"] == '"caller";q=1000;w=1'


def address(server: RunningCommand) -> str:
    """The address on which the server listens. With port 0 gunicorn chooses a free port."""
    found = re.search(r"Listening at: (http://[0-9.:]+)", server.wait_for("Listening at"))
    assert found is not None
    return found[1]


def request_url(url: str, key: str, channel: str) -> tuple[int, dict[str, object]]:
    """The status and the body of the response to a request for a playback URL."""
    response = urllib3.request(
        "POST",
        f"{url}/v1/playback-urls",
        json={"channel": channel},
        headers={"Authorization": f"Bearer {key}"},
        # The service returns 503 while a worker is replaced, or if IVS is slow on a busy machine.
        retries=urllib3.Retry(
            20,
            status_forcelist=[503],
            allowed_methods=["POST"],
            backoff_factor=0.1,
            backoff_max=1.0,
        ),
    )
    return response.status, json.loads(response.data)


def log_messages(server: RunningCommand, logger: str, level: str) -> list[str]:
    """The messages in the server's JSON log that have this logger and level."""
    complete = re.findall(r"^\{.*\}$", server.printed, re.MULTILINE)
    return [
        line["message"]
        for line in map(json.loads, complete)
        if (line.get("logger"), line.get("level")) == (logger, level)
    ]


def test_the_service_applies_a_rotation_and_reloads_settings(
    ivs: LocalIvsServer, site: Site, tmp_path: Path
) -> None:
    """Workers apply a rotation within seconds, and new settings at SIGHUP."""
    site.configure(NO_DELAY)
    site.command("keys", "reconcile")
    key = site.command("api-keys", "create", "site", "--grant", "web")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    output = tmp_path / "out.txt"
    with running(
        output,
        "serve",
        # `service.workers` decides the number of workers, whatever a platform sets.
        environment=site.environment(
            GUNICORN_CMD_ARGS="--bind=127.0.0.1:0", WEB_CONCURRENCY="no number"
        ),
    ) as server:
        url = address(server)
        status, first = request_url(url, key, channel)
        assert (status, first["ttl_seconds"]) == (200, 300)

        site.command("keys", "rotate")
        rotated = _wait_until_changed(
            lambda: request_url(url, key, channel)[1]["key_id"], first["key_id"]
        )
        active = json.loads(site.command("keys", "list", "--json"))
        assert [row["key_id"] for row in active if row["state"] == "active"] == [rotated]

        config = tmp_path / "tokensvc.toml"
        config.write_text(config.read_text() + "[playback]\nttl_seconds = 120\n" + FOR_PAGES)
        server.process.send_signal(signal.SIGHUP)
        assert (
            _wait_until_changed(lambda: request_url(url, key, channel)[1]["ttl_seconds"], 300)
            == 120
        )
        assert_a_page_is_answered(url, key, channel)

        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        lines = [json.loads(line) for line in server.printed.splitlines()]
        granted = [line for line in lines if line.get("decision") == "granted"]
        assert {line["key_id"] for line in granted} == {first["key_id"], rotated}
        assert any(line.get("logger") == "tokensvc.access" for line in lines)
        assert str(first["token"]) not in server.printed
        assert key not in server.printed
        assert "Traceback" not in server.printed


def test_invalid_settings_are_reported_before_anything_starts(site: Site, tmp_path: Path) -> None:
    """Each problem once, without a traceback."""
    (tmp_path / "tokensvc.toml").write_text("[ivs]\nregions = []\n")
    output = tmp_path / "out.txt"
    with running(output, "serve", environment=site.environment()) as server:
        assert server.wait() == 1
        assert server.printed.count("ivs.account_id") == 1
        assert "Traceback" not in server.printed
        assert "gunicorn" not in server.printed


def test_invalid_settings_at_sighup_change_nothing(
    ivs: LocalIvsServer, site: Site, tmp_path: Path
) -> None:
    """A replaced worker also keeps the old settings. SIGHUP reloads them once they are valid."""
    site.configure(NO_DELAY)
    site.command("keys", "reconcile")
    key = site.command("api-keys", "create", "site", "--grant", "web")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    config = tmp_path / "tokensvc.toml"
    valid = config.read_text()
    environment = site.environment(GUNICORN_CMD_ARGS="--bind=127.0.0.1:0")
    with running(tmp_path / "out.txt", "serve", environment=environment) as server:
        url = address(server)
        assert request_url(url, key, channel)[1]["ttl_seconds"] == 300

        for count, (invalid, reported) in enumerate(
            (
                (valid + "[playback]\nttl_seconds = 9999\n", "playback.ttl_seconds"),
                (valid.replace('"secret"', '"missing-secret"'), str(tmp_path / "missing-secret")),
                ("[ivs", str(config)),
            ),
            start=1,
        ):
            config.write_text(invalid)
            server.process.send_signal(signal.SIGHUP)
            _wait_until(lambda: len(log_messages(server, "gunicorn.error", "error")), count)
            assert reported in log_messages(server, "gunicorn.error", "error")[-1]
        os.kill(_worker_of(server), signal.SIGKILL)
        server.wait_for("was sent SIGKILL")  # gunicorn's own message
        status, content = request_url(url, key, channel)
        assert (status, content["ttl_seconds"]) == (200, 300)

        config.write_text(valid + "[playback]\nttl_seconds = 120\n")
        server.process.send_signal(signal.SIGHUP)
        assert (
            _wait_until_changed(lambda: request_url(url, key, channel)[1]["ttl_seconds"], 300)
            == 120
        )
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "Traceback" not in server.printed


@pytest.mark.usefixtures("ivs")
def test_a_damaged_state_is_reported_until_it_is_replaced(site: Site, tmp_path: Path) -> None:
    """The message names the file. Workers go on, and recover without a restart."""
    site.configure(NO_DELAY)
    state = tmp_path / "keys/state.sqlite3"
    state.parent.mkdir(mode=0o700)
    state.write_bytes(b"garbage" * 1_000)
    output = tmp_path / "out.txt"
    bind = {"GUNICORN_CMD_ARGS": "--bind=127.0.0.1:0"}
    with running(output, "serve", environment=site.environment(**bind)) as server:
        readiness = f"{address(server)}/readyz"
        server.wait_for(str(state))
        assert urllib3.request("GET", readiness, retries=False).status == 503

        state.unlink()
        site.command("keys", "reconcile")
        _wait_until_changed(lambda: urllib3.request("GET", readiness, retries=False).status, 503)
        assert urllib3.request("GET", readiness, retries=False).status == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "Traceback" not in server.printed


def _worker_of(server: RunningCommand) -> int:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    (worker,) = children.read_text().split()
    return int(worker)


def _wait_until_changed(read: Callable[[], object], before: object) -> object:
    give_up_at = time.monotonic() + TIMEOUT_SECONDS
    while (value := read()) == before:
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
    return value


def _wait_until(read: Callable[[], object], expected: object) -> None:
    give_up_at = time.monotonic() + TIMEOUT_SECONDS
    while read() != expected:
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
