"""Metrics of several workers: counts are added, and of gauges one value counts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokensvc.telemetry.metric_files import FOLDER_VARIABLE, add_up_ended, create_folder
from tokensvc.telemetry.metrics import registry_of

WORKER = """
import sys
from tokensvc.telemetry.metrics import PrometheusMeter, ServiceGauges
from tokensvc.web.gauges import GAUGES
meter, gauges = PrometheusMeter(["/healthz"]), ServiceGauges(GAUGES)
age, is_usable, replicas = map(float, sys.argv[1:])
gauges.set("tokensvc_view_age_seconds", age, "bans")
gauges.set("tokensvc_issuer_keys_age_seconds", age, "main")
gauges.set("tokensvc_channel_answer_age_seconds", age)
gauges.set("tokensvc_issuer_usable", is_usable, "main")
gauges.set("tokensvc_signing", is_usable, "us-west-2")
gauges.set("tokensvc_replicas", replicas)
meter.limited("caller")
meter.used_answers("fresh", 10)
meter.asked_hook("allow", 0.1)
print("set", flush=True)
sys.stdin.read()
"""


@contextmanager
def worker(folder: Path, *values: float) -> Iterator[None]:
    """A process that has set its gauges: an age, whether it is usable, and the replicas."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, *map(str, values)],
        env={**os.environ, FOLDER_VARIABLE: str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "set\n"
        yield


def values(folder: Path) -> dict[str, float]:
    """What a scrape finds, by name."""
    return {
        sample.name: sample.value
        for metric in registry_of(folder).collect()
        for sample in metric.samples
        if not sample.name.endswith(("_bucket", "_created"))
    }


def test_the_worker_that_is_worst_off_counts_and_counts_are_added(tmp_path: Path) -> None:
    """Not the one that was asked or was last; of what all share, the newest. A dead one is out."""
    folder = create_folder(tmp_path)
    with worker(folder, 3, 1, 5):
        with worker(folder, 70, 0, 4), worker(folder, 2, 1, 6):
            both = values(folder)
        add_up_ended(folder)
        alone = values(folder)
    ages = (
        "tokensvc_view_age_seconds",
        "tokensvc_issuer_keys_age_seconds",
        "tokensvc_channel_answer_age_seconds",
    )
    assert [both[name] for name in ages] == [70, 70, 70]
    assert [both[name] for name in ("tokensvc_issuer_usable", "tokensvc_signing")] == [0, 0]
    assert both["tokensvc_replicas"] == 6
    assert [alone[name] for name in ages] == [3, 3, 3]
    assert [alone[name] for name in ("tokensvc_issuer_usable", "tokensvc_signing")] == [1, 1]
    for found in (both, alone):
        assert found["tokensvc_rate_limited_total"] == 3
        assert found["tokensvc_channel_answers_total"] == 30
        assert found["tokensvc_entitlement_hook_seconds_count"] == 3
