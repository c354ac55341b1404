"""Send 100,000 requests, and show the memory and the descriptors of the workers on the way.

    python -m benchmarks.endurance [--requests 100000] [--steps 10]

The service runs with everything on. Requests come over 32 connections from `wrk`, at least so many
for each step. After a warm-up, neither the memory nor the descriptors may grow with the requests.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.serving import contenders, deployment, load
from benchmarks.serving.deployment import BODY, PATH, Deployment
from benchmarks.serving.failure import BenchmarkFailed
from demo.launcher.ports import listen
from demo.launcher.processes import Server
from tests.support.process_memory import children_of, descriptor_count, resident_mebibytes
from tokensvc.clock import SystemClock

SECONDS_PER_RUN: Final = 3
MOST_GROWTH_MEBIBYTES: Final = 1.0
MOST_GROWTH_DESCRIPTORS: Final = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """The workers after so many requests: their memory (RSS, MiB) and descriptors, added up."""

    requests: int
    mebibytes: float
    descriptors: int


def main() -> int:
    """Print a line for each step. The exit status is 1 if memory or descriptors grow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    clock = SystemClock()
    try:
        wrk = load.find_wrk()
        with tempfile.TemporaryDirectory(prefix="tokensvc-bench-") as folder, ExitStack() as stack:
            made = deployment.start(Path(folder) / "service", clock, stack)
            ours = next(each for each in contenders.python_contenders() if each.is_audited)
            server = stack.enter_context(ours.running(made, listen(0, "PORT", clock)))
            deployment.check(server, made, clock)
            step = options.requests // options.steps
            samples = [_sample(wrk, server, made, Sample(0, 0.0, 0), step)]
            for _ in range(options.steps):
                samples.append(_sample(wrk, server, made, samples[-1], step))
            deployment.require_audit(server, samples[-1].requests)
    except BenchmarkFailed as exc:
        print(exc, file=sys.stderr)
        return 1
    mebibytes, descriptors = growth(samples)
    print(
        f"growth: {mebibytes:+.2f} MiB, {descriptors:+.0f} descriptors;"
        f" load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    has_grown = mebibytes > MOST_GROWTH_MEBIBYTES or descriptors > MOST_GROWTH_DESCRIPTORS
    return 1 if has_grown else 0


def growth(samples: Sequence[Sample]) -> tuple[float, float]:
    """What the later samples need more than the earlier ones, in MiB and in descriptors.

    The first sample is the warm-up. The medians of two parts are compared, because a single sample
    is taken at any moment.
    """
    middle = 1 + (len(samples) - 1) // 2
    first, last = samples[1:middle], samples[middle:]
    return (
        _median(last, "mebibytes") - _median(first, "mebibytes"),
        _median(last, "descriptors") - _median(first, "descriptors"),
    )


def _median(samples: Sequence[Sample], name: str) -> float:
    ordered = sorted(float(getattr(sample, name)) for sample in samples)
    return ordered[len(ordered) // 2]


def _sample(wrk: str, server: Server, made: Deployment, before: Sample, step: int) -> Sample:
    """Send at least `step` requests, then measure."""
    variables = {"BENCH_BODY": BODY, "BENCH_API_KEY": made.api_key}
    requests = 0
    while requests < step:
        url, group = server.url + PATH, server.process.pid
        run = load.run(wrk, url, group, SECONDS_PER_RUN, variables)
        requests += run.answers.requests
    workers = children_of(server.process.pid)
    sample = Sample(
        before.requests + requests,
        sum(map(resident_mebibytes, workers)),
        sum(map(descriptor_count, workers)),
    )
    print(
        f"{sample.requests:>8,} requests: {sample.mebibytes:.1f} MiB,"
        f" {sample.descriptors} descriptors",
        flush=True,
    )
    return sample


if __name__ == "__main__":
    sys.exit(main())
