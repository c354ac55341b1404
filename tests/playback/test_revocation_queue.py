"""The queue of revocations of a region: its batches, its pauses, and what is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.arns import ChannelArn
from tokensvc.ivs.viewer_sessions import NotRevoked, Revocation, Viewer
from tokensvc.playback.revocation.region_queue import MAX_CALLS_WITHOUT_PROGRESS, RevocationQueue

CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")


def revocation(viewer_id: str, version: int = 100) -> Revocation:
    """The revocation of that viewer's sessions up to that version."""
    return Revocation(Viewer(CHANNEL, viewer_id), version)


def failed(one: Revocation, aws_code: str) -> NotRevoked:
    """The failure of a part of a call."""
    return NotRevoked(one.viewer, aws_code)


def test_a_call_has_twenty_viewers_and_each_viewer_one_revocation() -> None:
    """A viewer's place is the first one, with the highest version of all."""
    queue = RevocationQueue(
        [
            *(revocation(f"v{number:02}") for number in range(41)),
            revocation("v00", 300),
            revocation("v01", 50),
        ]
    )

    batch = queue.next_batch()

    assert [one.viewer.viewer_id for one in batch] == [f"v{number:02}" for number in range(20)]
    assert [one.versions_up_to for one in batch[:2]] == [300, 100]
    assert len(queue) == 41
    assert queue.left_seconds == 1.5


def test_what_fails_for_a_moment_is_sent_again_after_the_others() -> None:
    """What IVS refuses is not sent again."""
    one, two, three = revocation("one"), revocation("two"), revocation("three")
    queue = RevocationQueue([one, two, three])
    failures = [failed(one, "ThrottlingException"), failed(two, "AccessDeniedException")]

    answer = queue.answered(queue.next_batch(), failures)

    assert answer.revoked == (three,)
    assert answer.refused == (failed(two, "AccessDeniedException"),)
    assert queue.next_batch() == (one,)
    assert queue.failures_left == (failed(one, "ThrottlingException"),)
    queue.answered((one,), [])
    assert [*queue.left, *queue.failures_left] == []


def test_the_pause_doubles_while_parts_fail_and_ends_the_attempts() -> None:
    """0.5 s is IVS's rate of two calls a second; the longest pause is 8 s."""
    one = revocation("one")
    queue = RevocationQueue([one])
    pauses = []
    while not queue.is_stuck:
        pauses.append(queue.pause_seconds)
        queue.answered(queue.next_batch(), [failed(one, "InternalServerException")])

    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert queue.left == (one,)


def test_a_success_ends_the_longer_pauses() -> None:
    """A throttled call counts as a failure."""
    queue = RevocationQueue([revocation("one"), revocation("two")])
    queue.call_failed()
    queue.call_failed()
    assert queue.pause_seconds == 2.0

    queue.answered((revocation("one"),), [])

    assert queue.pause_seconds == 0.5
    assert not queue.is_stuck


CODES = st.sampled_from(["ok", "ok", "ok", "ThrottlingException", "", "ValidationException"])


@given(viewers=st.lists(st.integers(0, 60), max_size=120), data=st.data())
def test_each_viewer_is_revoked_or_refused_or_left(viewers: list[int], data: st.DataObject) -> None:
    """However IVS answers: nothing is lost, and nothing is sent again after it was answered."""
    queue = RevocationQueue(revocation(f"v{viewer}", viewer) for viewer in viewers)
    settled: list[Viewer] = []
    while (batch := queue.next_batch()) and not queue.is_stuck:
        assert not {one.viewer for one in batch} & set(settled)
        codes = data.draw(st.lists(CODES, min_size=len(batch), max_size=len(batch)))
        failures = [
            failed(one, code) for one, code in zip(batch, codes, strict=True) if code != "ok"
        ]
        answer = queue.answered(batch, failures)
        settled += [one.viewer for one in answer.revoked]
        settled += [one.viewer for one in answer.refused]

    left = [one.viewer for one in queue.left]
    assert sorted([*settled, *left]) == sorted({revocation(f"v{one}").viewer for one in viewers})
    assert not left or queue.is_stuck


def test_a_fifth_of_each_call_is_for_what_is_not_urgent() -> None:
    """So a moderator who bans very many viewers does not keep due ends waiting without end."""
    queue = RevocationQueue()
    banned = [revocation(f"banned{number}") for number in range(1_000)]
    queue.replace(banned, [revocation(f"due{number}") for number in range(6)])

    calls = []
    for _ in range(3):
        batch = queue.next_batch()
        queue.answered(batch, [])
        names = [one.viewer.viewer_id for one in batch]
        calls.append((len(batch), [each for each in names if each.startswith("due")], names[0]))

    assert calls == [
        (20, ["due0", "due1", "due2", "due3"], "banned0"),
        (20, ["due4", "due5"], "banned16"),
        (20, [], "banned34"),
    ]


@pytest.mark.parametrize(("viewers", "seconds"), [(0, 0.0), (1, 0.5), (20, 0.5), (50_000, 1_250.0)])
def test_the_time_that_a_queue_takes(viewers: int, seconds: float) -> None:
    """50,000 viewers at 40 a second are 1,250 s: nearly 21 minutes."""
    assert RevocationQueue(revocation(f"v{n}") for n in range(viewers)).left_seconds == seconds
    assert MAX_CALLS_WITHOUT_PROGRESS == 6
