"""The benchmark of many players: that it plays, and that it doesn't overlook a failure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from benchmarks.edge_players import Findings, Player, percentile, play, table
from tests.support.local_ivs import LocalIvsServer

if TYPE_CHECKING:
    from pathlib import Path


def test_each_player_plays_on_his_own(tmp_path: Path) -> None:
    """Three players for a second: a start each, three segments each, the next playlist each."""
    with LocalIvsServer(tmp_path) as server:
        findings = play(server.url, players=3, seconds=1)
    assert findings.errors == []
    counts = {kind: len(found) for kind, found in findings.seconds.items()}
    assert counts == {
        "multivariant playlist": 3,
        "variant playlist": 6,
        "init segment": 3,
        "media segment": 9,
    }


def test_a_refused_player_is_an_error(tmp_path: Path) -> None:
    """Who it was, and the edge's own words."""
    findings = Findings()
    with LocalIvsServer(tmp_path) as server:
        Player(server.url, 7, findings).watch("/api/video/v1/none.m3u8", time.monotonic() + 1)
    (error,) = findings.errors
    assert error.startswith("player 7: multivariant playlist: status 404")
    assert "channel_not_found" in error


def test_an_empty_playlist_is_an_error(tmp_path: Path) -> None:
    """A player that finds nothing to play hasn't played."""
    findings = Findings()
    server = LocalIvsServer(tmp_path)
    server.app.add_url_rule("/empty", view_func=lambda: "#EXTM3U\n")
    with server:
        Player(server.url, 0, findings).watch("/empty", time.monotonic() + 1)
    assert findings.errors == ["player 0: multivariant playlist: it lists nothing"]


def test_a_server_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """A failed connection counts like a refusal."""
    with LocalIvsServer(tmp_path) as server:
        url = server.url
    findings = Findings()
    Player(url, 0, findings).watch("/", time.monotonic() + 1)
    assert len(findings.errors) == 1


def test_the_table_tells_rates_and_percentiles() -> None:
    """A hundred answers of 1 to 100 ms in ten seconds; a kind without any has no number."""
    findings = Findings()
    findings.seconds["media segment"].extend(each / 1000 for each in range(100, 0, -1))
    lines = table(findings, seconds=10).splitlines()
    assert lines[0] == "| request | count | a second | p50 ms | p95 ms | p99 ms | p100 ms |"
    assert lines[5] == "| media segment | 100 | 10.0 | 50.0 | 95.0 | 99.0 | 100.0 |"
    assert lines[6] == "| all | 100 | 10.0 | 50.0 | 95.0 | 99.0 | 100.0 |"
    assert lines[4] == "| init segment | 0 | 0.0 | nan | nan | nan | nan |"


@pytest.mark.parametrize(("percent", "value"), [(1, 1.0), (50, 2.0), (66, 2.0), (67, 3.0)])
def test_a_percentile_is_one_of_the_values(percent: int, value: float) -> None:
    """Of 3, 1, 2: the least that so many percent don't exceed, and no mean of two."""
    assert percentile([3.0, 1.0, 2.0], percent) == value
