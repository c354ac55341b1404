"""Request playback URLs through outages, and report what was answered and refused.

    python -m benchmarks.reliability [--only NAME ...] [--output FOLDER]

A real Local IVS and a real service with two workers run on loopback. Twelve playback URLs a second
are requested for one channel, and one a second for a channel that the service does not know yet.
Each token is presented at the edge when it is new, in the middle of its lifetime, and shortly
before it expires. The ages and lifetimes are short, so that every phase of an outage is seen. The
state and the log are on disks of their own, which needs the permission to mount one. The exit
status is 1 if the edge refused a token that it should play, if a URL has no audit line, or if the
service did not recover.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from benchmarks.reliability import site as sites
from benchmarks.reliability.load import NEW_CHANNELS_PER_SECOND, Load
from benchmarks.reliability.observations import GRANTED, Row, Window, row
from benchmarks.reliability.report import failures, table
from benchmarks.reliability.scenarios import SCENARIOS, Scenario, end_worker
from benchmarks.reliability.site import TTL_SECONDS, Site, running_site
from benchmarks.serving import machine
from benchmarks.serving.deployment import require_audit
from benchmarks.serving.failure import BenchmarkFailed
from tests.support.full_disk import DiskNotMounted
from tokensvc.errors import TokensvcError

_NORMAL_SECONDS: Final = 3.0
"""All requests of so many seconds are granted: the service has recovered."""

_MOST_RECOVERY_SECONDS: Final = 60.0
_WARM_UP_SECONDS: Final = 4.0
_WORKER_ENDS_AFTER_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.1
_SPARE_CHANNELS: Final = 60


def main() -> int:
    """Run the scenarios; the exit status."""
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--output", type=Path, help="folder for reliability.json")
    options = parser.parse_args()
    scenarios = [each for each in SCENARIOS if each.name in options.only]
    description = machine.describe()
    print(json.dumps(description), flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="tokensvc-bench-") as folder:
            rows, late_plays = _run(Path(folder), scenarios)
    except (BenchmarkFailed, DiskNotMounted, TokensvcError) as exc:
        print(exc, file=sys.stderr)
        return 1
    load_average = round(os.getloadavg()[0], 2)
    print(f"\n{table(rows)}\n\nload {load_average}; {late_plays} plays too late to count")
    if options.output:
        document = {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": description,
            "load_average_after": load_average,
            "late_plays": late_plays,
            "rows": {name: asdict(each) for name, each in rows.items()},
        }
        path = options.output / "reliability.json"
        path.write_text(json.dumps(document, indent=1) + "\n")
    broken = failures(rows)
    print("\n".join(broken))
    return 1 if broken else 0


def _run(folder: Path, scenarios: list[Scenario]) -> tuple[dict[str, Row], int]:
    with running_site(folder) as site:
        load = _load(site, scenarios)
        rows = {}
        with load.running():
            time.sleep(_WARM_UP_SECONDS)
            for scenario in scenarios:
                window = _carry_out(scenario, site, load)
                rows[scenario.name] = row(scenario.title, load.seen, window)
                print(f"{scenario.name}: {json.dumps(asdict(rows[scenario.name]))}", flush=True)
        granted = sum(answer.code == GRANTED for answer in load.seen.answers)
        require_audit(site.service, granted)
        return rows, load.seen.late_plays


def _load(site: Site, scenarios: list[Scenario]) -> Load:
    seconds = sum(each.fault_seconds + TTL_SECONDS + 5.0 for each in scenarios)
    count = int(NEW_CHANNELS_PER_SECOND * seconds) + _SPARE_CHANNELS * len(scenarios)
    channel, *others = sites.create_channels(site, count)
    service, edge = (urlsplit(each.url).netloc for each in (site.service, site.local_ivs))
    return Load(service, edge, sites.create_api_key(site), channel, iter(others))


def _carry_out(scenario: Scenario, site: Site, load: Load) -> Window:
    """Inject the fault, remove it, and wait until all is normal and every token has expired."""
    began_at = time.monotonic()
    with scenario.inject(site, load):
        if scenario.ends_worker:
            time.sleep(_WORKER_ENDS_AFTER_SECONDS)
            end_worker(site)
        time.sleep(max(0.0, began_at + scenario.fault_seconds - time.monotonic()))
        removed_at = time.monotonic()
    give_up_at = removed_at + _MOST_RECOVERY_SECONDS
    time.sleep(TTL_SECONDS + 1.0)
    while time.monotonic() < give_up_at:
        if load.seen.is_normal_since(time.monotonic() - _NORMAL_SECONDS):
            break
        time.sleep(_POLL_SECONDS)
    return Window(began_at, removed_at, time.monotonic())


if __name__ == "__main__":
    sys.exit(main())
