"""The memory of `tokensvc serve`: its workers share what the main process has loaded."""

from __future__ import annotations

import time
from pathlib import Path

from local_ivs.testing import LocalIvsServer

from tests.e2e.conftest import Site
from tests.e2e.processes import TIMEOUT_SECONDS, coverage_environment, running
from tests.e2e.test_serve import address, request_url
from tests.support.process_memory import children_of, has_loaded, thread_count, unique_mebibytes

WORKERS = 3
# benchmarks/start_and_memory.py measures 24 to 25 MiB, which differ with the release of Python.
MOST_MEBIBYTES = 30.0


def test_each_worker_has_little_memory_of_its_own(
    ivs: LocalIvsServer, site: Site, tmp_path: Path
) -> None:
    """Only workers have loaded awscrt, and the main process has no second thread."""
    site.configure(f"[rotation]\npublish_delay_seconds = 0\n[service]\nworkers = {WORKERS}\n")
    site.command("keys", "reconcile")
    key = site.command("api-keys", "create", "site", "--grant", "web")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    # Without the coverage measurement, which needs memory of its own in each worker.
    environment: dict[str, str] = {
        **site.environment(GUNICORN_CMD_ARGS="--bind=127.0.0.1:0"),
        **dict.fromkeys(coverage_environment(), ""),
    }
    with running(tmp_path / "out.txt", "serve", environment=environment) as server:
        url = address(server)
        main = server.process.pid
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        while True:
            assert request_url(url, key, channel)[0] == 200
            workers = children_of(main)
            if len(workers) == WORKERS and all(has_loaded(pid, "_awscrt") for pid in workers):
                break
            assert time.monotonic() < give_up_at
        for _ in range(60):
            request_url(url, key, channel)

        assert not has_loaded(main, "_awscrt")
        assert thread_count(main) == 1
        assert max(map(unique_mebibytes, workers)) < MOST_MEBIBYTES
