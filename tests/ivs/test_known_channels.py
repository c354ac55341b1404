"""What a directory knows is shown without a look-up and without a use of it."""

from __future__ import annotations

import pytest

from tests.ivs.staged_ivs import NOT_FOUND, STAGE, UNAVAILABLE, StagedIvs, arn_of, seeded_random
from tests.support.clock import ManualClock
from tokensvc.errors import ChannelNotFound, IvsUnavailable
from tokensvc.ivs.cache_entry import DirectoryTerms, KnownChannel
from tokensvc.ivs.directory import ChannelDirectory

OTHER, THIRD = arn_of("other"), arn_of("third")


@pytest.fixture
def directory(ivs: StagedIvs, clock: ManualClock) -> ChannelDirectory:
    """Fresh for exactly 300 s, usable for 86,400 s, negative for 10 s; at most two channels."""
    terms = DirectoryTerms(capacity=2, jitter=0.0)
    return ChannelDirectory(ivs.get_channel, ivs.get_channels, clock, terms, seeded_random())


def test_an_answer_has_its_age_and_the_time_until_the_next_look_up(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """By the time when it was asked for; nothing is known about another channel."""
    directory.get(STAGE)
    clock.advance(100)
    assert directory.known([STAGE, OTHER]) == [KnownChannel(STAGE, "private", 100.0, 200.0)]
    clock.advance(1_000)
    assert directory.known([STAGE]) == [KnownChannel(STAGE, "private", 1_100.0, 0.0)]
    assert ivs.lookups == [STAGE]


def test_a_channel_that_does_not_exist_is_absent(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """For as long as that answer is used."""
    ivs.error = NOT_FOUND
    with pytest.raises(ChannelNotFound):
        directory.get(STAGE)
    clock.advance(4)
    assert directory.known([STAGE]) == [KnownChannel(STAGE, "absent", 4.0, 6.0)]


def test_without_an_answer_a_channel_is_unknown(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """Amazon IVS fails, and no earlier answer may be used."""
    ivs.error = UNAVAILABLE
    with pytest.raises(IvsUnavailable):
        directory.get(STAGE)
    assert directory.known([STAGE]) == [KnownChannel(STAGE, "unknown", None, 10.0)]


def test_to_show_a_channel_does_not_keep_it_in_the_cache(directory: ChannelDirectory) -> None:
    """The one that no request has used for longest makes room."""
    directory.get(STAGE)
    directory.get(OTHER)
    directory.known([STAGE])
    directory.get(THIRD)
    assert [known.arn for known in directory.known([STAGE, OTHER, THIRD])] == [OTHER, THIRD]
    assert directory.size == 2
