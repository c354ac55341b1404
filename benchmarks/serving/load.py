"""One run of `wrk` against a server, and the CPU time that the server and others used meanwhile."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.failure import BenchmarkFailed

CONNECTIONS = 32
_SCRIPT = Path(__file__).with_name("request.lua")
_RESULT_MARK = "BENCH "
_MARGIN_SECONDS = 15.0
_MICROSECONDS = 1_000_000
# Positions in /proc/PID/stat after the command name, which may contain spaces (man 5 proc).
_PROCESS_GROUP, _USER_TICKS, _SYSTEM_TICKS = 2, 11, 12
# The fields of the line `cpu` in /proc/stat: user, nice, system, idle, iowait, irq, softirq, ...
_BUSY_FIELDS = (0, 1, 2, 5, 6)
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Answers:
    """What `wrk` reports: the answered requests, the time, and latencies in milliseconds."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Load:
    """One run.

    Attributes:
        answers: what `wrk` reports.
        cpu_seconds: the CPU seconds of all processes of the server.
        disturbance: the share of the machine's CPU time that other programs used, 0 to 1.
    """

    answers: Answers
    cpu_seconds: float
    disturbance: float

    @property
    def requests_per_second(self) -> float:
        """Answered requests per second."""
        return self.answers.requests / self.answers.seconds

    @property
    def cpu_seconds_per_request(self) -> float:
        """CPU seconds of the server for each answered request."""
        return self.cpu_seconds / self.answers.requests


def find_wrk() -> str:
    """The path of the program `wrk`.

    Raises:
        BenchmarkFailed: it is not installed.
    """
    path = shutil.which("wrk")
    if path is None:
        raise BenchmarkFailed("wrk is not installed. On Debian or Ubuntu: apt install wrk")
    return path


def run(
    wrk: str,
    url: str,
    server: int,
    seconds: int,
    variables: Mapping[str, str],
    *,
    also_needed: Sequence[int] = (),
) -> Load:
    """Send requests to `url` for that time and return what was measured.

    Args:
        wrk: the path of `wrk`.
        url: the endpoint.
        server: the process group of the server, for its CPU time.
        seconds: how long to send requests.
        variables: `BENCH_BODY` and `BENCH_API_KEY` for the script.
        also_needed: process groups that the server calls, which therefore don't disturb it.

    Raises:
        BenchmarkFailed: a request failed, or a process of the server started or ended.
    """
    groups = (server, *also_needed)
    before, before_all = [cpu_seconds_by_process(group) for group in groups], _machine_seconds()
    output = subprocess.run(  # noqa: S603 # A path from PATH and our own arguments, no shell.
        (wrk, f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(_SCRIPT), url),
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=seconds + _MARGIN_SECONDS,
        check=False,
    )
    after, after_all = [cpu_seconds_by_process(group) for group in groups], _machine_seconds()
    if before[0].keys() != after[0].keys():
        raise BenchmarkFailed(f"A process of the server at {url} started or ended during the run.")
    used = [
        sum(last.values()) - sum(first.values()) for first, last in zip(before, after, strict=True)
    ]
    others = after_all.busy - before_all.busy - sum(used) - (after_all.wrk - before_all.wrk)
    available = (after_all.time - before_all.time) * (os.cpu_count() or 1)
    if output.returncode != 0:
        text = (output.stdout + output.stderr).strip()
        raise BenchmarkFailed(f"wrk ended with status {output.returncode}: {text[-300:]}")
    return Load(parse_answers(output.stdout), used[0], max(0.0, others / available))


def parse_answers(output: str) -> Answers:
    """The result in the output of `wrk`.

    Raises:
        BenchmarkFailed: there is none, no request was answered, or a request failed.
    """
    lines = [line for line in output.splitlines() if line.startswith(_RESULT_MARK)]
    if len(lines) != 1:
        raise BenchmarkFailed(f"wrk printed no result: {output.strip()[-300:]}")
    result = json.loads(lines[0].removeprefix(_RESULT_MARK))
    if result["refused"] or result["socket_errors"] or not result["requests"]:
        raise BenchmarkFailed(
            f"{result['refused']} requests were refused and {result['socket_errors']} failed, of"
            f" {result['requests']}."
        )
    return Answers(
        requests=result["requests"],
        seconds=result["microseconds"] / _MICROSECONDS,
        p50_ms=result["p50_microseconds"] / 1_000,
        p99_ms=result["p99_microseconds"] / 1_000,
    )


def cpu_seconds_by_process(process_group: int) -> dict[int, float]:
    """The CPU seconds that each living process of the group has used, by process ID."""
    used = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            group, seconds = parse_stat((folder / "stat").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue  # The process has just ended.
        if group == process_group:
            used[int(folder.name)] = seconds
    return used


def parse_stat(text: str, ticks_per_second: int = _TICKS_PER_SECOND) -> tuple[int, float]:
    """The process group and the CPU seconds in the text of `/proc/PID/stat`."""
    fields = text.rpartition(")")[2].split()
    ticks = int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
    return int(fields[_PROCESS_GROUP]), ticks / ticks_per_second


def busy_seconds(text: str, ticks_per_second: int = _TICKS_PER_SECOND) -> float:
    """The CPU seconds that all programs and the kernel have used, in the text of `/proc/stat`."""
    name, *ticks = text.splitlines()[0].split()
    if name != "cpu":
        raise BenchmarkFailed("/proc/stat does not begin with the line of all processors.")
    return sum(int(ticks[field]) for field in _BUSY_FIELDS) / ticks_per_second


@dataclass(frozen=True, slots=True)
class _MachineSeconds:
    """The time, and the CPU seconds of all programs and of every ended `wrk`."""

    time: float
    busy: float
    wrk: float


def _machine_seconds() -> _MachineSeconds:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return _MachineSeconds(
        time.monotonic(),
        busy_seconds(Path("/proc/stat").read_text()),
        ended.ru_utime + ended.ru_stime,
    )
