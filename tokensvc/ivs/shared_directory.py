"""The channel directory of a process whose answers and turns are in the shared state."""

from __future__ import annotations

from functools import partial
from random import Random

from tokensvc.aws import AwsClients
from tokensvc.clock import Clock
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.ivs.caller_shares import CallerShares
from tokensvc.ivs.channels import get_channel, get_channels
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.kept_answers import KeptAnswers
from tokensvc.ivs.shared_turns import SharedTurns
from tokensvc.ivs.turns import Turns
from tokensvc.state.base import State
from tokensvc.state.record_writer import RecordWriter


def shared_directory(
    state: State,
    clients: AwsClients,
    clock: Clock,
    terms: DirectoryTerms,
    writer: RecordWriter,
    turns: Turns | None = None,
    *,
    shares: CallerShares | None = None,
) -> ChannelDirectory:
    """A directory over IVS.

    Args:
        state: where the answers and the turns are.
        clients: the AWS clients.
        clock: the time.
        terms: how long answers are used.
        writer: writes the records of kind `kept_answers.KIND` to the same state. Whoever built it
            starts it and closes it.
        turns: other turns than those in the state.
        shares: limits the lookups of each caller; None for no limit.
    """
    random = Random()  # noqa: S311 # Spreads lookups in time; not used for anything secret.
    return ChannelDirectory(
        partial(get_channel, clients),
        partial(get_channels, clients),
        clock,
        terms,
        random,
        KeptAnswers(state, clock, writer),
        turns or SharedTurns(state, clock, random),
        shares=shares,
    )
