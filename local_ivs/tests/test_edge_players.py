"""The benchmark of many players: its players play, and it reports every failure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from edge_players import Measurements, Player, percentile, play, table
from local_ivs.testing import LocalIvsServer

if TYPE_CHECKING:
    from pathlib import Path


def test_each_player_sends_its_own_requests(tmp_path: Path) -> None:
    """Three players for a second: each starts, gets three segments and the next playlist."""
    with LocalIvsServer(tmp_path) as server:
        measurements = play(server.url, players=3, seconds=1)
    assert measurements.errors == []
    counts = {kind: len(found) for kind, found in measurements.seconds.items()}
    assert counts == {
        "multivariant playlist": 3,
        "variant playlist": 6,
        "init segment": 3,
        "media segment": 9,
    }


def test_a_refused_player_is_an_error(tmp_path: Path) -> None:
    """The message has the player's number, the status and the edge's response."""
    measurements = Measurements()
    with LocalIvsServer(tmp_path) as server:
        Player(server.url, 7, measurements).watch("/api/video/v1/none.m3u8", time.monotonic() + 1)
    (error,) = measurements.errors
    assert error.startswith("player 7: multivariant playlist: status 404")
    assert "channel_not_found" in error


def test_an_empty_playlist_is_an_error(tmp_path: Path) -> None:
    """The player has nothing to play."""
    measurements = Measurements()
    server = LocalIvsServer(tmp_path)
    server.app.add_url_rule("/empty", view_func=lambda: "#EXTM3U\n")
    with server:
        Player(server.url, 0, measurements).watch("/empty", time.monotonic() + 1)
    (error,) = measurements.errors
    assert error.startswith("player 0: multivariant playlist: ")
    assert "status" not in error


def test_a_stopped_server_is_an_error(tmp_path: Path) -> None:
    """A failed connection is an error like a refusal."""
    with LocalIvsServer(tmp_path) as server:
        url = server.url
    measurements = Measurements()
    Player(url, 0, measurements).watch("/", time.monotonic() + 1)
    assert len(measurements.errors) == 1


def test_the_table_shows_rates_and_percentiles() -> None:
    """A hundred responses of 1 to 100 ms in ten seconds. Without any, percentiles are NaN."""
    measurements = Measurements()
    measurements.seconds["media segment"].extend(each / 1000 for each in range(100, 0, -1))
    lines = table(measurements, seconds=10).splitlines()
    assert lines[0] == "| request | count | per second | p50 ms | p95 ms | p99 ms | p100 ms |"
    assert lines[5] == "| media segment | 100 | 10.0 | 50.0 | 95.0 | 99.0 | 100.0 |"
    assert lines[6] == "| all | 100 | 10.0 | 50.0 | 95.0 | 99.0 | 100.0 |"
    assert lines[4] == "| init segment | 0 | 0.0 | nan | nan | nan | nan |"


@pytest.mark.parametrize(("percent", "value"), [(1, 1.0), (50, 2.0), (66, 2.0), (67, 3.0)])
def test_a_percentile_is_one_of_the_values(percent: int, value: float) -> None:
    """Of 3, 1, 2: the smallest that so many percent don't exceed, never a mean of two."""
    assert percentile([3.0, 1.0, 2.0], percent) == value
