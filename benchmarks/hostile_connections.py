"""Measure how fast good requests are answered while hostile clients hold connections.

    python -m benchmarks.hostile_connections [--seconds 60] [--each 300]

Six kinds of hostile clients hold that many connections each, and connect again a second after the
service closes one. The service has two workers, each with the usual limit of 1,024 descriptors.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import random
import resource
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.serving import deployment
from benchmarks.serving.deployment import BODY, PATH, Deployment
from demo.launcher.ports import listen
from demo.launcher.processes import Server, running
from tests.support.process_memory import children_of, descriptor_count
from tokensvc.clock import SystemClock

DESCRIPTORS: Final = 1_024
_GOOD_CLIENTS = 8
_GOOD_PAUSE_SECONDS = 0.02
_GOOD_TIMEOUT_SECONDS = 10.0
_WARM_UP_SECONDS = 3.0  # Both workers learn about the channel.
_RECONNECT_PAUSE_SECONDS = 1.0
_HEAD = b"POST /v1/playback-urls HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
_HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"

Hostile = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


async def _wait_for_the_end(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        pass


async def partial_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never send the rest of the head."""
    writer.write(_HEAD)
    await _wait_for_the_end(reader)


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Send nothing."""
    await _wait_for_the_end(reader)


async def never_reading(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send requests, and read no response."""
    writer.transport.pause_reading()  # type: ignore[attr-defined] # It is a transport that reads.
    for _ in range(20):
        writer.write(_HEALTH)
    while not writer.transport.is_closing():  # Until the connection is reset.
        await asyncio.sleep(1.0)
        writer.write(b"\r\n")
        await writer.drain()


async def never_closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send one request, and keep the connection."""
    writer.write(_HEALTH)
    await _wait_for_the_end(reader)


async def stalled_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never send the rest of the body."""
    writer.write(_HEAD + b"Content-Length: 20000\r\n\r\n{")
    await _wait_for_the_end(reader)


async def one_byte_a_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send the head slowly."""
    for byte in _HEAD:
        writer.write(bytes([byte]))
        await writer.drain()
        # Not `wait_for`: in Python 3.11 it forgets that this task was cancelled if the connection
        # ends at the same time, and the task would go on.
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await _wait_for_the_end(reader)
            return


KINDS: Final = (partial_head, silent, never_reading, never_closing, stalled_body, one_byte_a_second)


@dataclass
class Report:
    """What happened.

    Attributes:
        latencies: the seconds of each good request that was answered, with its connection.
        overloaded: how many good requests were refused because the service was busy.
        failures: good requests with another answer, or without one.
        connected: how many connections the hostile clients made.
        most_open: the largest number of connections that they had at the same time.
        most_descriptors: the largest number of descriptors of a worker.
    """

    latencies: list[float] = field(default_factory=list)
    overloaded: int = 0
    failures: list[str] = field(default_factory=list)
    connected: int = 0
    most_open: int = 0
    most_descriptors: int = 0

    def quantile(self, share: float) -> float:
        """The seconds in which that share of the good requests was answered."""
        if not self.latencies:
            return math.inf
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass
class Attack:
    """Hostile and good clients of one service.

    Attributes:
        port: the port of the service on loopback.
        main_pid: its main process.
        good: the bytes of a good request, which asks to close the connection.
    """

    port: int
    main_pid: int
    good: bytes
    report: Report = field(default_factory=Report)
    _open: int = 0

    async def run(
        self, each: int, seconds: float, is_enough: Callable[[Report], bool] = lambda _: False
    ) -> Report:
        """Run all clients with so many connections of each kind, for that time or until enough."""
        tasks = [asyncio.create_task(self._hold(kind)) for kind in KINDS for _ in range(each)]
        tasks.append(asyncio.create_task(self._watch()))
        good = [
            asyncio.create_task(self._send_good(seconds, is_enough)) for _ in range(_GOOD_CLIENTS)
        ]
        await asyncio.gather(*good)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return self.report

    async def _hold(self, kind: Hostile) -> None:
        await asyncio.sleep(_RECONNECT_PAUSE_SECONDS * random.random())  # noqa: S311 # Spreads them.
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                self.report.connected += 1
                self._open += 1
                self.report.most_open = max(self.report.most_open, self._open)
                try:
                    await kind(reader, writer)
                finally:
                    self._open -= 1
                    writer.transport.abort()
            await asyncio.sleep(_RECONNECT_PAUSE_SECONDS)

    async def _watch(self) -> None:
        while True:
            counts = [descriptor_count(pid) for pid in children_of(self.main_pid)]
            self.report.most_descriptors = max([self.report.most_descriptors, *counts])
            await asyncio.sleep(0.25)

    async def _send_good(self, seconds: float, is_enough: Callable[[Report], bool]) -> None:
        stop_at = time.monotonic() + seconds
        while time.monotonic() < stop_at and not is_enough(self.report):
            began = time.monotonic()
            try:
                answer = await asyncio.wait_for(self._answer(), _GOOD_TIMEOUT_SECONDS)
            except (OSError, TimeoutError) as exc:
                self.report.failures.append(repr(exc))
            else:
                if answer.startswith(b"HTTP/1.1 200 "):
                    self.report.latencies.append(time.monotonic() - began)
                elif b'"code":"overloaded"' in answer:
                    self.report.overloaded += 1
                else:
                    self.report.failures.append(repr(answer[:12] + answer[-400:]))
            await asyncio.sleep(_GOOD_PAUSE_SECONDS)

    async def _answer(self) -> bytes:
        # At once, with no turn of another client in between: a full worker closes the connection
        # that has waited longest for its request, which must not be the slowness of this process.
        connection = socket.create_connection(("127.0.0.1", self.port), _GOOD_TIMEOUT_SECONDS)
        connection.sendall(self.good)
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            return await reader.read()
        finally:
            writer.close()


def good_request(api_key: str, body: str) -> bytes:
    """The bytes of a request for one playback URL."""
    lines = (
        f"POST {PATH} HTTP/1.1",
        "Host: a",
        "Connection: close",
        f"Authorization: Bearer {api_key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join([*lines, "", body]).encode()


def main() -> int:
    """Run both kinds of clients. The exit status is 1 if a worker was replaced."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--each", type=int, default=300)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="tokensvc-bench-") as folder, ExitStack() as stack:
        made = deployment.start(Path(folder) / "service", SystemClock(), stack)
        server = stack.enter_context(_service(made))
        port, good = int(server.url.rpartition(":")[2]), good_request(made.api_key, BODY)
        deployment.check(server, made, SystemClock())
        asyncio.run(Attack(port, server.process.pid, good).run(0, _WARM_UP_SECONDS))
        before = children_of(server.process.pid)
        attack = Attack(port, server.process.pid, good)
        report = asyncio.run(attack.run(options.each, options.seconds))
        replaced = before - children_of(server.process.pid)
    print(summary(report, options.seconds), flush=True)
    print(
        f"workers replaced: {len(replaced)}; load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores"
    )
    return 1 if replaced else 0


def summary(report: Report, seconds: float) -> str:
    """The numbers of the report in two lines."""
    p50, p99, longest = (1_000 * report.quantile(share) for share in (0.5, 0.99, 1.0))
    return (
        f"{len(report.latencies)} good requests in {seconds:.0f} s: p50 {p50:.0f} ms,"
        f" p99 {p99:.0f} ms, max {longest:.0f} ms; {report.overloaded} overloaded,"
        f" {len(report.failures)} failed"
        f" {Counter(report.failures).most_common(3) or ''}\n"
        f"hostile connections: at most {report.most_open} at the same time, {report.connected} in"
        f" all; descriptors of a worker: at most {report.most_descriptors}"
    )


def _service(made: Deployment) -> AbstractContextManager[Server]:
    listener = listen(0, "PORT", SystemClock())
    limited = ("/bin/sh", "-c", f'ulimit -n {DESCRIPTORS} && exec "$@"', "sh")
    variables: Mapping[str, str] = {
        **made.variables,
        "GUNICORN_CMD_ARGS": f"--bind fd://{listener.fileno()} --workers 2",
        "TOKENSVC_SERVICE__LOG_LEVEL": "warning",
    }
    return running(
        "The service",
        (*limited, sys.executable, "-m", "tokensvc", "serve"),
        listener=listener,
        environment=variables,
        log=made.folder.log("attacked"),
    )


if __name__ == "__main__":
    sys.exit(main())
