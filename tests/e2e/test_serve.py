"""`tokensvc serve`: the service under its gunicorn, as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import urllib3

from tests.e2e.conftest import Site
from tests.e2e.processes import LONGEST_SECONDS, Running, running
from tests.support.local_ivs import LocalIvsServer

NO_DELAY = (
    "[rotation]\npublish_delay_seconds = 0\nstate_refresh_seconds = 1\n[service]\nworkers = 1\n"
)


def address(server: Running) -> str:
    """Where it listens: port 0 of the settings' gunicorn is any free one."""
    found = re.search(r"Listening at: (http://[0-9.:]+)", server.wait_for("Listening at"))
    assert found is not None
    return found[1]


def ask(url: str, key: str, channel: str) -> tuple[int, dict[str, object]]:
    """The status and the document that a request for a URL is answered with."""
    answer = urllib3.request(
        "POST",
        f"{url}/v1/playback-urls",
        json={"channel": channel},
        headers={"Authorization": f"Bearer {key}"},
        # A worker that is being replaced, or an IVS that a busy machine made slow, asks for it.
        retries=urllib3.Retry(
            20,
            status_forcelist=[503],
            allowed_methods=["POST"],
            backoff_factor=0.1,
            backoff_max=1.0,
        ),
    )
    return answer.status, json.loads(answer.data)


def test_it_serves_follows_a_rotation_and_reads_settings_again(
    ivs: LocalIvsServer, site: Site, tmp_path: Path
) -> None:
    """A rotation reaches the workers by itself within seconds, new settings with SIGHUP."""
    site.configure(NO_DELAY)
    site.command("keys", "reconcile")
    key = site.command("api-keys", "create", "site", "--grant", "web")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    output = tmp_path / "out.txt"
    with running(
        output, "serve", environment=site.environment(GUNICORN_CMD_ARGS="--bind=127.0.0.1:0")
    ) as server:
        url = address(server)
        status, first = ask(url, key, channel)
        assert (status, first["ttl_seconds"]) == (200, 300)

        site.command("keys", "rotate")
        rotated = _until_changed(lambda: ask(url, key, channel)[1]["key_id"], first["key_id"])
        active = json.loads(site.command("keys", "list", "--json"))
        assert [row["key_id"] for row in active if row["state"] == "active"] == [rotated]

        config = tmp_path / "tokensvc.toml"
        config.write_text(config.read_text() + "[playback]\nttl_seconds = 120\n")
        server.process.send_signal(signal.SIGHUP)
        assert _until_changed(lambda: ask(url, key, channel)[1]["ttl_seconds"], 300) == 120

        server.process.send_signal(signal.SIGTERM)
        assert server.ends() == 0
        lines = [json.loads(line) for line in server.said.splitlines() if line.startswith("{")]
        granted = [line for line in lines if line.get("decision") == "granted"]
        assert {line["key_id"] for line in granted} == {first["key_id"], rotated}
        assert any(line.get("logger") == "gunicorn.access" for line in lines)
        assert str(first["token"]) not in server.said
        assert key not in server.said
        assert "Traceback" not in server.said


def test_wrong_settings_are_told_before_anything_starts(site: Site, tmp_path: Path) -> None:
    """In plain words, and once."""
    (tmp_path / "tokensvc.toml").write_text("[ivs]\nregions = []\n")
    output = tmp_path / "out.txt"
    with running(output, "serve", environment=site.environment()) as server:
        assert server.ends() == 1
        assert server.said.count("ivs.account_id") == 1
        assert "Traceback" not in server.said
        assert "gunicorn" not in server.said


def test_wrong_settings_at_sighup_change_nothing(
    ivs: LocalIvsServer, site: Site, tmp_path: Path
) -> None:
    """Nor does a worker that is lost meanwhile; once they are mended, SIGHUP reads them."""
    site.configure(NO_DELAY)
    site.command("keys", "reconcile")
    key = site.command("api-keys", "create", "site", "--grant", "web")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    config = tmp_path / "tokensvc.toml"
    good = config.read_text()
    environment = site.environment(GUNICORN_CMD_ARGS="--bind=127.0.0.1:0")
    with running(tmp_path / "out.txt", "serve", environment=environment) as server:
        url = address(server)
        assert ask(url, key, channel)[1]["ttl_seconds"] == 300

        for wrong, told in {
            good + "[playback]\nttl_seconds = 9999\n": "playback.ttl_seconds",
            good.replace('"secret"', '"nowhere"'): "nowhere can't be read",
            "[ivs": "is not TOML",
        }.items():
            config.write_text(wrong)
            server.process.send_signal(signal.SIGHUP)
            assert "all goes on as before" in server.wait_for(told)
        os.kill(_worker_of(server), signal.SIGKILL)
        server.wait_for("was sent SIGKILL")
        status, answer = ask(url, key, channel)
        assert (status, answer["ttl_seconds"]) == (200, 300)

        config.write_text(good + "[playback]\nttl_seconds = 120\n")
        server.process.send_signal(signal.SIGHUP)
        assert _until_changed(lambda: ask(url, key, channel)[1]["ttl_seconds"], 300) == 120
        server.process.send_signal(signal.SIGTERM)
        assert server.ends() == 0
        assert "Traceback" not in server.said


def test_a_damaged_state_ends_it_with_one_sentence(site: Site, tmp_path: Path) -> None:
    """Not a worker that dies for ever, and no traceback."""
    site.configure(NO_DELAY)
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "keys/state.sqlite3").write_bytes(b"garbage" * 1_000)
    output = tmp_path / "out.txt"
    bind = {"GUNICORN_CMD_ARGS": "--bind=127.0.0.1:0"}
    with running(output, "serve", environment=site.environment(**bind)) as server:
        assert server.ends() == 3
        assert "The service can't start: " in server.said
        assert str(tmp_path / "keys/state.sqlite3") in server.said
        assert "Traceback" not in server.said


def test_local_ivs_runs_alone(tmp_path: Path) -> None:
    """Any AWS SDK finds it by the variable that it prints."""
    output = tmp_path / "out.txt"
    arguments = ("local-ivs", "--data", str(tmp_path / "data"), "--port", str(_free_port()))
    with running(output, *arguments, environment={}) as server:
        url = address(server)
        assert f"AWS_ENDPOINT_URL_IVS={url}" in server.said
        health = urllib3.request("GET", f"{url}/healthz", retries=urllib3.Retry(connect=20))
        assert health.status == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.ends() == 0


def _worker_of(server: Running) -> int:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    (worker,) = children.read_text().split()
    return int(worker)


def _until_changed(look: Callable[[], object], before: object) -> object:
    give_up_at = time.monotonic() + LONGEST_SECONDS
    while (seen := look()) == before:
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
    return seen


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
