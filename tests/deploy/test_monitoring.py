"""The alerts and the dashboard: checked with promtool, and with what the service measures."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml

from tokensvc.telemetry.metrics import PrometheusMeter
from tokensvc.web.gauges import GAUGES
from tokensvc.web.metrics import ROUTES

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy/prometheus/alerts.yaml"
ALERT_TESTS = Path(__file__).parent / "alerts_test.yaml"
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


def test_the_alerts_fire_when_they_should() -> None:
    """By Prometheus's own tool."""
    promtool("test", "rules", str(ALERT_TESTS))


def test_each_alert_is_tested_before_it_fires_and_while_it_fires() -> None:
    """A new alert needs a case of both."""
    cases = [
        (case["alertname"], bool(case["exp_alerts"]))
        for test in yaml.safe_load(ALERT_TESTS.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    named = {str(alert["alert"]) for alert in alerts()}
    assert set(cases) == {(name, fires) for name in named for fires in (True, False)}


def test_the_runbook_has_a_paragraph_for_each_alert() -> None:
    """And the alert links it."""
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    named = [str(alert["alert"]) for alert in alerts()]
    assert headings == named
    for alert in alerts():
        annotations = alert["annotations"]
        assert isinstance(annotations, dict)
        assert annotations["runbook"] == f"docs/runbook.md#{str(alert['alert']).lower()}"


def test_each_metric_is_documented_with_its_type_and_its_labels() -> None:
    """The table has what the service measures, and nothing else."""
    rows = re.findall(r"^\| `(tokensvc_\w+)` \| (\w+) \| ([^|]*)\|", _page(), re.MULTILINE)
    documented = {name: (kind, re.findall(r"`(\w+)`", labels)) for name, kind, labels in rows}
    assert documented == measured()


def test_each_metric_is_in_an_alert_or_on_the_dashboard() -> None:
    """And these use no other."""
    used = {
        re.sub(r"_(bucket|count|sum)$", "", name)
        for text in (ALERTS.read_text(), *queries())
        for name in METRIC.findall(text)
    }
    assert used == set(measured())


def measured() -> dict[str, tuple[str, list[str]]]:
    """The name of each metric, with its type and its labels, as the service registers it."""
    meter = PrometheusMeter(ROUTES)
    meter.decided("")
    meter.signed(0.1)
    meter.answered("/healthz", 200, 0.1)
    meter.called_aws("ivs", "GetChannel", 200, 0.1)
    meter.asked_hook("allow", 0.1)
    meter.limited("caller")
    meter.used_answers("fresh", 1)
    found = {name: ("gauge", list(terms.labels)) for name, terms in GAUGES.items()}
    for metric in meter.registry.collect():
        suffix = "_total" if metric.type == "counter" else ""
        labels = [name for name in metric.samples[0].labels if name != "le"]
        found[f"{metric.name}{suffix}"] = (metric.type, labels)
    return found


def _page() -> str:
    return (ROOT / "docs/metrics.md").read_text()
