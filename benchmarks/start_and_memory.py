"""Measure the start of the service, and the memory of its workers.

    python -m benchmarks.start_and_memory [--starts 5] [--workers 4]

A start is the time from the start of gunicorn to the first signed URL, with warm disk caches. The
memory of a process (USS) is what it has for itself: what one more worker costs. It is read after
each worker has signed URLs and has called Local IVS.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.serving import deployment
from benchmarks.serving.deployment import BODY, PATH, Deployment
from demo.launcher.ports import listen
from demo.launcher.processes import Server, running
from tests.support.process_memory import children_of, has_loaded, unique_mebibytes
from tokensvc import web
from tokensvc.clock import SystemClock

_CONFIG = Path(web.__file__).with_name("gunicorn_conf.py")
_REQUESTS = 500
_LONGEST_START_SECONDS = 30.0
_PAUSE_SECONDS = 0.005


def main() -> int:
    """Print both measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="tokensvc-bench-") as folder, ExitStack() as stack:
        made = deployment.start(Path(folder) / "service", clock, stack)
        # The first start warms the caches and lets the service learn about its channel.
        starts = [_start(made, workers=2)[0] for _ in range(options.starts + 1)][1:]
        print(
            f"first signed URL after {statistics.median(starts):.2f} s"
            f" ({min(starts):.2f} to {max(starts):.2f}), {options.starts} starts with 2 workers,"
            f" load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        )
        _, main_mebibytes, workers = _start(made, workers=options.workers)
        print(
            f"USS: main process {main_mebibytes:.1f} MiB,"
            f" {options.workers} workers {', '.join(f'{size:.1f}' for size in workers)} MiB"
        )
    return 0


def _start(made: Deployment, *, workers: int) -> tuple[float, float, list[float]]:
    """Seconds to the first URL, then the USS of the main process and of each worker in MiB."""
    listener = listen(0, "PORT", SystemClock())
    arguments = f"--bind fd://{listener.fileno()} --workers {workers}"
    began = time.monotonic()
    with running(
        "The service",
        (sys.executable, "-m", "gunicorn", "--config", str(_CONFIG)),
        listener=listener,
        environment={**made.variables, "GUNICORN_CMD_ARGS": arguments, "MALLOC_ARENA_MAX": "2"},
        log=made.folder.log("started"),
    ) as server:
        while not _is_signed(server, made):
            server.require_alive()
            if time.monotonic() > began + _LONGEST_START_SECONDS:
                raise TimeoutError("The service does not sign a URL.")
            time.sleep(_PAUSE_SECONDS)
        seconds = time.monotonic() - began
        for _ in range(_REQUESTS):
            _is_signed(server, made)
        main_pid = server.process.pid
        processes = sorted(pid for pid in children_of(main_pid) if has_loaded(pid, "_awscrt"))
        return seconds, unique_mebibytes(main_pid), [unique_mebibytes(pid) for pid in processes]


def _is_signed(server: Server, made: Deployment) -> bool:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {made.api_key}"}
    with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10.0)) as client:
        try:
            client.request("POST", PATH, BODY, headers)
            response = client.getresponse()
            return response.status == http.HTTPStatus.OK and bool(json.loads(response.read()))
        except OSError:
            return False


if __name__ == "__main__":
    sys.exit(main())
