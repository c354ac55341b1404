"""The metrics of two workers, through a killed one, read by a real Prometheus."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3
from local_ivs.testing import LocalIvsServer
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.test_monitoring import queries
from tests.e2e.conftest import Site
from tests.e2e.load import SHORT_TIMES
from tests.e2e.processes import RunningCommand, running

PATIENCE_SECONDS = 30.0


def free_port() -> int:
    """A port that nothing uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def until(is_so: Callable[[], bool]) -> None:
    """Wait until it is so."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


def values(port: int) -> dict[tuple[str, str], float]:
    """What a scrape returns: by name, and by the value of the first label."""
    text = urllib3.request("GET", f"http://127.0.0.1:{port}/metrics").data.decode()
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@contextmanager
def prometheus(folder: Path, scraped_port: int) -> Iterator[Callable[[str], list[Any]]]:
    """A Prometheus that scrapes that port each second; what it answers to a query."""
    program = shutil.which("prometheus")
    assert program is not None, "Prometheus is missing: apt install prometheus"
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\nscrape_configs: [{job_name: tokensvc, static_configs:"
        f" [{{targets: ['127.0.0.1:{scraped_port}']}}]}}]\n"
    )
    process = subprocess.Popen(
        [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    def query(expression: str) -> list[Any]:
        answer = urllib3.request("GET", f"{url}/api/v1/query", fields={"query": expression}).json()
        assert answer["status"] == "success", answer
        found = answer["data"]["result"]
        assert isinstance(found, list)
        return found

    def is_ready() -> bool:
        assert process.poll() is None
        try:
            answer = urllib3.request("GET", f"{url}/-/ready", retries=False, timeout=2.0)
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status == 200

    try:
        until(is_ready)
        yield query
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def metrics_port() -> int:
    """The port of the metrics."""
    return free_port()


@pytest.fixture
def served(
    ivs: LocalIvsServer, site: Site, metrics_port: int
) -> Iterator[tuple[RunningCommand, Callable[[str], int]]]:
    """A service with two workers, and what requests a URL for a channel: the status."""
    site.configure(f"{SHORT_TIMES}[metrics]\nport = {metrics_port}\n[service]\nworkers = 2\n")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    site.command("keys", "reconcile")
    time.sleep(1.1)  # The publish delay.
    site.command("keys", "reconcile")
    key = site.command("api-keys", "create", "site", "--grant", "web")
    environment = site.environment(GUNICORN_CMD_ARGS="--bind=127.0.0.1:0")
    with running(site.folder / "serve.txt", "serve", environment=environment) as server:
        found = re.search(r"Listening at: (http://[0-9.:]+)", server.wait_for("Listening at"))
        assert found is not None

        def post(name: str) -> int:
            return urllib3.request(
                "POST",
                f"{found[1]}/v1/playback-urls",
                json={"channel": name or channel},
                headers={"Authorization": f"Bearer {key}"},
            ).status

        until(lambda: post("") == 200)
        yield server, post


def test_what_a_killed_worker_counted_stays(
    served: tuple[RunningCommand, Callable[[str], int]], metrics_port: int, tmp_path: Path
) -> None:
    """Each worker answers for both, and a real Prometheus has an answer for each panel."""
    server, post = served
    before = values(metrics_port)[("tokensvc_playback_decisions_total", "granted")]
    assert [post("") for _ in range(20)] == 20 * [200]
    assert post("unknown") == 403
    with prometheus(tmp_path, metrics_port) as query:
        workers = [
            int(each)
            for each in Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
            .read_text()
            .split()
        ]
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        until(lambda: "tokensvc_signing" in {name for name, _ in _scrape_or_none(metrics_port)})
        counted = values(metrics_port)
        assert counted[("tokensvc_playback_decisions_total", "granted")] == before + 20
        assert counted[("tokensvc_playback_decisions_total", "not_entitled")] == 1
        assert counted[("tokensvc_signature_seconds_count", "")] >= before + 20
        assert counted[("tokensvc_signing", "us-west-2")] == 1
        until(lambda: post("") == 200)
        until(lambda: bool(query("tokensvc_signing")))
        # This service has no issuer.
        for expression in (each for each in queries() if "issuer" not in each):
            until(lambda expression=expression: bool(query(expression)))  # type: ignore[misc]
    folders = set(Path("/dev/shm").glob(f"tokensvc-metrics-{server.process.pid}-*"))  # noqa: S108
    assert len(folders) == 1
    server.process.terminate()
    assert server.wait() == 0
    assert not any(folder.exists() for folder in folders)


def _scrape_or_none(port: int) -> dict[tuple[str, str], float]:
    """What a scrape returns; nothing while no worker listens."""
    try:
        return values(port)
    except urllib3.exceptions.HTTPError:
        return {}
