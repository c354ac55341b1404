"""Whatever the order of calls and faults, no change of a ban is lost to a reader or a writer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.access.ban_examples import NOW, TERMS, VIEWER
from tests.access.turns import Actor, Fate, TurnState
from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.support.clock import ManualClock
from tests.support.sizes import sized
from tokensvc.access.bans import model
from tokensvc.access.bans.book import BanBook
from tokensvc.access.bans.log import BanLog
from tokensvc.access.bans.model import Ban
from tokensvc.errors import StateUnavailable, TokensvcError

FATES = st.one_of(st.just(Fate.ANSWERED), st.just(Fate.ANSWERED), st.sampled_from(Fate))
TURNS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12), FATES), max_size=40)
"""An actor, how many of its calls are answered, and what becomes of the one after them."""


@dataclass
class Fleet:
    """Writers, and a reader that polls and reads everything again, on one store.

    Attributes:
        store: what is stored.
        done: what was acknowledged to a moderator: `made A`, `lifted A`, `confirmed A`.
        book: what the reader knows.
    """

    store: MemoryStore = field(default_factory=MemoryStore)
    done: set[tuple[str, str]] = field(default_factory=set)
    book: BanBook | None = None

    def write(self, state: TurnState, ban_id: str) -> None:
        """Make a ban, confirm it, lift it. A moderator tries again for some time."""
        log = BanLog(state, ManualClock())
        made = model.ban(
            VIEWER, NOW + 3_600, now=NOW, terms=TERMS, made_by="mod", ban_id=f"{ban_id}-own"
        )
        self._append(log, "made", made.ban_id, made)
        self._append(log, "confirmed", made.ban_id, None)
        # The others confirm and lift this one at the same time.
        shared = replace(made, ban_id="shared")
        self._append(log, "made", "shared", shared)
        self._append(log, "lifted" if ban_id == "a" else "confirmed", "shared", None)

    def _append(self, log: BanLog, what: str, ban_id: str, made: Ban | None) -> None:
        def change(book: BanBook) -> Ban:
            if what == "made":
                event = book.events.get(ban_id)
                assert made is not None
                return made if event is None else event.ban
            if what == "lifted":
                return model.lift(book.find(ban_id), now=NOW, by="mod")
            return model.confirm(book.find(ban_id))

        for _ in range(3):
            try:
                log.append(BanBook(), change)
            except StateUnavailable:
                continue
            except TokensvcError:
                return  # The ban was never made.
            self.done.add((what, ban_id))
            return

    def poll(self, state: TurnState) -> None:
        """Follow the log, some times."""
        log = BanLog(state, ManualClock())
        for _ in range(6):
            before = set(self.done)
            try:
                self.book = log.follow(self.book, state.load("bans"))
            except StateUnavailable:
                continue
            assert before <= known_in(self.book)

    def reread(self, state: TurnState) -> None:
        """Read everything again, some times, while the other thread polls."""
        log = BanLog(state, ManualClock())
        for _ in range(6):
            began = self.book
            try:
                stored = log.stored(began or BanBook())
            except StateUnavailable:
                continue
            if began is not None and self.book is not None and self.book.epoch == began.epoch:
                before = self.done & known_in(self.book)
                self.book = self.book.reread(stored, began.number)
                assert before <= known_in(self.book)


def known_in(book: BanBook) -> set[tuple[str, str]]:
    """What the book says of the bans."""
    bans = list(book.bans)
    return {
        *(("made", ban.ban_id) for ban in bans),
        *(("lifted", ban.ban_id) for ban in bans if ban.lifted_at is not None),
        *(("confirmed", ban.ban_id) for ban in bans if not ban.unconfirmed),
    }


@settings(max_examples=sized(short=60, full=3_000))
@given(TURNS)
def test_no_acknowledged_change_is_missed_or_lost(turns: list[tuple[int, int, Fate]]) -> None:
    """Not by a poll that began after the acknowledgement, and not in the end."""
    fleet = Fleet()
    actors = [
        Actor(fleet.store, lambda state: fleet.write(state, "a")),
        Actor(fleet.store, lambda state: fleet.write(state, "b")),
        Actor(fleet.store, lambda state: fleet.write(state, "c")),
        Actor(fleet.store, fleet.poll),
        Actor(fleet.store, fleet.reread),
    ]
    for number, answered, fate in turns:
        for each in [Fate.ANSWERED] * answered + [fate]:
            actors[number].step(each)
    while any(not actor.is_done for actor in actors):
        for actor in actors:
            actor.step(Fate.ANSWERED)

    stored = BanLog(MemoryState(fleet.store), ManualClock()).read()
    assert fleet.done <= known_in(stored)
    # A ban that was lifted does not come back when its last event expires.
    log = BanLog(MemoryState(fleet.store), ManualClock())
    log.append(
        stored, lambda _: model.kick(VIEWER, now=NOW, terms=TERMS, made_by="mod", ban_id="d")
    )
    last = log.read().events
    assert all(
        event.expires_at <= last[event.ban.ban_id].expires_at for event in log.stored(BanBook())
    )
