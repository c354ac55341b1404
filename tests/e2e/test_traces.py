"""The traces of two workers of a real server, and a server without what traces need."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import urllib3
from local_ivs.testing import LocalIvsServer

from tests.e2e.conftest import Site
from tests.e2e.load import SHORT_TIMES
from tests.e2e.processes import running
from tests.e2e.test_serve import address
from tests.support.trace_collector import received_spans
from tests.support.webhook_receiver import webhook_receiver


def test_two_workers_send_the_spans_of_every_request(
    ivs: LocalIvsServer, site: Site, tmp_path: Path
) -> None:
    """Each by itself, the last ones at SIGTERM. Access lines have the IDs of their traces."""
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    with webhook_receiver() as collector:
        collector.otherwise = 200
        endpoint = collector.url.removesuffix("/hooks/very-private-path")
        site.configure(
            f'{SHORT_TIMES}[service]\nworkers = 2\nlog_format = "text"\n'
            f'[tracing]\nendpoint = "{endpoint}"\nservice_name = "playback"\n'
        )
        site.command("keys", "reconcile")
        time.sleep(1.1)  # The publish delay.
        site.command("keys", "reconcile")
        key = site.command("api-keys", "create", "site", "--grant", "web")
        environment = site.environment(
            GUNICORN_CMD_ARGS="--bind=127.0.0.1:0",
            OTEL_EXPORTER_OTLP_HEADERS="authorization=Basic%20abc",
        )
        with running(tmp_path / "serve.txt", "serve", environment=environment) as server:
            url = f"{address(server)}/v1/playback-urls"
            headers = {"Authorization": f"Bearer {key}"}
            workers: set[object] = set()
            sent = 0
            while len(workers) < 2:  # Each connection is a new one, until both have got one.
                for _ in range(10):
                    with urllib3.PoolManager() as client:
                        answer = client.request(
                            "POST", url, json={"channel": channel}, headers=headers
                        )
                    assert answer.status == 200
                sent += 10
                assert sent < 1_000
                time.sleep(0.1)
                spans = received_spans(collector.messages)
                workers = {span.resource["service.instance.id"] for span in spans}
            server.process.send_signal(signal.SIGTERM)
            assert server.wait() == 0
            logged = server.printed
        spans = received_spans(collector.messages)
        assert {(each.path, each.headers["authorization"]) for each in collector.messages} == {
            ("/v1/traces", "Basic abc")
        }
    requests = [span for span in spans if span.kind == "SERVER"]
    assert [span.name for span in requests] == sent * ["POST /v1/playback-urls"]
    assert {span.resource["service.name"] for span in spans} == {"playback"}
    lines = re.findall(r" request_id=(\w+) trace_id=(\w+)\n", logged)  # The audit has no trace ID.
    assert set(lines) == {
        (span.attributes["tokensvc.request_id"], span.trace_id) for span in requests
    }
    assert re.search(r"Z info    gunicorn.error: Listening at: ", logged)
    assert "\x1b" not in logged  # It is no terminal.


def test_a_server_without_the_extra_does_not_start(site: Site, tmp_path: Path) -> None:
    """It says what to install."""
    site.configure('[tracing]\nendpoint = "http://127.0.0.1:4318"\n')
    (tmp_path / "sitecustomize.py").write_text(
        'import sys\nsys.modules["opentelemetry.sdk"] = None\n'
    )
    environment = site.environment(PYTHONPATH=str(tmp_path))
    with running(tmp_path / "serve.txt", "serve", environment=environment) as server:
        assert server.wait() == 1
        assert "pip install 'tokensvc[service,otel]'" in server.printed
        assert "Traceback" not in server.printed
