"""`tokensvc.web.wsgi:app()` under WSGI servers that `tokensvc serve` does not configure."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import urllib3
from local_ivs.testing import LocalIvsServer

from tests.e2e.conftest import Site
from tests.e2e.processes import TIMEOUT_SECONDS, RunningCommand, running
from tests.e2e.test_serve import NO_DELAY, request_url

FACTORY = "tokensvc.web.wsgi:app"


def waitress(port: int) -> tuple[str, ...]:
    """One process with threads."""
    return ("waitress", f"--listen=127.0.0.1:{port}", "--call", FACTORY)


def granian(port: int) -> tuple[str, ...]:
    """Two worker processes. Its event loop and its HTTP parser are not Python's."""
    at = ("--host", "127.0.0.1", "--port", str(port), "--workers", "2")
    return ("granian", "--interface", "wsgi", "--factory", *at, FACTORY)


def gunicorn_preloading(port: int) -> tuple[str, ...]:
    """Two worker processes, forked after `app()` was called."""
    return ("gunicorn", "--preload", f"--bind=127.0.0.1:{port}", "--workers=2", f"{FACTORY}()")


@pytest.mark.parametrize("arguments_of", [waitress, granian, gunicorn_preloading])
def test_any_wsgi_server_serves_the_application(
    arguments_of: Callable[[int], tuple[str, ...]],
    ivs: LocalIvsServer,
    site: Site,
    tmp_path: Path,
) -> None:
    """It is ready, and the edge plays its URLs. Its workers apply a rotation."""
    site.configure(NO_DELAY)
    site.command("keys", "reconcile")
    key = site.command("api-keys", "create", "site", "--grant", "web")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    ivs.go_live(channel)
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    with running(
        tmp_path / "out.txt",
        *arguments_of(port),
        environment=site.environment(),
        program=(sys.executable, "-m"),
        folder=tmp_path,
    ) as server:
        ready = urllib3.request("GET", f"{url}/readyz", retries=_until_it_listens())
        assert (ready.status, server.process.poll()) == (200, None)
        status, answer = request_url(url, key, channel)
        assert status == 200
        assert urllib3.request("GET", str(answer["playback_url"])).status == 200

        site.command("keys", "rotate")
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        while (rotated := request_url(url, key, channel)[1])["key_id"] == answer["key_id"]:
            assert time.monotonic() < give_up_at
        assert urllib3.request("GET", str(rotated["playback_url"])).status == 200
        server.process.send_signal(signal.SIGTERM)
        server.wait()
        assert "Traceback" not in server.printed


def test_a_server_that_forks_starts_the_service_only_in_its_workers(
    ivs: LocalIvsServer, site: Site, tmp_path: Path
) -> None:
    """The process that called `app()` has no thread that a fork would lose."""
    (tmp_path / "gunicorn.conf.py").write_text("control_socket_disable = True\n")
    site.configure(NO_DELAY)
    site.command("keys", "reconcile")
    key = site.command("api-keys", "create", "site", "--grant", "web")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    with running(
        tmp_path / "out.txt",
        *gunicorn_preloading(port),
        environment=site.environment(),
        program=(sys.executable, "-m"),
        folder=tmp_path,
    ) as server:
        urllib3.request("GET", f"{url}/readyz", retries=_until_it_listens())
        workers = _children(server)
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        # A worker that has started the service watches the API keys and the ring in threads.
        while min(map(_threads, workers)) == 1:
            assert request_url(url, key, channel)[0] == 200
            assert time.monotonic() < give_up_at

        assert len(workers) == 2
        assert _threads(server.process.pid) == 1


def _until_it_listens() -> urllib3.Retry:
    return urllib3.Retry(100, status_forcelist=[503], backoff_factor=0.1, backoff_max=0.5)


def _children(server: RunningCommand) -> set[int]:
    pid = server.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def _threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208 # Only their number.


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
