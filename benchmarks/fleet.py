"""Run a million steps of the simulated fleet, and fail if the edge refuses a valid token.

    python -m benchmarks.fleet [--steps 1000000] [--steps-per-seed 50000] [--seed N]

Each seed is a separate run. The exit status is 1 when a token was broken; the seed and the token
are printed.
"""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
import time

from tests.fleet.fleet import Report
from tests.fleet.schedule import simulate


def main() -> int:
    """Run all seeds, and print the progress; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1_000_000, help="in total")
    parser.add_argument("--steps-per-seed", type=int, default=50_000)
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(2**32), help="first seed; default: random"
    )
    options = parser.parse_args()
    # Replicas whose links are down log errors, as they should; here these are expected.
    logging.disable(logging.CRITICAL)

    began = time.monotonic()
    done = 0
    for seed in range(options.seed, options.seed + -(-options.steps // options.steps_per_seed)):
        steps = min(options.steps_per_seed, options.steps - done)
        report = simulate(seed, steps, on_progress=_print_progress)
        done += report.steps
        print(f"{done:,} steps in {time.monotonic() - began:,.0f} s; {_summary(report)}")
        if report.broken:
            print(f"BROKEN: {report.broken[0]}")
            return 1
    return 0


def _print_progress(report: Report) -> None:
    print(f"  {_summary(report)}", flush=True)


def _summary(report: Report) -> str:
    return (
        f"seed {report.seed}: {report.steps:,} steps, {report.tokens:,} tokens, "
        f"{report.switches:,} switches, {report.retirements:,} retirements, "
        f"{report.crashes:,} crashes, {report.refusals:,} refusals, {len(report.broken)} broken"
    )


if __name__ == "__main__":
    sys.exit(main())
