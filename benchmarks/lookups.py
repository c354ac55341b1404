"""How fast a cold fleet knows its channels, and how often it then asks IVS for them.

    python -m benchmarks.lookups virtual [--workers 16] [--channels 5000] [--minutes 15]
    python -m benchmarks.lookups real [--workers 4] [--channels 1000] [--state dynalite]

`virtual` runs the real directories and turns of any number of workers in virtual time, over a state
whose calls take 10 ms and an IVS whose calls take 80 ms. `real` starts worker processes on one
state, in SQLite or in dynalite, and a Local IVS with the rates of IVS. Two cores are enough for
about four of them. Its answers are fresh for 60 s instead of 300 s, to show refreshes sooner.

The exit status is 1 when a minute is not enough, 1 % of the calls are throttled, or one call a
second is exceeded in steady state.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from multiprocessing.synchronize import Barrier
from pathlib import Path

from tests.fleet.lookup_fleet import channels, lookup_fleet
from tests.fleet.real_lookups import (
    ThrottlingIvs,
    make_channels,
    real_directory,
    seconds_until_known,
    throttling_ivs,
)
from tests.support.dynalite import dynalite_in
from tests.support.tables import Table, table_with_state
from tokensvc.arns import ChannelArn
from tokensvc.clock import SystemClock
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.state.base import State
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.state.sqlite import SqliteState

LONGEST_COLD_SECONDS = 60.0
STEADY_SECONDS = 120.0
MOST_THROTTLED = 0.01
REAL_TERMS = DirectoryTerms(fresh_seconds=60.0)


def main() -> int:
    """Run, and print the results; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    virtual = kinds.add_parser("virtual")
    virtual.add_argument("--workers", type=int, default=16)
    virtual.add_argument("--channels", type=int, default=5_000)
    virtual.add_argument("--minutes", type=int, default=15, help="of the steady state")
    real = kinds.add_parser("real")
    real.add_argument("--workers", type=int, default=4)
    real.add_argument("--channels", type=int, default=1_000)
    real.add_argument("--state", choices=["sqlite", "dynalite"], default="sqlite")
    options = parser.parse_args()
    if options.kind == "virtual":
        return run_virtual(options.workers, options.channels, options.minutes)
    with tempfile.TemporaryDirectory() as folder:
        return run_real(Path(folder), options.workers, options.channels, options.state)


def run_virtual(workers: int, count: int, minutes: int) -> int:
    """A simulated fleet; the exit status."""
    arns = channels(count)
    with lookup_fleet(workers) as fleet:
        fleet.meet(arns)
        seconds = fleet.seconds_until_known(count, at_most=600)
        calls, ivs = len(fleet.ivs.calls), fleet.ivs
        twice = ivs.lookups.total() - count
        print(
            f"{workers} cold workers know {count:,} channels after {seconds:.1f} s: {calls} calls,"
            f" {ivs.throttled} throttled, {ivs.most_in_a_second()} at most in a second,"
            f" {twice} channels asked for twice"
        )
        fleet.advance(200)
        began_at, lookups = fleet.now, ivs.lookups.total()
        unknown = fleet.serve(arns, 60 * minutes, every_seconds=60)
        steady = ivs.calls_since(began_at) / (60 * minutes)
        per_channel = (ivs.lookups.total() - lookups) / count / minutes * 60
        print(
            f"steady state, {minutes} minutes: {steady:.2f} calls a second, each channel asked for"
            f" {per_channel:.1f} times an hour, {unknown} requests for unknown channels,"
            f" {ivs.throttled} throttled"
        )
        is_good = seconds <= LONGEST_COLD_SECONDS and steady < 1 and not ivs.throttled
    return 0 if is_good else 1


def run_real(folder: Path, workers: int, count: int, kind: str) -> int:
    """Worker processes; the exit status."""
    with ExitStack() as resources:
        if kind == "dynalite":
            running = resources.enter_context(dynalite_in(folder))
            table = resources.enter_context(table_with_state(running.url))
            place = f"{running.url} {table.address.region} {table.address.table}"
        else:
            place = str(folder / "state.sqlite3")
            with closing(SqliteState(Path(place), SystemClock())) as state:
                state.create()
        ivs = resources.enter_context(throttling_ivs(make_channels(folder / "ivs", count)))
        return _measured(ivs, place, workers, kind)


def _measured(ivs: ThrottlingIvs, place: str, workers: int, kind: str) -> int:
    spawn = multiprocessing.get_context("spawn")
    is_known = spawn.Barrier(workers + 1)
    begins = spawn.Barrier(workers + 1)
    processes = [
        spawn.Process(target=_work, args=(place, ivs.url, ivs.arns, begins, is_known), daemon=True)
        for _ in range(workers)
    ]
    for process in processes:
        process.start()
    begins.wait()
    began_at = time.monotonic()
    is_known.wait()
    seconds, calls = time.monotonic() - began_at, ivs.calls.total()
    print(
        f"{workers} processes on {kind} know {len(ivs.arns):,} channels after {seconds:.1f} s:"
        f" {calls} calls, {ivs.throttled} throttled"
    )
    time.sleep(STEADY_SECONDS)
    steady = (ivs.calls.total() - calls) / STEADY_SECONDS
    share = ivs.throttled / ivs.calls.total()
    print(
        f"steady state, {STEADY_SECONDS:g} s, fresh for {REAL_TERMS.fresh_seconds:g} s:"
        f" {steady:.2f} calls a second, {share:.1%} of all calls throttled"
    )
    for process in processes:
        process.terminate()
    return 0 if seconds <= LONGEST_COLD_SECONDS and steady < 1 and share < MOST_THROTTLED else 1


def _work(place: str, url: str, arns: list[ChannelArn], begins: Barrier, is_known: Barrier) -> None:
    """Be a worker, until this process is terminated."""
    own = random.sample(arns, len(arns))
    with closing(_state(place)) as state, real_directory(state, url, REAL_TERMS) as directory:
        begins.wait()
        seconds_until_known([directory], own, at_most=600)
        is_known.wait()
        while True:
            seconds_until_known([directory], random.choices(arns, k=10), at_most=600)  # noqa: S311
            time.sleep(0.1)


def _state(place: str) -> State:
    url, _, address = place.partition(" ")
    if not address:
        return SqliteState(Path(place), SystemClock())
    return Table(url, TableAddress.parse(address.replace(" ", "/"))).state(clock=SystemClock())


if __name__ == "__main__":
    sys.exit(main())
