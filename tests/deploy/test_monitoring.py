"""The alerts and the dashboard: checked with promtool, and with what the service measures."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy/prometheus/alerts.yaml"
DASHBOARD = ROOT / "deploy/grafana/dashboard.json"
METRIC = re.compile(r"tokensvc_[a-z_]+")


def promtool(*arguments: str) -> None:
    """Run promtool, of Debian's package prometheus."""
    program = shutil.which("promtool")
    assert program is not None, "promtool is missing: apt install prometheus"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def alerts() -> Iterator[dict[str, object]]:
    """The alerts."""
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        yield from group["rules"]


def queries() -> Iterator[str]:
    """The queries of the dashboard."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def test_the_alerts_are_valid() -> None:
    """By Prometheus's own tool."""
    promtool("check", "rules", str(ALERTS))


def test_the_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """A region that can't sign, a standby that is missing, and 3 % of requests that fail."""
    requests = "tokensvc_http_request_seconds_count"
    test = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {
                        "series": 'tokensvc_signing{instance="a",region="us-west-2"}',
                        "values": "1x5 0x5",
                    },
                    {
                        "series": f'{requests}{{instance="a",route="/v1/keys",status="200"}}',
                        "values": "0+97x20",
                    },
                    {
                        "series": f'{requests}{{instance="a",route="/v1/keys",status="500"}}',
                        "values": "0+3x20",
                    },
                ],
                "alert_rule_test": [
                    {"eval_time": "5m", "alertname": "TokensvcRegionNotSigning", "exp_alerts": []},
                    {
                        "eval_time": "8m",
                        "alertname": "TokensvcRegionNotSigning",
                        "exp_alerts": [
                            {
                                "exp_labels": {
                                    "instance": "a",
                                    "region": "us-west-2",
                                    "severity": "page",
                                },
                                "exp_annotations": {
                                    "summary": "a can't sign in us-west-2.",
                                    "runbook": "docs/runbook.md#tokensvcregionnotsigning",
                                },
                            }
                        ],
                    },
                    {
                        "eval_time": "15m",
                        "alertname": "TokensvcRequestsFailing",
                        "exp_alerts": [
                            {
                                "exp_labels": {"instance": "a", "severity": "page"},
                                "exp_annotations": {
                                    "summary": "a answers 3% of requests with 5xx.",
                                    "runbook": "docs/runbook.md#tokensvcrequestsfailing",
                                },
                            }
                        ],
                    },
                ],
            }
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(test))
    promtool("test", "rules", str(file))


def test_the_runbook_has_a_paragraph_for_each_alert() -> None:
    """And the alert links it."""
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    named = [str(alert["alert"]) for alert in alerts()]
    assert headings == named
    for alert in alerts():
        annotations = alert["annotations"]
        assert isinstance(annotations, dict)
        assert annotations["runbook"] == f"docs/runbook.md#{str(alert['alert']).lower()}"


def test_each_metric_is_documented_and_exists() -> None:
    """Those that alerts and the dashboard use, and those in the documentation, are the same."""
    documented = set(re.findall(r"^\| `(tokensvc_[a-z_]+)`", _page(), re.MULTILINE))
    used = {
        re.sub(r"_(bucket|count|sum)$", "", name)
        for text in (ALERTS.read_text(), *queries())
        for name in METRIC.findall(text)
    }
    assert used == documented


def _page() -> str:
    return (ROOT / "docs/metrics.md").read_text()
