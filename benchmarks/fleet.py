"""A million steps of the simulated fleet: does any token break?

    python -m benchmarks.fleet [--steps 1000000] [--steps-per-seed 50000] [--seed N]

Each seed is a run of its own. Exit 1, with the seed and the token, when one broke.
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
    """Run, with a line for each report of progress."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1_000_000, help="in all")
    parser.add_argument("--steps-per-seed", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="the first")
    asked = parser.parse_args()
    # A cut-off replica logs what it can't load, as it should: here that is no news.
    logging.disable(logging.CRITICAL)

    began = time.monotonic()
    done = 0
    for seed in range(asked.seed, asked.seed + -(-asked.steps // asked.steps_per_seed)):
        steps = min(asked.steps_per_seed, asked.steps - done)
        report = simulate(seed, steps, on_progress=_tell)
        done += report.steps
        print(f"{done:,} steps in {time.monotonic() - began:,.0f} s; {_sentence(report)}")
        if report.broken:
            print(f"BROKEN: {report.broken[0]}")
            return 1
    return 0


def _tell(report: Report) -> None:
    print(f"  {_sentence(report)}", flush=True)


def _sentence(report: Report) -> str:
    return (
        f"seed {report.seed}: {report.steps:,} steps, {report.tokens:,} tokens, "
        f"{report.switches:,} switches, {report.retirements:,} retirements, "
        f"{report.crashes:,} crashes, {report.refusals:,} refusals, {len(report.broken)} broken"
    )


if __name__ == "__main__":
    sys.exit(main())
