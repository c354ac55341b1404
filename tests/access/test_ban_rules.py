"""The values of bans, and what they refuse: expected times are in seconds after `NOW`."""

from __future__ import annotations

import time

import pytest

from tests.access.ban_examples import (
    CHANNEL,
    EVERYONE,
    NOW,
    OTHER_CHANNEL,
    TERMS,
    VIEWER,
    VIEWER_EVERYWHERE,
)
from tokensvc.access.bans import model
from tokensvc.access.bans.book import BanBook, book_of
from tokensvc.access.bans.model import FOREVER, Ban, Target
from tokensvc.access.bans.record import Event
from tokensvc.arns import ChannelArn
from tokensvc.errors import NotFound, ViewerBanned, ViewerRevoked

HOUR = 3_600


def kick(target: Target = VIEWER, *, now: float = NOW, ban_id: str = "kick") -> Ban:
    """A kick by a moderator."""
    return model.kick(target, now=now, terms=TERMS, made_by="mod", ban_id=ban_id)


def ban(target: Target = VIEWER, *, seconds: float = HOUR, ban_id: str = "ban") -> Ban:
    """A ban by a moderator, made at `NOW`."""
    return model.ban(target, NOW + seconds, now=NOW, terms=TERMS, made_by="mod", ban_id=ban_id)


def book(*bans: Ban) -> BanBook:
    """The book of these bans, in this order."""
    events = [Event(number, each, each.expires_at) for number, each in enumerate(bans, start=1)]
    return book_of(events, epoch="epoch", number=len(bans))


@pytest.mark.parametrize(
    ("made", "line"),
    [
        # now + skew
        (kick(), NOW + 10),
        (kick(now=NOW + 0.9), NOW + 10),
        # now + 120 of the oldest bans with which a process signs + 5 of the write + skew
        (ban(), NOW + 135),
        (ban(seconds=FOREVER), NOW + 135),
        # A ban that ends before: its end + skew.
        (ban(seconds=60), NOW + 70),
        (ban(EVERYONE), 0),
    ],
)
def test_the_line_is_the_highest_version_that_is_revoked(made: Ban, line: int) -> None:
    """Hand-calculated."""
    assert made.line == line


def test_a_kick_ends_what_was_signed_before_and_nothing_after_its_line() -> None:
    """It says when to try again: when the session version, the whole second, is above the line."""
    with pytest.raises(ViewerRevoked) as raised:
        book(kick()).require_allowed(CHANNEL, ["viewer-1"], NOW + 10, NOW + 10.9)
    assert raised.value.retry_after_seconds == 1
    with pytest.raises(ViewerRevoked) as raised:
        book(kick()).require_allowed(CHANNEL, ["viewer-1"], NOW, NOW)
    assert raised.value.retry_after_seconds == 11
    book(kick()).require_allowed(CHANNEL, ["viewer-1"], NOW + 11, NOW + 11)


def test_a_session_up_to_the_line_is_refused_for_as_long_as_the_kick_is_kept() -> None:
    """A refresh keeps its version. To try again does not help, so there is no Retry-After."""
    with pytest.raises(ViewerRevoked) as raised:
        book(kick()).require_allowed(CHANNEL, ["viewer-1"], NOW - 60, NOW + 3_000)
    assert raised.value.retry_after_seconds is None


def test_a_ban_refuses_until_its_end_and_then_until_its_line_has_passed() -> None:
    """Its line is a skew after its end."""
    bans = book(ban(seconds=60))
    with pytest.raises(ViewerBanned) as banned:
        bans.require_allowed(CHANNEL, ["viewer-1"], NOW + 59, NOW + 59.9)
    assert (banned.value.ban_id, banned.value.problems[0].rule) == ("ban", "viewer_banned")
    with pytest.raises(ViewerRevoked) as raised:
        bans.require_allowed(CHANNEL, ["viewer-1"], NOW + 60, NOW + 60)
    assert raised.value.retry_after_seconds == 11
    bans.require_allowed(CHANNEL, ["viewer-1"], NOW + 71, NOW + 71)


def test_a_ban_applies_to_its_viewer_and_its_channel() -> None:
    """Of a viewer with several IDs, to each of them."""
    bans = book(ban(Target(("new-id", "old-id"), CHANNEL)))
    for viewer_ids in (["new-id"], ["old-id"], ["other", "old-id"]):
        with pytest.raises(ViewerBanned):
            bans.require_allowed(CHANNEL, viewer_ids, NOW, NOW)
    bans.require_allowed(CHANNEL, ["other"], NOW, NOW)
    bans.require_allowed(CHANNEL, [], NOW, NOW)
    bans.require_allowed(OTHER_CHANNEL, ["new-id"], NOW, NOW)


@pytest.mark.parametrize("channel", [CHANNEL, OTHER_CHANNEL])
def test_a_ban_on_all_channels_applies_to_each(channel: ChannelArn) -> None:
    """The target has no channel."""
    with pytest.raises(ViewerBanned):
        book(ban(VIEWER_EVERYWHERE)).require_allowed(channel, ["viewer-1"], NOW, NOW)


@pytest.mark.parametrize("viewer_ids", [[], ["viewer-1"], ["viewer-2"]])
def test_a_closed_channel_refuses_everyone_also_without_a_viewer_id(viewer_ids: list[str]) -> None:
    """The rule says that it is the channel, and the text does not say who closed it."""
    bans = book(ban(EVERYONE))
    with pytest.raises(ViewerBanned) as raised:
        bans.require_allowed(CHANNEL, viewer_ids, NOW, NOW)
    assert raised.value.problems[0].rule == "channel_closed"
    bans.require_allowed(OTHER_CHANNEL, viewer_ids, NOW, NOW)
    bans.require_allowed(CHANNEL, viewer_ids, NOW + HOUR, NOW + HOUR)


def test_a_lifted_ban_refuses_until_its_line_has_passed() -> None:
    """IVS was asked to revoke the sessions up to the line, and can't be asked to undo it."""
    lifted = model.lift(ban(), now=NOW + 20, by="mod")
    assert not lifted.unconfirmed
    assert model.confirm(lifted, (CHANNEL,)) == lifted
    assert (lifted.lifted_at, lifted.line) == (NOW + 20, NOW + 135)
    with pytest.raises(ViewerRevoked) as raised:
        book(lifted).require_allowed(CHANNEL, ["viewer-1"], NOW + 20, NOW + 20)
    assert raised.value.retry_after_seconds == 116
    book(lifted).require_allowed(CHANNEL, ["viewer-1"], NOW + 136, NOW + 136)


def test_a_kick_and_a_lifted_ban_are_not_lifted() -> None:
    """The change changes nothing."""
    lifted = model.lift(ban(), now=NOW, by="mod")
    assert model.lift(lifted, now=NOW + 9, by="another") == lifted
    assert model.lift(kick(), now=NOW, by="mod") == kick()


def test_of_several_bans_the_strictest_applies() -> None:
    """An earlier kick, a ban that was lifted, and one that was not."""
    lifted = model.lift(ban(), now=NOW, by="mod")
    bans = book(kick(), lifted, kick(now=NOW + 130, ban_id="second kick"))
    with pytest.raises(ViewerRevoked) as raised:
        bans.require_allowed(CHANNEL, ["viewer-1"], NOW + 130, NOW + 130)
    assert raised.value.retry_after_seconds == 11
    bans = bans.with_events([Event(4, ban(ban_id="another"), NOW)], 4)
    with pytest.raises(ViewerBanned) as banned:
        bans.require_allowed(CHANNEL, ["viewer-1"], NOW + 130, NOW + 130)
    assert banned.value.ban_id == "another"


def test_a_viewer_who_is_kicked_again_and_again_costs_one_comparison() -> None:
    """Of the kicks on a channel, the one with the last line says everything."""
    kicks = [kick(now=NOW + number, ban_id=str(number)) for number in range(50)]
    shuffled = book(*kicks[25:], *kicks[:25], kick(VIEWER_EVERYWHERE))
    assert [each.line for each in shuffled.of_viewer["viewer-1"]] == [NOW + 59, NOW + 10]
    assert len(list(shuffled.bans)) == 51


def test_a_change_of_a_ban_replaces_it_and_an_older_one_does_not() -> None:
    """By the number of its event."""
    made = ban()
    lifted = model.lift(made, now=NOW, by="mod")
    bans = book(made).with_events([Event(2, lifted, 0.0)], 2)
    assert bans.find("ban") == lifted
    assert bans.with_events([Event(1, made, 0.0)], 2).find("ban") == lifted
    assert bans.of_viewer["viewer-1"] == (lifted,)


def test_a_ban_without_a_record_is_forgotten_by_a_read_of_everything() -> None:
    """Unless it was written after the read began."""
    bans = book(kick(), ban())
    assert [each.ban_id for each in bans.reread([], 1).bans] == ["ban"]
    assert list(bans.reread([], 2).bans) == []
    with pytest.raises(NotFound):
        bans.reread([], 2).find("ban")


@pytest.mark.parametrize(
    ("made", "kept_until"),
    [
        (model.confirm(kick()), NOW + 10 + 25 * HOUR),
        (model.confirm(ban()), NOW + HOUR + 25 * HOUR),
        (model.confirm(ban(seconds=FOREVER)), FOREVER + 25 * HOUR),
        # Nothing was confirmed by IVS: a session may go on for days.
        (kick(), NOW + 10 + 30 * 24 * HOUR),
        (model.lift(model.confirm(ban()), now=NOW + 200, by="mod"), NOW + 200 + 25 * HOUR),
        (ban(EVERYONE), NOW + HOUR + 25 * HOUR),
    ],
)
def test_a_ban_is_kept_while_something_depends_on_it(made: Ban, kept_until: int) -> None:
    """A token that is refreshed keeps its version for 24 hours; an hour more for the clocks."""
    assert made.expires_at == kept_until


def test_what_is_over() -> None:
    """Neither a ban that refuses, nor a line to come, nor what IVS has not confirmed."""
    confirmed = model.confirm(kick())
    assert [confirmed.is_over(NOW + 10), confirmed.is_over(NOW + 11)] == [False, True]
    assert not kick().is_over(NOW + HOUR)
    assert not model.confirm(ban()).is_over(NOW + HOUR - 1)
    assert model.confirm(ban()).is_over(NOW + HOUR)


def test_what_ivs_has_not_confirmed() -> None:
    """More than 1,000 channels are not listed."""
    partly = model.confirm(ban(VIEWER_EVERYWHERE), (CHANNEL,))
    assert (partly.unconfirmed, partly.channels_left) == (True, (CHANNEL,))
    many = model.confirm(partly, (CHANNEL,) * 1_001)
    assert (many.unconfirmed, many.channels_left) == (True, ())
    done = model.confirm(many)
    assert (done.unconfirmed, done.channels_left) == (False, ())


def test_a_target_that_ivs_could_not_revoke_or_that_would_stop_everything() -> None:
    """IVS revokes the sessions of viewers who are named."""
    with pytest.raises(ValueError, match="viewer"):
        kick(EVERYONE)
    with pytest.raises(ValueError, match="one channel"):
        ban(Target((), None))


def test_a_viewer_with_very_many_bans_costs_little_to_read() -> None:
    """20,000 of one viewer, as by a program that bans again and again: read in 0.1 s, not 60 s."""
    made = [
        model.ban(VIEWER, NOW + HOUR, now=NOW + n, terms=TERMS, made_by="mod", ban_id=f"{n:016x}")
        for n in range(20_000)
    ]
    began = time.process_time()

    known = book(*made)

    assert time.process_time() - began < 5
    assert len(known.of_viewer["viewer-1"]) == 20_000
    with pytest.raises(ViewerBanned):
        known.require_allowed(CHANNEL, ["viewer-1"], NOW, NOW)
