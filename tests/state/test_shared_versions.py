"""Several watchers of one process share the reads of the versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing

import pytest

from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.support.clock import ManualClock
from tests.support.documents import save_next
from tests.support.dynalite import Dynalite
from tests.support.lossy_proxy import lossy_proxy
from tests.support.tables import table_with_state
from tokensvc.clock import Moment
from tokensvc.errors import StateDamaged, StateUnavailable
from tokensvc.state.base import Document, State, Version
from tokensvc.state.shared_versions import SharedVersions
from tokensvc.state.watch import Watched

NAMES = ("api-keys", "ring:us-west-2", "ring:eu-west-1")
INTERVAL_SECONDS = 5.0
SHARED_SECONDS = 1.0


class CountedState(MemoryState):
    """Counts its reads of versions, and fails while `error` is set."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
        self.reads = 0
        self.error: StateUnavailable | StateDamaged | None = None

    def versions(self) -> Mapping[str, Version]:
        """Count the read, or fail."""
        self.reads += 1
        if self.error is not None:
            raise self.error
        return super().versions()

    def version(self, name: str) -> Version:
        """Count the read."""
        self.reads += 1
        return super().version(name)


@pytest.fixture
def clock() -> ManualClock:
    """The time."""
    return ManualClock()


@pytest.fixture
def state() -> CountedState:
    """A state with the documents."""
    state = CountedState()
    for name in NAMES:
        save_next(state, name, "first")
    return state


def body(document: Document | None) -> str:
    """The value of a document."""
    return "" if document is None else document.body


def watchers(state: State, clock: ManualClock) -> Iterator[Watched[str]]:
    """A watcher of each document, which has read it, and whose thread does not run."""
    versions = SharedVersions(state, clock)
    for name in NAMES:
        watched = Watched(
            state, name, body, clock=clock, refresh_seconds=INTERVAL_SECONDS, versions=versions
        )
        watched.refresh()
        yield watched


def pass_of(watched: Watched[str]) -> None:
    """One pass of the watcher's thread."""
    watched._try_to_refresh(shared_seconds=SHARED_SECONDS)


def age_of(watched: Watched[str], clock: ManualClock) -> float:
    """The age of its value, in seconds."""
    return watched.latest().age_seconds(Moment.of(clock))


def test_passes_at_about_the_same_time_share_one_read(
    state: CountedState, clock: ManualClock
) -> None:
    """The age of each value is that of the read."""
    all_watched = list(watchers(state, clock))
    for _ in range(3):
        clock.advance(INTERVAL_SECONDS)
        before = state.reads
        for watched in all_watched:
            pass_of(watched)
            clock.advance(0.2)
        assert state.reads == before + 1
        assert [age_of(watched, clock) for watched in all_watched] == pytest.approx([0.6] * 3)


def test_all_watchers_read_at_the_same_times(state: CountedState, clock: ManualClock) -> None:
    """Also one that was late, as on a busy machine: it reads at the next time of the others."""
    first, second, third = watchers(state, clock)
    pauses = []
    for watched in (first, second, third):
        clock.advance(1.5)  # The clock began at 1,000 s; the interval is 5 s.
        pauses.append(watched._pause_seconds())
    assert pauses == [3.5, 2.0, 0.5]


def test_a_pass_reads_again_when_the_shared_read_is_too_old(
    state: CountedState, clock: ManualClock
) -> None:
    """A fifth of the interval: what is revoked must be noticed within it."""
    first, second, _ = watchers(state, clock)
    clock.advance(INTERVAL_SECONDS)
    pass_of(first)
    clock.advance(SHARED_SECONDS)
    before = state.reads
    pass_of(second)
    assert state.reads == before + 1
    assert age_of(second, clock) == 0.0


def test_a_change_is_noticed_by_a_shared_read(state: CountedState, clock: ManualClock) -> None:
    """Only the document that has changed is loaded."""
    first, second, _ = watchers(state, clock)
    save_next(state, NAMES[1], "second")
    clock.advance(INTERVAL_SECONDS)
    pass_of(first)
    pass_of(second)
    assert (first.latest().value, second.latest().value) == ("first", "second")


def test_a_value_that_is_too_old_is_not_read_from_a_shared_read(
    state: CountedState, clock: ManualClock
) -> None:
    """Rule 3: a request that needs a fresh value gets one that was read after it came."""
    first, second, _ = watchers(state, clock)
    clock.advance(INTERVAL_SECONDS)
    pass_of(first)
    clock.advance(0.5)
    save_next(state, NAMES[1], "second")
    assert second.within(0.4, Moment.of(clock)) == "second"
    assert first.within(0.5, Moment.of(clock)) == "first"


def test_a_failed_read_is_shared_too_and_a_request_tries_again(
    state: CountedState, clock: ManualClock
) -> None:
    """Each thread would wait for a time-out otherwise, one after another."""
    all_watched = list(watchers(state, clock))
    clock.advance(INTERVAL_SECONDS)
    state.error = StateUnavailable("The state is unavailable.")
    before = state.reads
    for watched in all_watched:
        pass_of(watched)
    assert state.reads == before + 1
    assert [watched.failure for watched in all_watched] == [state.error] * 3
    state.error = None
    clock.advance(0.1)
    all_watched[2].refresh()
    assert all_watched[2].failure is None


def test_a_damaged_document_stops_only_those_who_watch_it(
    state: CountedState, clock: ManualClock
) -> None:
    """The version of each other document is read alone."""
    first, *_ = watchers(state, clock)
    state.error = StateDamaged("The head of another document is damaged.")
    clock.advance(INTERVAL_SECONDS)
    pass_of(first)
    assert first.failure is None
    assert age_of(first, clock) == 0.0


def test_in_dynamodb_one_query_covers_all_documents(dynalite: Dynalite, clock: ManualClock) -> None:
    """docs/deploy.md calculates what the reads of a fleet cost."""
    with ExitStack() as stack:
        table = stack.enter_context(table_with_state(dynalite.url))
        proxy = stack.enter_context(lossy_proxy(dynalite.url))
        state = stack.enter_context(closing(table.state(proxy.url)))
        for name in NAMES:
            save_next(state, name, "first")
        all_watched = list(watchers(state, clock))
        proxy.calls.clear()
        clock.advance(INTERVAL_SECONDS)
        for watched in all_watched:
            pass_of(watched)
        assert [call.operation for call in proxy.calls] == ["Query"]
        assert proxy.calls[0].body["ConsistentRead"]
