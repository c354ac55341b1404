"""Keeping the keys of an issuer: over real HTTP, with a real state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.state.watching import wait_until
from tests.support.clock import ManualClock
from tests.support.issuer_server import IssuerServer, issuer_server
from tests.support.oidc_tokens import AUDIENCE, signing_key
from tokensvc.access.oidc import kept_keys
from tokensvc.access.oidc.fetching import KeySource
from tokensvc.access.oidc.keeper import KeyKeeper, Source
from tokensvc.access.oidc.kept_keys import KeptKeys
from tokensvc.access.oidc.key_sets import KeySet, usable_keys
from tokensvc.access.oidc.terms import IssuerTerms
from tokensvc.clock import Moment
from tokensvc.errors import IssuerUnavailable
from tokensvc.state.record_writer import RecordWriter
from tokensvc.state.sqlite import SqliteState
from tokensvc.waiting import MustWait, no_waiting

FIRST = signing_key("ES256", "first")
SECOND = signing_key("ES256", "second")
MAX_AGE_SECONDS = 86_400
MIN_INTERVAL_SECONDS = 10


@dataclass
class Desk:
    """An issuer, and the state that processes share."""

    issuer: IssuerServer
    state: SqliteState
    clock: ManualClock
    opened: ExitStack

    def keeper(self, *, source: Source | None = None, issuer_url: str | None = None) -> KeyKeeper:
        """A keeper in a process of its own, not started."""
        url = issuer_url or self.issuer.url
        terms = IssuerTerms("main", url, (AUDIENCE,))
        writer = RecordWriter(self.state, kept_keys.KIND)
        writer.start()
        self.opened.callback(writer.close)
        kept = KeptKeys(
            self.state,
            writer,
            name="main",
            issuer=url,
            jwks_url=None,
            valid_seconds=MAX_AGE_SECONDS,
        )
        keeper = KeyKeeper(terms, source or KeySource("main", url), kept, self.clock)
        self.opened.callback(keeper.close)
        return keeper

    @property
    def now(self) -> Moment:
        """The present moment."""
        return Moment.of(self.clock)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An issuer with one key, and an empty state."""
    clock = ManualClock()
    with (
        issuer_server(FIRST) as issuer,
        closing(SqliteState(tmp_path / "state.sqlite3", clock)) as state,
        ExitStack() as opened,
    ):
        state.create()
        yield Desk(issuer, state, clock, opened)


def ids(keys: KeySet | None) -> list[str | None] | None:
    """The IDs of the keys."""
    return None if keys is None else [key.key_id for key in keys.keys]


def test_a_failed_or_empty_fetch_changes_nothing_until_the_age_limit(desk: Desk) -> None:
    """PyJWT's client lost its keys by one failed fetch. The age counts from the last good fetch."""
    keeper = desk.keeper()
    keeper.fetch()
    fetched = desk.now
    desk.issuer.behavior = 500
    desk.clock.advance(600)
    keeper.fetch()
    desk.issuer.behavior, desk.issuer.keys = None, []
    keeper.fetch()
    assert keeper.failure is not None
    assert keeper.age_seconds(desk.now) == 600

    desk.clock.advance(MAX_AGE_SECONDS - 600)
    assert ids(keeper.usable(desk.now)) == ["first"]
    desk.clock.advance(0.1)
    assert keeper.usable(desk.now) is None
    assert ids(keeper.usable(fetched)) == ["first"]


def test_a_frozen_or_changed_clock_makes_no_key_younger(desk: Desk) -> None:
    """The age is that of the clock that shows more."""
    keeper = desk.keeper()
    keeper.fetch()
    desk.clock.jump_wall(MAX_AGE_SECONDS + 1)
    assert keeper.usable(desk.now) is None
    desk.clock.jump_wall(-2 * MAX_AGE_SECONDS)
    assert ids(keeper.usable(desk.now)) == ["first"]
    desk.clock.advance(MAX_AGE_SECONDS + 1)
    assert keeper.usable(desk.now) is None


def test_a_key_that_has_left_the_set_is_not_used_any_more(desk: Desk) -> None:
    """From the next good fetch on."""
    keeper = desk.keeper()
    keeper.fetch()
    desk.issuer.keys = [SECOND.jwk]
    keeper.fetch()
    assert ids(keeper.usable(desk.now)) == ["second"]
    assert keeper.failure is None


def test_a_process_that_starts_while_the_issuer_is_down_has_the_kept_keys(desk: Desk) -> None:
    """With their age, which does not begin again; not those of another issuer."""
    first = desk.keeper()
    first.fetch()
    wait_until(lambda: desk.state.record(kept_keys.KIND, "main") is not None)
    desk.issuer.behavior = "close"
    desk.clock.advance(3_600)

    second = desk.keeper()
    second.start()
    assert ids(second.usable(desk.now)) == ["first"]
    assert second.age_seconds(desk.now) == 3_600
    wait_until(lambda: second.failure is not None)
    assert ids(second.usable(desk.now)) == ["first"]
    desk.clock.advance(MAX_AGE_SECONDS - 3_599)
    assert second.usable(desk.now) is None

    other = desk.keeper(issuer_url=f"{desk.issuer.url}/other")
    other.start()
    assert other.usable(desk.now) is None


def test_a_kept_record_is_checked_like_the_set_of_the_issuer(desk: Desk) -> None:
    """Another release may have written it in another form."""
    keeper = desk.keeper()
    keeper.fetch()
    wait_until(lambda: desk.state.record(kept_keys.KIND, "main") is not None)
    record = desk.state.record(kept_keys.KIND, "main")
    assert record is not None
    changed = [
        record.body.replace('"kty":"EC"', '"kty":"oct"'),
        record.body.replace('"fetched_at":', '"other":'),
        "{",
    ]
    for body in changed:
        desk.state.put_many(kept_keys.KIND, [type(record)("main", body, record.expires_at)])
        source = Blocked()
        keeper = desk.keeper(source=source)
        keeper.start()
        assert keeper.usable(desk.now) is None
        source.answer.set()
    assert list(kept_keys.kept_keys(desk.state)) == []


# --- Requests that wait


@dataclass
class Blocked:
    """An issuer whose answer does not come before `answer` is set."""

    answer: threading.Event = field(default_factory=threading.Event)
    fetches: int = 0

    def fetch(self) -> KeySet:
        """One key, after the answer."""
        self.fetches += 1
        self.answer.wait(20)
        return usable_keys([FIRST.jwk])


def must_wait(call: Callable[[], object]) -> MustWait:
    """What that call waits for, on an event loop."""
    with no_waiting(), pytest.raises(MustWait) as caught:
        call()
    return caught.value


def test_a_request_waits_for_the_first_fetch_without_a_thread(desk: Desk) -> None:
    """An event loop gets a future. It can't cancel the fetch for the others."""
    source = Blocked()
    keeper = desk.keeper(source=source)
    keeper.start()
    wait_until(lambda: source.fetches == 1)
    waits = must_wait(lambda: keeper.current(desk.now))
    (future,) = waits.until
    assert waits.seconds == 3.0
    assert not future.cancel()
    source.answer.set()
    future.result(20)
    with no_waiting():
        assert ids(keeper.current(desk.now)) == ["first"]


def test_no_request_waits_longer_than_3_seconds_after_the_begin_of_a_fetch(desk: Desk) -> None:
    """Those that come later fail at once, while the issuer hangs."""
    source = Blocked()
    keeper = desk.keeper(source=source)
    keeper.start()
    wait_until(lambda: source.fetches == 1)
    desk.clock.advance(2)
    assert must_wait(lambda: keeper.current(desk.now)).seconds == 1.0
    desk.clock.advance(1)
    with no_waiting(), pytest.raises(IssuerUnavailable):
        keeper.current(desk.now)
    source.answer.set()


def test_an_unknown_key_causes_one_fetch_in_each_interval(desk: Desk) -> None:
    """However many unknown keys there are. A new key is found by the first one."""
    keeper = desk.keeper()
    keeper.start()
    wait_until(lambda: keeper.usable(desk.now) is not None)
    desk.issuer.keys = [FIRST.jwk, SECOND.jwk]
    for _ in range(20):
        with no_waiting():  # The last fetch was a moment ago.
            assert ids(keeper.with_unknown_key(desk.now)) == ["first"]
    desk.clock.advance(MIN_INTERVAL_SECONDS)
    assert ids(keeper.with_unknown_key(desk.now)) == ["first", "second"]
    for _ in range(20):
        with no_waiting():
            keeper.with_unknown_key(desk.now)
    assert desk.issuer.fetches == 2


def test_an_unknown_key_is_unavailable_while_the_issuer_is_down(desk: Desk) -> None:
    """It may be a new one, so that a client must not sign its user out."""
    keeper = desk.keeper()
    keeper.fetch()
    desk.issuer.behavior = "close"
    keeper.fetch()
    with no_waiting(), pytest.raises(IssuerUnavailable):
        keeper.with_unknown_key(desk.now)
    with no_waiting():
        assert ids(keeper.current(desk.now)) == ["first"]


def test_keys_that_are_too_old_are_fetched_before_a_request_is_refused(desk: Desk) -> None:
    """As after a suspended machine wakes up."""
    keeper = desk.keeper()
    keeper.start()
    wait_until(lambda: keeper.usable(desk.now) is not None)
    desk.clock.advance(MAX_AGE_SECONDS + 1)
    assert len(must_wait(lambda: keeper.current(desk.now)).until) == 1
    assert ids(keeper.current(desk.now)) == ["first"]


def test_an_operators_request_fetches_at_any_time(desk: Desk) -> None:
    """Also within the interval."""
    keeper = desk.keeper()
    keeper.start()
    wait_until(lambda: keeper.usable(desk.now) is not None)
    desk.issuer.keys = [SECOND.jwk]
    keeper.fetch_soon()
    wait_until(lambda: ids(keeper.usable(desk.now)) == ["second"])
