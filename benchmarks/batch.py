"""What an item of a batch costs, and how long single requests take beside batches.

    python -m benchmarks.batch [--seconds 8]

One worker serves on loopback. First one client sends batches of 100 requests for a known channel:
the CPU time per item is compared with bare loops of signatures. Then another client sends a single
request every 20 ms: alone, beside batches of a known channel, and beside batches of 100 channels
that the service does not know. Every token costs one signature, so an item can't cost less than the
bare loop of awscrt.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.serving import calibration, deployment
from benchmarks.serving.calibration import AWSCRT, CRYPTOGRAPHY
from benchmarks.serving.contenders import service_with_one_worker
from benchmarks.serving.deployment import BODY, PATH, Deployment
from benchmarks.serving.failure import BenchmarkFailed
from benchmarks.serving.load import cpu_seconds_by_process
from demo.launcher.processes import Server
from tokensvc.clock import SystemClock
from tokensvc.errors import TokensvcError

ITEMS = 100
_PERIOD_SECONDS = 0.02
_TIMEOUT_SECONDS = 30.0
_CALIBRATION_SECONDS = 1.0
_P99 = 0.99
_OK = 200


@dataclass(frozen=True, slots=True)
class Client:
    """Sends requests to the service over one connection at a time."""

    netloc: str
    api_key: str

    @contextmanager
    def connected(self) -> Iterator[Callable[[str, str], bytes]]:
        """A function that posts a body to a path and returns the body of the answer."""
        connection = http.client.HTTPConnection(self.netloc, timeout=_TIMEOUT_SECONDS)
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}

        def post(path: str, body: str) -> bytes:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            answer = response.read()
            if response.status != _OK:
                raise BenchmarkFailed(f"{path} was answered with {response.status}: {answer!r}")
            return answer

        with closing(connection):
            yield post


def main() -> int:
    """Run the benchmark. The exit status is 1 if it failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each of the four runs")
    seconds = parser.parse_args().seconds
    try:
        with tempfile.TemporaryDirectory(prefix="tokensvc-bench-") as folder, ExitStack() as stack:
            made = deployment.start(Path(folder) / "service", SystemClock(), stack)
            server = stack.enter_context(service_with_one_worker(made))
            client = Client(urlsplit(server.url).netloc, made.api_key)
            _report_items(client, server, seconds)
            _report_singles(client, made, seconds)
    except (BenchmarkFailed, TokensvcError) as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def _report_items(client: Client, server: Server, seconds: float) -> None:
    bare = {
        name: calibration.cpu_seconds_per_call(sign, _CALIBRATION_SECONDS)
        for name, sign in calibration.signers().items()
    }
    known = _batch_of(itertools.repeat(json.loads(BODY)["channel"]))
    with client.connected() as post:
        _require_urls(post(f"{PATH}:batch", known))
        before = sum(cpu_seconds_by_process(server.process.pid).values())
        items = 0
        end_at = time.monotonic() + seconds
        while time.monotonic() < end_at:
            post(f"{PATH}:batch", known)
            items += ITEMS
        used = sum(cpu_seconds_by_process(server.process.pid).values()) - before
    print(f"{items} items in batches of {ITEMS}: {used / items * 1e6:.0f} µs of CPU per item")
    for name in (AWSCRT, CRYPTOGRAPHY):
        print(f"  {bare[name] * items / used:.0%} of the signatures of the {name}")


def _report_singles(client: Client, made: Deployment, seconds: float) -> None:
    arn = made.variables["BENCH_CHANNEL_ARN"]
    unknown = (f"{arn.rpartition('/')[0]}/unknown{number}" for number in itertools.count())
    known = itertools.repeat(json.loads(BODY)["channel"])
    print(f"single requests every {_PERIOD_SECONDS * 1_000:.0f} ms:")
    print(f"  alone: {_single_latencies(client, seconds)}")
    for name, channels in (("a known channel", known), ("unknown channels", unknown)):
        with _batches_beside(client, channels) as sent:
            latencies = _single_latencies(client, seconds)
        print(f"  beside {len(sent)} batches of {name}: {latencies}")


def _single_latencies(client: Client, seconds: float) -> str:
    latencies = []
    with client.connected() as post:
        end_at = time.monotonic() + seconds
        while (began_at := time.monotonic()) < end_at:
            post(PATH, BODY)
            latencies.append(time.monotonic() - began_at)
            time.sleep(max(0.0, began_at + _PERIOD_SECONDS - time.monotonic()))
    latencies.sort()
    p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * _P99)]
    return f"p50 {p50 * 1_000:.1f} ms, p99 {p99 * 1_000:.1f} ms"


@contextmanager
def _batches_beside(client: Client, channels: Iterator[str]) -> Iterator[list[int]]:
    """Send batches from a thread in the block; the list gets the size of each answer."""
    sent: list[int] = []
    stop = threading.Event()

    def send() -> None:
        with client.connected() as post:
            while not stop.is_set():
                sent.append(len(post(f"{PATH}:batch", _batch_of(channels))))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()


def _batch_of(channels: Iterator[str]) -> str:
    requests = [
        {**json.loads(BODY), "channel": channel} for channel in itertools.islice(channels, ITEMS)
    ]
    return json.dumps({"requests": requests})


def _require_urls(answer: bytes) -> None:
    results = json.loads(answer)["results"]
    if not all("playback_url" in result for result in results):
        raise BenchmarkFailed(f"An item of the batch was refused: {results[0]}")


if __name__ == "__main__":
    sys.exit(main())
