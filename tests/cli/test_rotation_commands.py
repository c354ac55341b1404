"""`keys rotate --plan, --force, --wait` and `keys reconcile --rotate-after, --watch`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Desk
from tests.keyring.rings import REGION
from tests.keyring.world import World, world_in
from tokensvc.arns import parse_region
from tokensvc.cli.carrying_on import Pass, Regions, carry_on
from tokensvc.errors import IvsUnavailable
from tokensvc.keyring.rotator import Rotator

DRAIN_SECONDS = 3_740
MONTH_SECONDS = 2_592_000
QUICK = """
[playback]
ttl_seconds = 1
max_ttl_seconds = 1
[rotation]
publish_delay_seconds = 0
view_max_age_seconds = 2
state_refresh_seconds = 1
clock_skew_seconds = 0
"""


def states(desk: Desk) -> list[str]:
    """The states of the ring's pairs, oldest first."""
    return [pair.state.value for pair in desk.ring().pairs]


# --- rotate


def test_a_plan_tells_steps_times_and_slots_and_does_nothing(rotating_desk: Desk) -> None:
    """The old key's end is 3,740 s away, and three slots are taken meanwhile."""
    before = rotating_desk.ring()

    planned = rotating_desk.json("keys", "rotate", "--plan")

    assert [(step["action"], step["in_seconds"], step["slots_taken"]) for step in planned] == [
        ("switch", 0, 2),
        ("record_signing_end", 0, 2),
        ("new_pair", 0, 2),
        ("make", 0, 2),
        ("import", 0, 3),
        ("intend_delete", DRAIN_SECONDS, 3),
        ("delete", DRAIN_SECONDS, 2),
        ("destroy", DRAIN_SECONDS, 2),
    ]
    assert planned[0]["key_id"] == before.pairs[1].key_id
    assert rotating_desk.ring() == before


def test_a_plan_for_people_is_a_table(rotating_desk: Desk) -> None:
    """A line a step, and the word that nothing was done."""
    told = rotating_desk.run("keys", "rotate", "--plan")

    lines = told.stdout.splitlines()
    assert lines[0].split() == ["AT", "IN", "STEP", "SLOTS", "IN", "IVS"]
    assert lines[-1].split()[:3] == ["2027-01-15T09:04:20Z", "3740", "s"]
    assert "Nothing was done" in told.stderr


def test_json_without_a_plan_is_wrong_use(rotating_desk: Desk) -> None:
    """Else a script would rotate where it meant to look."""
    rotating_desk.refused("keys", "rotate", "--json", status=2)

    assert rotating_desk.ring().rotation_request is None
    assert states(rotating_desk) == ["active", "published"]


def test_a_rotation_during_a_drain_is_refused_and_forced(rotating_desk: Desk) -> None:
    """Rule 9: refused with the time left; forced, it spends the standby."""
    rotating_desk.done("keys", "rotate")
    rotating_desk.clock.advance(60)

    assert "3680 s from now" in rotating_desk.refused("keys", "rotate")
    assert "3680 s from now" in rotating_desk.refused("keys", "rotate", "--plan")

    rotating_desk.done("keys", "rotate", "--force", "--reason", "again")
    assert states(rotating_desk) == ["retiring", "retiring", "active"]


def test_a_rotation_that_fails_on_its_way_is_told_to_stay_wished(rotating_desk: Desk) -> None:
    """Else the next scheduled reconcile would surprise the one who took it for refused."""
    (rotating_desk.folder / "secret").write_bytes(bytes(range(1, 33)))

    said = rotating_desk.refused("keys", "rotate")

    assert "another key-encryption secret" in said
    assert "The rotation stays wished: `tokensvc keys reconcile` carries it on." in said
    (rotating_desk.folder / "secret").write_bytes(bytes(range(32)))
    rotating_desk.done("keys", "reconcile")
    assert states(rotating_desk) == ["retiring", "active", "published"]


def test_a_rotation_that_is_waited_for_ends_with_two_key_pairs(desk: Desk) -> None:
    """In real time: a drain of 3 s (2 s of view, 1 s of token) and no publish delay."""
    desk.settings.write_text(desk.settings.read_text() + QUICK)
    run(desk, "keys", "reconcile")

    told = run(desk, "keys", "rotate", "--wait")

    assert "drains until" in told or "may play until then" in told
    assert told.splitlines()[-1] == "us-west-2: nothing is left to do."
    assert states(desk) == ["retired", "active", "published"]


def test_waiting_ends_with_ctrl_c_and_loses_nothing(desk: Desk) -> None:
    """Exit status 1, as the rotation is not over; reconcile goes on where it stopped."""
    first_steps(desk)
    with started(desk, "keys", "rotate", "--wait") as process:
        until_line(process, "wait until")

        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "nothing is lost" in said
    assert "Traceback" not in said
    assert states(desk) == ["retiring", "active", "published"]
    desk.done("keys", "reconcile")


# --- reconcile


def test_a_scheduled_rotation_begins_when_the_key_has_signed_long_enough(
    rotating_desk: Desk,
) -> None:
    """Not a second before; and exit status 0 when nothing is due."""
    active = rotating_desk.ring().active
    assert active is not None
    assert active.activated_at is not None
    due_at = active.activated_at + MONTH_SECONDS
    rotating_desk.clock.advance(due_at - rotating_desk.clock.now() - 1)

    rotating_desk.done("keys", "reconcile", "--rotate-after", "30d")
    assert states(rotating_desk) == ["active", "published"]

    rotating_desk.clock.advance(1)
    rotating_desk.done("keys", "reconcile", "--rotate-after", "30d")
    assert states(rotating_desk) == ["retiring", "active", "published"]
    assert rotating_desk.json("keys", "history")[-1]["by"]
    assert "scheduled: signed for 2592000 s" in rotating_desk.done("keys", "history")

    rotating_desk.done("keys", "reconcile", "--rotate-after", "30d")
    assert states(rotating_desk) == ["retiring", "active", "published"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("600s", 600), ("90m", 5_400), ("12h", 43_200), ("30d", 2_592_000)]
)
def test_a_duration_has_a_unit(rotating_desk: Desk, text: str, seconds: int) -> None:
    """Seconds, minutes, hours, days."""
    active = rotating_desk.ring().active
    assert active is not None
    assert active.activated_at is not None
    rotating_desk.clock.advance(active.activated_at + seconds - rotating_desk.clock.now())

    rotating_desk.done("keys", "reconcile", "--rotate-after", text)

    assert states(rotating_desk)[0] == "retiring"


@pytest.mark.parametrize("text", ["30", "0d", "-1d", "d", "1w", "1.5h", "30 d", "٣d"])
def test_what_is_no_duration_is_wrong_use(desk: Desk, text: str) -> None:
    """A number without a unit could be anything."""
    said = desk.refused("keys", "reconcile", f"--rotate-after={text}", status=2)

    assert "30d, 12h, 90m or 600s" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_watch_moves_the_keys_and_ends_cleanly(desk: Desk, number: signal.Signals) -> None:
    """It brings a first key pair to signing by itself; a signal ends it with status 0."""
    text = QUICK.replace("publish_delay_seconds = 0", "publish_delay_seconds = 1")
    desk.settings.write_text(desk.settings.read_text() + text)
    with started(desk, "keys", "reconcile", "--watch") as process:
        until_line(process, "nothing is left to do")

        process.send_signal(number)
        _, said = process.communicate(timeout=60)

    assert process.returncode == 0
    assert said.startswith("Stopped.")
    assert states(desk) == ["active", "published"]


# --- The loop


class Unreliable:
    """Makes a region's rotator, but fails as often as it was told to."""

    def __init__(self, world: World, failures: int) -> None:
        self.world = world
        self.failures = failures

    def __call__(self, region: str) -> Rotator:
        """The rotator of the world's one region; another region's IVS is always away."""
        if self.failures or region != REGION:
            self.failures = max(0, self.failures - 1)
            raise IvsUnavailable(f"IVS in {region} does not answer.", hint="Wait.")
        return self.world.rotator()


def test_errors_are_told_and_tried_again_until_all_is_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """10 s after an error, 60 s for the publish delay, and no pause at the end."""
    with world_in(tmp_path, monkeypatch) as world:
        pauses: list[float] = []

        def pause(seconds: float) -> bool:
            pauses.append(seconds)
            world.clock.advance(seconds)
            return False

        regions = Regions([REGION], Unreliable(world, 2), world.clock)
        assert carry_on(regions, pause, until_settled=True) is True

        assert pauses == [10.0, 10.0, 60.0]
        assert world.ring.active is not None
    assert capsys.readouterr().err.count("does not answer") == 2


def test_one_region_that_is_away_leaves_the_others_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other has its key pair imported in the same pass; the error names its region."""
    with world_in(tmp_path, monkeypatch) as world:
        away = parse_region("eu-west-1")
        ended = Regions([away, REGION], Unreliable(world, 0), world.clock).one_pass()

        assert ended.failed
        assert ended.next_at == world.clock.now() + 60
        assert len(world.key_pairs.held()) == 1
    assert "eu-west-1:\nError: IVS in eu-west-1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ended", "seconds"),
    [
        (Pass(failed=False, next_at=None), 60),
        (Pass(failed=False, next_at=1_000.0), 0),
        (Pass(failed=False, next_at=1_030.0), 30),
        (Pass(failed=False, next_at=9_000.0), 60),
        (Pass(failed=True, next_at=1_030.0), 10),
    ],
    ids=["settled", "due", "soon", "late", "failed"],
)
def test_a_watch_waits_for_the_next_moment_and_60_s_at_most(ended: Pass, seconds: float) -> None:
    """Another process may give it work meanwhile."""
    assert ended.pause_seconds(1_000.0) == seconds


def first_steps(desk: Desk) -> None:
    """A settled ring, in real time."""
    text = QUICK.replace("max_ttl_seconds = 1", "max_ttl_seconds = 600")
    desk.settings.write_text(desk.settings.read_text() + text)
    run(desk, "keys", "reconcile")


def started(desk: Desk, *arguments: str) -> subprocess.Popen[str]:
    """The command as a process of its own, in real time."""
    return subprocess.Popen(
        [sys.executable, "-m", "tokensvc", "--config", str(desk.settings), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def run(desk: Desk, *arguments: str) -> str:
    """What such a process prints when it is done."""
    with started(desk, *arguments) as process:
        told, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return told


def until_line(process: subprocess.Popen[str], text: str) -> None:
    """Return when the process has printed a line with that text."""
    assert process.stdout is not None
    for line in process.stdout:
        if re.search(text, line):
            return
    raise AssertionError(f"The process ended without saying {text!r}.")
