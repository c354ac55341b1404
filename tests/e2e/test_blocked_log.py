"""The service goes on while the program that reads its log stands still."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import urllib3

from tests.e2e.conftest import Site
from tests.e2e.processes import ROOT, TIMEOUT_SECONDS, TOKENSVC, coverage_environment

# Each request logs more than 250 bytes, and a pipe takes 65,536.
REQUESTS = 500


def test_a_log_that_is_not_read_stops_no_request(site: Site, tmp_path: Path) -> None:
    """Neither requests nor the probe, and the lines are all there when it is read again."""
    site.configure("[service]\nworkers = 1\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        **coverage_environment(),
        **site.environment(GUNICORN_CMD_ARGS="--bind=127.0.0.1:0"),
    }
    with subprocess.Popen(
        [*TOKENSVC, "serve"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as server:
        try:
            assert server.stderr is not None
            found = None
            for line in server.stderr:
                if found := re.search(rb"Listening at: (http://[0-9.:]+)", line):
                    break
            assert found is not None
            url = found[1].decode()
            with urllib3.PoolManager(timeout=TIMEOUT_SECONDS) as client:
                for number in range(REQUESTS):
                    path = f"{url}/unknown/{number}/{'x' * 60}"
                    assert client.request("GET", path).status == 404
                assert client.request("GET", f"{url}/healthz").status == 200
        finally:
            server.terminate()
        log = server.stderr.read()
        assert server.wait(TIMEOUT_SECONDS) == 0
    assert log.count(b'"logger":"tokensvc.access"') == REQUESTS
