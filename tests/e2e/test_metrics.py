"""The metrics of two workers, through a killed one, read by a real Prometheus."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from tests.support.issuer_server import issuer_server
from tests.support.oidc_tokens import signing_key
from tests.support.webhook_receiver import SECRET, webhook_receiver

PATIENCE_SECONDS = 30.0
SECTIONS = """
[metrics]
port = {port}
[service]
workers = 2
[limits]
viewer_per_minute = 1
[entitlement]
url = "{hook}"
secret_file = "hook-secret"
[issuers.main]
issuer = "{issuer}"
audience = ["tokensvc"]
grants = ["web"]
[grants.asked]
channels = ["arn:aws:ivs:us-west-2:123456789012:channel/*"]
entitlement = true
"""


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


@dataclass(frozen=True)
class Served:
    """A service with two workers, and two API keys: one with a grant that asks the hook.

    Attributes:
        server: the service.
        url: its URL.
        channel: a private channel.
        key: an API key.
        asking_key: an API key whose requests ask the hook.
    """

    server: RunningCommand
    url: str
    channel: str
    key: str
    asking_key: str

    def post(self, *, channel: str = "", key: str = "", viewer_id: str | None = None) -> int:
        """The status of a request for a URL."""
        return urllib3.request(
            "POST",
            f"{self.url}/v1/playback-urls",
            json={"channel": channel or self.channel, "viewer_id": viewer_id},
            headers={"Authorization": f"Bearer {key or self.key}"},
        ).status


@pytest.fixture
def served(
    ivs: LocalIvsServer, site: Site, metrics_port: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    """The service, with an issuer, a hook and a limit of viewers."""
    secret = {"TOKENSVC_VIEWER_IDS__SECRET": bytes(range(32)).hex()}
    monkeypatch.setenv(*next(iter(secret.items())))
    with webhook_receiver() as hook, issuer_server(signing_key("ES256", "key-1")) as issuer:
        hook.otherwise = b'{"decision": "allow"}'
        site.configure(
            SHORT_TIMES + SECTIONS.format(port=metrics_port, hook=hook.url, issuer=issuer.url)
        )
        (site.folder / "hook-secret").write_text(SECRET)
        channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
        site.command("viewers", "record-secrets")
        site.command("keys", "reconcile")
        time.sleep(1.1)  # The publish delay.
        site.command("keys", "reconcile")
        key = site.command("api-keys", "create", "site", "--grant", "web")
        asking_key = site.command("api-keys", "create", "club", "--grant", "asked")
        environment = site.environment(GUNICORN_CMD_ARGS="--bind=127.0.0.1:0", **secret)
        with running(site.folder / "serve.txt", "serve", environment=environment) as server:
            found = re.search(r"Listening at: (http://[0-9.:]+)", server.wait_for("Listening at"))
            assert found is not None
            made = Served(server, found[1], channel, key, asking_key)
            until(lambda: made.post() == 200)
            yield made


def test_what_a_killed_worker_counted_stays(
    served: Served, metrics_port: int, tmp_path: Path
) -> None:
    """Each worker answers for both, and a real Prometheus has an answer for each panel."""
    server, post = served.server, served.post
    before = values(metrics_port)[("tokensvc_playback_decisions_total", "granted")]
    assert [post() for _ in range(20)] == 20 * [200]
    assert post(channel="unknown") == 403
    assert post(key=served.asking_key) == 200
    statuses = Counter(post(viewer_id="viewer-1") for _ in range(30))
    assert statuses.keys() == {200, 429}
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
        assert counted[("tokensvc_playback_decisions_total", "granted")] == (
            before + 21 + statuses[200]
        )
        assert counted[("tokensvc_rate_limited_total", "viewer")] == statuses[429]
        assert counted[("tokensvc_entitlement_hook_seconds_count", "allow")] == 1
        assert counted[("tokensvc_issuer_usable", "main")] == 1
        assert counted[("tokensvc_playback_decisions_total", "not_entitled")] == 1
        assert counted[("tokensvc_signature_seconds_count", "")] >= before + 20
        assert counted[("tokensvc_signing", "us-west-2")] == 1
        until(lambda: post() == 200)
        until(lambda: bool(query("tokensvc_signing")))
        for expression in queries():
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
