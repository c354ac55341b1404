"""What a web worker sees of the process that carries out revocations, and without one."""

from __future__ import annotations

from dataclasses import replace

from tests.fleet.memory_state import MemoryState
from tests.playback.revocation_world import OREGON, Process, RevocationWorld, channel
from tokensvc.errors import IvsUnavailable
from tokensvc.ivs.viewer_sessions import Viewer
from tokensvc.playback.revocation.lease import KIND
from tokensvc.playback.revocation.watching import RevocationStatus, RevocationWatch
from tokensvc.state.base import Record


def seen_by(watch: RevocationWatch) -> RevocationStatus:
    """What it sees, with whole seconds: virtual time is not exact."""
    status = watch.look()
    return replace(status, late_seconds=round(status.late_seconds))


def watch_of(world: RevocationWorld) -> RevocationWatch:
    """A worker that has not looked yet."""
    return RevocationWatch(MemoryState(world.store), world.clock)


def test_the_process_reports_what_it_has_done() -> None:
    """A kick and a due end; what IVS refuses counts as failed and stays due."""
    world = RevocationWorld()
    world.mint("preview", 5)
    world.mint("refused", 6)
    world.ivs.parts[Viewer(channel("one"), "refused")] = "AccessDeniedException"
    world.kick("mallory", channel("one"))
    process, watch = Process(world), watch_of(world)

    world.run([process], 16)

    assert seen_by(watch) == RevocationStatus(
        is_running=True, due_ends=1, late_seconds=10, done=2, failed=1
    )


def test_while_amazon_ivs_fails_the_first_end_gets_later() -> None:
    """And each call counts as failed."""
    world = RevocationWorld()
    world.ivs.down[OREGON] = IvsUnavailable("Down.")
    world.mint("first", 10)
    world.mint("second", 20)
    process, watch = Process(world), watch_of(world)
    world.run([process], 15)
    early = seen_by(watch)
    world.run([process], 25)
    late = seen_by(watch)

    assert (early.due_ends, early.late_seconds) == (1, 5)
    assert (late.due_ends, late.late_seconds) == (2, 30)
    assert late.failed > early.failed > 0


def test_without_a_process_the_worker_counts_by_itself_once_a_minute() -> None:
    """Ends that come meanwhile count; ends that are stored later are found a minute later."""
    world = RevocationWorld()
    world.mint("a", 10)
    world.mint("b", 30)
    watch = watch_of(world)
    assert watch.look() == RevocationStatus(is_running=False, due_ends=0, late_seconds=0.0)
    world.mint("c", 5)
    world.clock.advance(20)
    assert watch.look() == RevocationStatus(is_running=False, due_ends=1, late_seconds=10.0)
    world.clock.advance(40)
    assert watch.look() == RevocationStatus(is_running=False, due_ends=3, late_seconds=55.0)


def test_a_process_that_has_died_or_stopped_runs_no_more() -> None:
    """Died: after 30 s without a sign of it. Stopped: at once. The worker goes on counting."""
    world = RevocationWorld()
    process, watch = Process(world), watch_of(world)
    world.run([process], 3)
    began = world.now
    world.mint("preview", 5)
    world.clock.advance(20)
    assert watch.look().is_running
    world.clock.advance(began + 30 - world.clock.now())
    assert seen_by(watch) == RevocationStatus(is_running=False, due_ends=1, late_seconds=25)

    world.run([process], 5)
    assert watch.look().is_running
    process.loop.close()
    assert not watch.look().is_running


def test_a_process_of_another_release_runs_without_a_report() -> None:
    """Of an earlier one, whose record has no report, or of a later one with another record."""
    world = RevocationWorld()
    world.mint("preview", 5)
    world.clock.advance(20)
    state = MemoryState(world.store)
    for body in ('{"nonce":"00","is_held":true}', '{"of":"the future"}'):
        record = Record("holder", body, world.clock.now() + 3_600)
        state.put_many(KIND, [record])
        assert watch_of(world).look() == RevocationStatus(
            is_running=True, due_ends=1, late_seconds=15.0
        )
