"""Compare servers that sign playback URLs, on loopback and in turn.

    python -m benchmarks.serving [--rounds 7] [--seconds 4]

Every server gets the same requests for one URL. In each round every server is measured once while
the others wait, and each ratio is computed within one round, so that changes of the machine's speed
affect all of them. A run that other programs disturb is repeated, at most twice. The unit of CPU
time is one P-384 signature of `cryptography`, measured in the same round.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.serving import calibration, contenders, deployment, load, machine
from benchmarks.serving.calibration import CRYPTOGRAPHY
from benchmarks.serving.contenders import (
    JSONWEBTOKEN,
    OURS,
    OURS_THROUGH_FLASK,
    OURS_WITHOUT_ACCESS_LOG,
    WORKERS,
    Contender,
)
from benchmarks.serving.deployment import BODY, PATH, Deployment
from benchmarks.serving.failure import BenchmarkFailed
from benchmarks.serving.picture import picture
from benchmarks.serving.results import Round, disturbed_runs, document, rows, table
from demo.launcher.ports import listen
from demo.launcher.processes import Server
from tokensvc.clock import Clock, SystemClock
from tokensvc.errors import TokensvcError

RESULTS = Path(__file__).parents[1] / "results"
TITLE = "CPU per request, in cryptography P-384 signatures (shorter is better)"
_ALL_OURS = (OURS, OURS_WITHOUT_ACCESS_LOG, OURS_THROUGH_FLASK)
_WARM_UP_SECONDS = 2
_CALIBRATION_SECONDS = 0.7
_ATTEMPTS = 3
_LARGEST_DISTURBANCE = 0.05  # The share of the machine's CPU time that other programs use.


def main() -> int:
    """Run the benchmark. The exit status is 1 if it failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=4, help="per server in each round")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    # SIGTERM stops the servers and removes their folder, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        wrk = load.find_wrk()
        description = machine.describe()
        with tempfile.TemporaryDirectory(prefix="tokensvc-bench-") as folder:
            rounds, skipped = measure(Path(folder), wrk, options.rounds, options.seconds)
    except (BenchmarkFailed, TokensvcError) as exc:
        print(exc, file=sys.stderr)
        return 1
    found = rows(rounds, unit=CRYPTOGRAPHY, ours=OURS)
    print(f"\n{len(rounds)} rounds of {options.seconds} s; median (lowest to highest)\n")
    print(table(found))
    print(f"\n{disturbed_runs(rounds, _LARGEST_DISTURBANCE)}")
    options.output.mkdir(exist_ok=True)
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": description,
        "run": {
            "rounds": options.rounds,
            "seconds": options.seconds,
            "connections": load.CONNECTIONS,
            "workers": WORKERS,
            "node_package": JSONWEBTOKEN,
            "skipped": skipped,
        },
        **document(found, rounds),
    }
    (options.output / "serving.json").write_text(json.dumps(results, indent=1) + "\n")
    svg = picture(found, title=TITLE, ours=_ALL_OURS)
    (options.output / "serving.svg").write_text(svg)
    return 0


def measure(
    folder: Path, wrk: str, round_count: int, seconds: int
) -> tuple[list[Round], list[str]]:
    """Start all servers in that folder, and return the rounds and why a server was skipped.

    Raises:
        BenchmarkFailed, TokensvcError: a server does not start, or a request failed.
    """
    clock = SystemClock()
    others, skipped = _optional_contenders(folder)
    for reason in skipped:
        print(reason)
    with ExitStack() as stack:
        made = deployment.start(folder / "service", clock, stack)
        compared = (*contenders.python_contenders(), *others)
        started = {each.name: _start(each, made, clock, stack) for each in compared}
        runner = Runner(wrk, made)
        for server in started.values():
            runner.run(server, _WARM_UP_SECONDS)
        rounds = []
        for number in range(1, round_count + 1):
            print(f"Round {number} of {round_count}", flush=True)
            rounds.append(_round(runner, started, seconds))
        for each in compared:
            if each.is_audited:
                requests = sum(done.loads[each.name].answers.requests for done in rounds)
                deployment.require_audit(started[each.name], requests)
    return rounds, skipped


def _optional_contenders(folder: Path) -> tuple[list[Contender], list[str]]:
    makers: Sequence[tuple[Callable[[Path], Contender], str]] = (
        (contenders.node_contender, "node"),
        (contenders.go_contender, "go"),
    )
    found, skipped = [], []
    for make, name in makers:
        try:
            found.append(make(folder / name))
        except BenchmarkFailed as exc:
            skipped.append(str(exc))
    return found, skipped


def _start(contender: Contender, made: Deployment, clock: Clock, stack: ExitStack) -> Server:
    listener = listen(0, "PORT", clock)
    server = stack.enter_context(contender.running(made, listener))
    deployment.check(server, made, clock)
    print(f"{contender.name}: its token verifies", flush=True)
    return server


def _round(runner: Runner, started: Mapping[str, Server], seconds: int) -> Round:
    signature_seconds = {
        name: calibration.cpu_seconds_per_call(sign, _CALIBRATION_SECONDS)
        for name, sign in calibration.signers().items()
    }
    loads = {name: runner.quiet_run(server, seconds) for name, server in started.items()}
    return Round(signature_seconds, loads)


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs `wrk` against a server of the deployment."""

    wrk: str
    made: Deployment

    def quiet_run(self, server: Server, seconds: int) -> load.Load:
        """The first of three runs without much disturbance, or the least disturbed of them."""
        runs: list[load.Load] = []
        while len(runs) < _ATTEMPTS:
            runs.append(self.run(server, seconds))
            if runs[-1].disturbance <= _LARGEST_DISTURBANCE:
                break
        return min(runs, key=lambda done: done.disturbance)

    def run(self, server: Server, seconds: int) -> load.Load:
        """One run. Raises BenchmarkFailed."""
        variables = {"BENCH_BODY": BODY, "BENCH_API_KEY": self.made.api_key}
        local_ivs = self.made.local_ivs.process.pid
        try:
            return load.run(
                self.wrk,
                server.url + PATH,
                server.process.pid,
                seconds,
                variables,
                also_needed=(local_ivs,),
            )
        except BenchmarkFailed as exc:
            raise BenchmarkFailed(f"{server.name}: {exc}") from exc


if __name__ == "__main__":
    sys.exit(main())
