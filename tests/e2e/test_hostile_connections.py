"""The short form of benchmarks/hostile_connections.py: more hostile clients than connections."""

from __future__ import annotations

import json
from pathlib import Path

from local_ivs.testing import LocalIvsServer

from benchmarks.hostile_connections import KINDS, Attack, Report, good_request
from tests.e2e.conftest import Site
from tests.e2e.processes import running
from tests.e2e.test_serve import address, request_url
from tests.support import event_loop
from tests.support.process_memory import children_of, descriptor_count
from tokensvc.web.accepting import MAX_ACCEPTED

EACH = 30
CONNECTIONS = 60  # for each of two workers; 180 hostile clients want one
MAX_SECONDS = 30.0


def is_enough(report: Report) -> bool:
    """Every hostile client has had a connection, and every second one lost it and made another."""
    return len(report.latencies) >= 100 and report.connected >= len(KINDS) * EACH * 3 / 2


def test_hostile_clients_keep_no_other_client_out(
    ivs: LocalIvsServer, site: Site, tmp_path: Path
) -> None:
    """Every good request is answered, no worker is killed, and descriptors are bounded."""
    site.configure("[rotation]\npublish_delay_seconds = 0\n[service]\nworkers = 2\n")
    site.command("keys", "reconcile")
    key = site.command("api-keys", "create", "site", "--grant", "web")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    options = f"--bind=127.0.0.1:0 --worker-connections={CONNECTIONS}"
    with running(
        tmp_path / "out.txt", "serve", environment=site.environment(GUNICORN_CMD_ARGS=options)
    ) as server:
        url = address(server)
        for _ in range(20):  # Both workers learn about the channel.
            assert request_url(url, key, channel)[0] == 200
        workers = children_of(server.process.pid)
        request = good_request(key, json.dumps({"channel": channel}))
        attack = Attack(int(url.rpartition(":")[2]), server.process.pid, request)
        before = max(map(descriptor_count, workers))
        report = event_loop.run(attack.run(EACH, MAX_SECONDS, is_enough))

        assert report.failures == []
        assert is_enough(report)
        assert len(report.latencies) > report.overloaded
        # A connection needs a descriptor before another one is closed for it.
        assert report.most_descriptors <= before + CONNECTIONS + MAX_ACCEPTED
        assert children_of(server.process.pid) == workers
