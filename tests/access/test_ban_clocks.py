"""No token plays that must not, whatever the clocks and the ages: in virtual time.

All times are in eighths of a second, which floating point has exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import example, given
from hypothesis import strategies as st

from tests.access.ban_examples import CHANNEL, NOW, TERMS, VIEWER
from tokensvc.access.bans import model
from tokensvc.access.bans.book import BanBook, book_of
from tokensvc.access.bans.check import BanCheck
from tokensvc.access.bans.model import FOREVER, Ban
from tokensvc.access.bans.record import Event
from tokensvc.access.callers import Caller
from tokensvc.clock import Moment
from tokensvc.errors import ViewerBanned, ViewerRevoked

CALLER = Caller("id", "backend", ("open",))


def seconds(least: int, most: int) -> st.SearchStrategy[float]:
    """Seconds between so many eighths, and often one of the two."""
    extremes = st.sampled_from([least, most])
    return st.one_of(extremes, extremes, st.integers(least, most)).map(lambda each: each / 8)


SKEW = seconds(-40, 40)
"""Two clocks differ by 10 s at most."""

FRACTION = seconds(0, 7)


@dataclass(frozen=True)
class Worker:
    """A worker whose clock differs from the true time by `ahead` seconds, and what it knows."""

    ahead: float
    book: BanBook

    def within(self, _max_age_seconds: float, _moment: Moment) -> BanBook:
        """The bans that it knows."""
        return self.book

    def mint(self, at: float) -> int | None:
        """The session version of the token that is signed at that true time; None if refused."""
        moment = Moment(at + self.ahead, at)
        try:
            BanCheck(self, 120).require_allowed(CALLER, CHANNEL, "viewer-1", moment)
        except (ViewerBanned, ViewerRevoked):
            return None
        return int(moment.now)


def knowing(ahead: float, *bans: Ban) -> Worker:
    """A worker that knows these bans."""
    events = [Event(number, ban, 0) for number, ban in enumerate(bans, start=1)]
    return Worker(ahead, book_of(events, epoch="", number=len(bans)))


@given(of_moderator=SKEW, of_worker=SKEW, fraction=FRACTION, before=st.integers(0, 600))
def test_a_kick_ends_every_session_that_began_before_it(
    of_moderator: float, of_worker: float, fraction: float, before: int
) -> None:
    """Also one of the same second, and one that is signed meanwhile: its clock was read before."""
    kicked_at = NOW + fraction
    kick = model.kick(
        VIEWER, now=kicked_at + of_moderator, terms=TERMS, made_by="mod", ban_id="kick"
    )
    version = knowing(of_worker).mint(kicked_at - before / 8)
    assert version is not None
    assert version <= kick.line


@given(
    of_moderator=SKEW,
    of_worker=SKEW,
    fraction=FRACTION,
    lasts=st.one_of(st.just(FOREVER), st.just(FOREVER), st.integers(1, 300)),
    write=seconds(0, 40),
    read_before=seconds(1, 40),
    age=seconds(0, 960),
)
@example(
    of_moderator=-5.0,
    of_worker=5.0,
    fraction=0.875,
    lasts=FOREVER,
    write=5.0,
    read_before=0.125,
    age=120.0,
)
def test_a_worker_that_does_not_know_of_a_ban_signs_what_is_revoked(
    of_moderator: float,
    of_worker: float,
    fraction: float,
    lasts: int,
    write: float,
    read_before: float,
    age: float,
) -> None:
    """It has read the bans before the write ended, and signs with them until they are 120 s old."""
    banned_at = NOW + fraction
    now = banned_at + of_moderator
    ban = model.ban(VIEWER, now + lasts, now=now, terms=TERMS, made_by="mod", ban_id="ban")
    signed_at = banned_at + write - read_before + age
    version = knowing(of_worker).mint(signed_at)
    assert version is not None
    if signed_at + of_moderator < (ban.banned_until or 0):
        assert version <= ban.line


@given(
    of_moderator=SKEW,
    of_worker=SKEW,
    fraction=FRACTION,
    lasts=st.integers(1, 300),
    after=seconds(0, 4_000),
    is_lifted=st.booleans(),
)
def test_a_worker_that_knows_of_a_ban_signs_nothing_that_is_revoked(
    of_moderator: float,
    of_worker: float,
    fraction: float,
    lasts: int,
    after: float,
    *,
    is_lifted: bool,
) -> None:
    """A URL that is handed out plays. It is handed out as soon as the ban and its line are over."""
    now = NOW + fraction + of_moderator
    ban = model.ban(VIEWER, now + lasts, now=now, terms=TERMS, made_by="mod", ban_id="ban")
    if is_lifted:
        ban = model.lift(ban, now=now, by="mod")
    signed_at = NOW + fraction + after
    version = knowing(of_worker, ban).mint(signed_at)
    by_its_clock = signed_at + of_worker
    is_over = (
        is_lifted or by_its_clock >= (ban.banned_until or 0)
    ) and by_its_clock >= ban.line + 1
    assert (version is not None) == is_over
    assert version is None or version > ban.line
