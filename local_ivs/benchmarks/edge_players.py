"""Measure many simultaneous players on Local IVS's edge: `python benchmarks/edge_players.py`.

Starts `local-ivs` with a temporary folder. Players, each with a token of its own, watch
one private channel over real HTTP: the multivariant playlist, then a variant playlist once per
segment, and every segment. Prints the response times, including bodies, and exits with status 1 if
a request failed.
"""

from __future__ import annotations

import argparse
import math
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import boto3
import urllib3

from local_ivs.testing import KeyPair, claims

ACCOUNT_ID = "123456789012"
REGION = "us-west-2"
SEGMENT_SECONDS = 32 / 15
MAX_START_SECONDS = 30.0
REQUEST_TIMEOUT_SECONDS = 10.0
TOKEN_SECONDS = 540
KINDS = ("multivariant playlist", "variant playlist", "init segment", "media segment")
PERCENTILES = (50, 95, 99, 100)


@dataclass(frozen=True)
class Measurements:
    """The response times and errors of all players. Their threads share one object.

    Attributes:
        seconds: Response times, by kind of request.
        errors: One message for each player that failed.
    """

    seconds: Mapping[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    errors: list[str] = field(default_factory=list)


class Player:
    """One viewer who watches one rendition, over one connection that stays open."""

    def __init__(self, url: str, number: int, measurements: Measurements) -> None:
        self._pool = urllib3.connection_from_url(
            url, maxsize=1, retries=False, timeout=REQUEST_TIMEOUT_SECONDS
        )
        self._number = number
        self._measurements = measurements

    def watch(self, playback_path: str, stop_at: float) -> None:
        """Play until `stop_at` (monotonic seconds), or until a request fails."""
        with closing(self._pool):
            try:
                self._play(playback_path, stop_at)
            except (urllib3.exceptions.HTTPError, PlaybackError) as error:
                self._measurements.errors.append(f"player {self._number}: {error}")

    def _play(self, playback_path: str, stop_at: float) -> None:
        variants = self._urls("multivariant playlist", playback_path)
        variant = variants[self._number % len(variants)]
        segments = self._urls("variant playlist", variant)
        self._get("init segment", segments[0].rpartition("/")[0] + "/init.mp4")
        new_segments = segments[-3:]  # A player starts three segments before the newest one.
        while time.monotonic() < stop_at:
            due_at = time.monotonic() + SEGMENT_SECONDS
            for segment in new_segments:
                self._get("media segment", segment)
            time.sleep(max(0.0, due_at - time.monotonic()))
            listed = self._urls("variant playlist", variant)
            if segments[-1] not in listed:
                raise PlaybackError(f"the playlist no longer lists {segments[-1]}")
            new_segments = listed[listed.index(segments[-1]) + 1 :]
            segments = listed

    def _urls(self, kind: str, path: str) -> list[str]:
        lines = self._get(kind, path).decode().splitlines()
        urls = [line for line in lines if not line.startswith("#")]
        if not urls:
            raise PlaybackError(f"{kind}: no URLs in the response")
        return urls

    def _get(self, kind: str, path: str) -> bytes:
        started = time.monotonic()
        response = self._pool.request("GET", path)
        self._measurements.seconds[kind].append(time.monotonic() - started)
        if response.status != 200:  # noqa: PLR2004 # OK
            raise PlaybackError(f"{kind}: status {response.status}, {response.data!r}")
        return response.data


class PlaybackError(Exception):
    """The edge refused a request, or its response is not usable."""


@contextmanager
def local_ivs() -> Iterator[str]:
    """Start `local-ivs` without request rate limits, and return its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "local_ivs", "--port", str(port), "--no-throttle"]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(  # noqa: S603 # Our own command.
            [*command, "--data", folder],
            env={**os.environ, "GUNICORN_CMD_ARGS": "--log-level=error"},
        )
        try:
            _wait_until_up(url, process)
            yield url
        finally:
            process.terminate()
            process.wait()


def _wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + MAX_START_SECONDS
    while True:
        try:
            urllib3.request("GET", f"{url}/healthz", retries=False)
        except urllib3.exceptions.HTTPError as error:
            if process.poll() is not None or time.monotonic() > give_up_at:
                sys.exit(f"Local IVS didn't start ({error}). See its output above.")
            time.sleep(0.1)
        else:
            return


def playback_paths(url: str, count: int) -> list[str]:
    """Create a live private channel, and return signed playback URLs without scheme and host."""
    ivs = boto3.client(
        "ivs",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=ACCOUNT_ID,
        aws_secret_access_key="secret",  # noqa: S106 # Local IVS verifies no signature.
    )
    pair = KeyPair()
    ivs.import_playback_key_pair(publicKeyMaterial=pair.public_pem)
    channel = ivs.create_channel(authorized=True)["channel"]
    document = {"channel_arn": channel["arn"], "live": True}
    urllib3.request("PUT", f"{url}/_local/streams", json=document)
    path = urlsplit(channel["playbackUrl"]).path
    expires_at = int(time.time()) + TOKEN_SECONDS
    viewers = (
        claims(channel["arn"], time.time(), exp=expires_at, viewer_id=f"viewer-{number}")
        for number in range(count)
    )
    return [f"{path}?token={pair.token(viewer)}" for viewer in viewers]


def play(url: str, players: int, seconds: float) -> Measurements:
    """Start that many players at the same time, and measure them for that many seconds."""
    paths = playback_paths(url, players)
    measurements = Measurements()
    stop_at = time.monotonic() + seconds
    threads = [
        threading.Thread(target=Player(url, number, measurements).watch, args=(path, stop_at))
        for number, path in enumerate(paths)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return measurements


def table(measurements: Measurements, seconds: float) -> str:
    """Format the measurements as a Markdown table."""
    head = ["request", "count", "per second", *(f"p{each} ms" for each in PERCENTILES)]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    everything = [each for kind in KINDS for each in measurements.seconds[kind]]
    for kind, times in (*measurements.seconds.items(), ("all", everything)):
        milliseconds = [f"{1000 * percentile(times, each):.1f}" for each in PERCENTILES]
        rows.append([kind, str(len(times)), f"{len(times) / seconds:.1f}", *milliseconds])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest of the values that at least `percent` of them don't exceed.

    Returns NaN if there are no values.
    """
    if not values:
        return math.nan
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--players", type=int, default=200, help="default: 200")
    parser.add_argument("--seconds", type=float, default=30.0, help="playing time (default: 30)")
    options = parser.parse_args(arguments)
    with local_ivs() as url:
        measurements = play(url, options.players, options.seconds)
    print(f"{options.players} simultaneous players for {options.seconds:g} s\n")
    print(table(measurements, options.seconds))
    print(f"\nErrors: {len(measurements.errors)}")
    print("\n".join(measurements.errors[:10]))
    return 1 if measurements.errors else 0


if __name__ == "__main__":
    sys.exit(main())
