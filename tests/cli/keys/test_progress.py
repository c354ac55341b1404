"""The lines that report the progress of rotations and revocations."""

from __future__ import annotations

import pytest

from tests.support.clock import EXAMPLE_NOW
from tokensvc.arns import ChannelArn, parse_region
from tokensvc.cli.keys.progress import NOTHING_LEFT, print_event
from tokensvc.cli.keys.session_progress import print_session_event
from tokensvc.errors import IvsUnavailable
from tokensvc.ivs.viewer_sessions import NotRevoked, Viewer
from tokensvc.keyring import reconcile_loop as loop
from tokensvc.keyring.rotation_requests import RotationPause
from tokensvc.keyring.steps import Action, Step, WaitReason, WaitUntil
from tokensvc.playback.revocation import by_region as sessions

OREGON = parse_region("us-west-2")
ERROR = IvsUnavailable("IVS in us-west-2 does not answer.", hint="Wait.")


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (loop.StepBegins(OREGON, Step(Action.SWITCH, "k2")), ["us-west-2: ", "k2"]),
        (loop.RegionDone(OREGON), [f"us-west-2: {NOTHING_LEFT}"]),
        (
            loop.RegionWaits(
                OREGON,
                WaitUntil(EXAMPLE_NOW + 60, WaitReason.PUBLISH_DELAY, "k1", "k1 is young"),
                60.4,
            ),
            ["us-west-2: ", "2027-01-15T08:01:00Z (60 s)", "k1 is young"],
        ),
        (
            loop.KeyDrains(OREGON, "k1", EXAMPLE_NOW + 3_740, 3_740.0),
            ["us-west-2: k1 ", "2027-01-15T09:02:20Z (3740 s)"],
        ),
        (
            loop.RotationPaused(OREGON, RotationPause(EXAMPLE_NOW, "ann@desk", "players fail")),
            ["us-west-2: ", "2027-01-15T08:00:00Z", "ann@desk", "`tokensvc keys rotate`"],
        ),
    ],
    ids=["step", "done", "wait", "drain", "pause"],
)
def test_each_event_is_one_line_on_standard_output(
    event: loop.ReconcileEvent, data: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It begins with the region and has the event's times and seconds."""
    print_event(event)

    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1
    assert [one for one in data if one not in printed.out] == []
    assert printed.err == ""


def test_the_error_of_a_region_follows_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, with the hint."""
    print_event(loop.RegionFailed(OREGON, ERROR))

    assert capsys.readouterr() == (
        "",
        "us-west-2:\nError: IVS in us-west-2 does not answer.\nWait.\n",
    )


@pytest.mark.parametrize(("number", "lines"), [(49, 0), (50, 1), (51, 0), (100, 1)])
def test_every_fiftieth_call_is_a_line(
    number: int, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each call would be two lines a second."""
    event = sessions.BatchRevoked(
        OREGON, number=number, done=number * 20, viewers=4_000, left_seconds=75.4
    )
    print_session_event(event)

    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == lines
    for line in printed:
        assert line.startswith(f"us-west-2: {number * 20} of 4000 ")
        assert "75 s" in line


def test_viewers_that_were_not_revoked_are_lines_before_the_result(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the viewer, the channel and IVS's code."""
    arn = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
    failure = NotRevoked(Viewer(ChannelArn.parse(arn), "alice"), "ResourceNotFoundException")

    print_session_event(sessions.RegionRevoked(OREGON, 2, (failure,), refused_for_seconds=10))

    first, last = capsys.readouterr().err.splitlines()
    assert all(data in first for data in ("alice", arn, "ResourceNotFoundException"))
    assert all(data in last for data in ("2 viewers", "10 s"))


def test_a_region_whose_call_failed_says_to_run_the_command_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After its name and the error."""
    print_session_event(sessions.RegionFailed(OREGON, ERROR))

    printed = capsys.readouterr().err
    assert printed.startswith("us-west-2:\nError: IVS in us-west-2 does not answer.\n")
    assert len(printed.splitlines()) == 4
