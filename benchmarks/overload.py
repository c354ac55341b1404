"""Send the service twice as many requests as it can serve, and show what their clients see.

    python -m benchmarks.overload [--connections 600] [--seconds 10] [--factor 2]

One worker serves on loopback. First its capacity is measured with 32 connections that always have a
request. Then requests are sent at fixed times, whether or not earlier ones are answered (an open
loop), at `factor` times that rate; then at a third of it. A latency counts from the time at which
the request was due. The exit status is 1 if the service does not do what it promises: those served
within 250 ms at p99, no connection reset, every health check answered, and normal within 2 s.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import math
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop

from benchmarks.serving import deployment
from benchmarks.serving.contenders import service_with_one_worker
from benchmarks.serving.deployment import BODY, PATH
from benchmarks.serving.failure import BenchmarkFailed
from tokensvc.clock import SystemClock
from tokensvc.errors import TokensvcError

MAX_SERVED_P99_SECONDS = 0.25
MAX_RECOVERY_SECONDS = 2.0
NORMAL_SECONDS = 0.05
_CALIBRATION_CONNECTIONS = 32
_CALIBRATION_SECONDS = 3.0
_RECOVERY_SECONDS = 4.0
_HEALTH_SECONDS = 0.1
_OK, _REFUSED = 200, 503


@dataclass(slots=True)
class Results:
    """What the clients of one phase saw. Times are seconds of the monotonic clock.

    Attributes:
        answers: the due time, the latency and the status of each answered request.
        resets: the connections that were lost before the answer.
        late: the requests that were not sent when they were due, because no connection was free.
    """

    answers: list[tuple[float, float, int]] = field(default_factory=list)
    resets: int = 0
    late: int = 0

    def latencies(self, status: int) -> list[float]:
        """The latencies of the answers with that status, sorted."""
        return sorted(seconds for _, seconds, each in self.answers if each == status)


class Clients:
    """Connections to the service, and the requests that are due."""

    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self.address = address
        self.request = request
        self.results = Results()
        self.free: deque[Connection] = deque()
        self.due: deque[float] = deque()
        self.is_closed_loop = False

    async def connect(self, count: int) -> None:
        """Open so many more connections."""
        for _ in range(count):
            await self.open_one()

    async def open_one(self) -> None:
        """Open one connection. It is free when it is there."""
        await asyncio.get_running_loop().create_connection(lambda: Connection(self), *self.address)

    def send(self, due_at: float) -> None:
        """Send a request, or leave it until a connection is free."""
        if self.free:
            self.free.popleft().send(due_at)
        else:
            self.results.late += 1
            self.due.append(due_at)

    def take_back(self, connection: Connection) -> None:
        """A connection is free: it sends the oldest request that is due."""
        if self.is_closed_loop:
            connection.send(time.monotonic())
        elif self.due:
            connection.send(self.due.popleft())
        else:
            self.free.append(connection)


class Connection(asyncio.Protocol):
    """One connection with at most one request."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._data = b""
        self._due_at: float | None = None
        self._write: Callable[[bytes], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is free."""
        self._write = cast("asyncio.Transport", transport).write
        self._clients.take_back(self)

    def send(self, due_at: float) -> None:
        """Send the request that was due at that time."""
        self._due_at = due_at
        self._write(self._clients.request)

    def data_received(self, data: bytes) -> None:
        """Note the answer once it is whole."""
        self._data += data
        head, separator, body = self._data.partition(b"\r\n\r\n")
        if not separator:
            return
        head = head.lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length or self._due_at is None:
            return
        latency = time.monotonic() - self._due_at
        self._clients.results.answers.append((self._due_at, latency, int(head[9:12])))
        self._data, self._due_at = b"", None
        if b"connection: close" not in head:
            self._clients.take_back(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a request without an answer, and open another connection."""
        del exc
        if self in self._clients.free:
            self._clients.free.remove(self)
        if self._due_at is not None:
            self._clients.results.resets += 1
        loop = asyncio.get_running_loop()
        self._reopening = loop.create_task(self._clients.open_one())


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured; times are seconds."""

    capacity: float
    overload: Results
    health: list[float]
    recovery: float
    resets: int

    def failures(self) -> list[str]:
        """The promises that were not kept."""
        served = self.overload.latencies(_OK)
        checks = {
            "Those served took longer than 250 ms at p99.": bool(served)
            and percentile(served, 0.99) <= MAX_SERVED_P99_SECONDS,
            "Connections were lost before their answer.": self.resets == 0,
            "A health check took longer than 1 s.": max(self.health, default=math.inf) <= 1.0,
            "It took longer than 2 s until all was normal.": self.recovery <= MAX_RECOVERY_SECONDS,
        }
        return [sentence for sentence, is_kept in checks.items() if not is_kept]


def percentile(latencies: list[float], share: float) -> float:
    """The latency that this share of the sorted latencies does not exceed."""
    return latencies[min(len(latencies) - 1, int(len(latencies) * share))]


async def measure(
    address: tuple[str, int], request: bytes, connections: int, seconds: float, factor: float
) -> Report:
    """Measure the capacity, overload the service, and watch it recover."""
    clients = Clients(address, request)
    clients.is_closed_loop = True
    await clients.connect(_CALIBRATION_CONNECTIONS)
    await asyncio.sleep(_CALIBRATION_SECONDS)
    clients.results.answers.clear()
    await asyncio.sleep(_CALIBRATION_SECONDS)
    capacity = len(clients.results.answers) / _CALIBRATION_SECONDS
    clients.is_closed_loop = False
    await asyncio.sleep(0.5)
    await clients.connect(connections - _CALIBRATION_CONNECTIONS)
    await asyncio.sleep(0.5)
    clients.results = overload = Results()
    health: list[float] = []
    watching = asyncio.create_task(_check_health(address, health))
    await _send_at_rate(clients, capacity * factor, seconds)
    ended_at = time.monotonic()
    clients.results = after = Results()
    # What was due during the overload and never sent is not a request of the recovery.
    clients.due.clear()
    await _send_at_rate(clients, capacity / 3, _RECOVERY_SECONDS)
    await asyncio.sleep(1.0)
    watching.cancel()
    late = [due for due, took, status in after.answers if status != _OK or took > NORMAL_SECONDS]
    recovery = max(0.0, max((due - ended_at for due in late), default=0.0))
    return Report(capacity, overload, health, recovery, overload.resets + after.resets)


async def _check_health(address: tuple[str, int], latencies: list[float]) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    while True:
        began_at = time.monotonic()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        is_answered = answer.startswith(b"HTTP/1.1 200")
        latencies.append(time.monotonic() - began_at if is_answered else math.inf)
        await asyncio.sleep(_HEALTH_SECONDS)


async def _send_at_rate(clients: Clients, rate: float, seconds: float) -> None:
    began_at = time.monotonic()
    sent = 0
    while sent < rate * seconds:
        due = min(int((time.monotonic() - began_at) * rate) + 1, int(rate * seconds) + 1)
        while sent < due:
            clients.send(began_at + sent / rate)
            sent += 1
        await asyncio.sleep(0.001)


def _print(report: Report, connections: int, factor: float) -> None:
    overload = report.overload
    rate = report.capacity * factor
    print(f"capacity  {report.capacity:,.0f} requests/s")
    print(f"offered   {rate:,.0f} requests/s on {connections} connections; {overload.late:,} of")
    print("          them waited at the client because no connection was free")
    for name, status in (("served", _OK), ("refused", _REFUSED)):
        found = overload.latencies(status)
        if found:
            p50, p99 = (1_000 * percentile(found, share) for share in (0.5, 0.99))
            print(f"{name:9} {len(found):,}: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    print(f"resets    {report.resets}")
    print(f"health    {len(report.health)} checks, at most {1_000 * max(report.health):.0f} ms")
    print(f"normal    {report.recovery:.2f} s after the overload")


def main() -> int:
    """Run the benchmark; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--connections", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--factor", type=float, default=2.0)
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="tokensvc-bench-") as name, ExitStack() as stack:
            clock = SystemClock()
            made = deployment.start(Path(name), clock, stack)
            server = stack.enter_context(service_with_one_worker(made))
            url = urlsplit(server.url)
            head = (
                f"POST {PATH} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer {made.api_key}\r\nContent-Length: {len(BODY)}\r\n\r\n"
            )
            gc.disable()  # The generator must not be late itself.
            report = uvloop.run(
                measure(
                    (str(url.hostname), url.port or 0),
                    (head + BODY).encode(),
                    options.connections,
                    options.seconds,
                    options.factor,
                )
            )
    except (BenchmarkFailed, TokensvcError) as exc:
        print(exc, file=sys.stderr)
        return 1
    _print(report, options.connections, options.factor)
    failures = report.failures()
    print("\n".join(failures) or "Every promise was kept.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
