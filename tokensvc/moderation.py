"""Builds from the settings what carries out revocations: for commands, and a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

from tokensvc.access.bans.log import BanLog
from tokensvc.access.bans.model import Ban, Target
from tokensvc.access.bans.view import BanView
from tokensvc.access.bans.writing import BanWriter
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.clock import Clock
from tokensvc.playback.revocation.calls import IvsRevocations
from tokensvc.playback.revocation.due_ends import DueEnds
from tokensvc.playback.revocation.events import LoopEvent
from tokensvc.playback.revocation.lease import RevocationLease
from tokensvc.playback.revocation.loop import RevocationLoop
from tokensvc.playback.revocation.pending_bans import PendingBans
from tokensvc.revokers import (
    FIRST_ATTEMPT_TERMS,
    covered_channels,
    first_attempt,
)
from tokensvc.settings import Settings
from tokensvc.state.base import State

# The loop makes a failed call again by itself, after a pause.
_TERMS = AwsTerms(read_timeout_seconds=5.0, max_attempts=1)


@contextmanager
def revocation_loop(
    settings: Settings,
    state: State,
    clock: Clock,
    on_event: Callable[[LoopEvent], None],
    *,
    own: Container[str] = (),
) -> Iterator[RevocationLoop]:
    """The loop for all configured regions. It is closed at the end of the block.

    Args:
        settings: the settings.
        state: the shared state.
        clock: the time.
        on_event: gets each event as it happens.
        own: the IDs of bans that no request carries out.

    Raises:
        TokensvcError: at the end, when the state can't be written; what is not noted is done again.
    """
    regions = settings.ivs.regions
    bans = BanView(state, clock, refresh_seconds=settings.rotation.state_refresh_seconds)
    with (
        closing(AwsClients(_TERMS, clock=clock)) as clients,
        ThreadPoolExecutor(len(regions), thread_name_prefix="revocations") as pool,
    ):
        loop = RevocationLoop(
            regions=regions,
            bans=bans,
            writer=BanWriter(BanLog(state, clock), clock, settings.ban_terms(), bans.refresh),
            due_ends=DueEnds(state),
            lease=RevocationLease(state, clock),
            ivs=IvsRevocations(clients, covered_channels(settings)),
            clock=clock,
            submit=pool.submit,
            on_event=on_event,
            own=own,
        )
        try:
            yield loop
        finally:
            loop.close()


def carry_out_at_once(settings: Settings, state: State, clock: Clock, bans: Sequence[Ban]) -> None:
    """Carry out kicks and bans for a short time: what is pending afterwards is for the loop.

    So the kick of one viewer does not wait for a process that has much to do.
    """
    view = BanView(state, clock, refresh_seconds=settings.rotation.state_refresh_seconds)
    writer = BanWriter(BanLog(state, clock), clock, settings.ban_terms(), view.refresh)
    with closing(AwsClients(FIRST_ATTEMPT_TERMS, clock=clock)) as clients:
        first_attempt(settings, clock, writer, clients).carry_out(bans)


@dataclass(frozen=True, slots=True)
class Written:
    """A kick or ban that is stored.

    Attributes:
        ban: the kick or ban.
        is_earlier: whether it was there already, and is still pending.
    """

    ban: Ban
    is_earlier: bool


def write_revocations(
    settings: Settings,
    state: State,
    clock: Clock,
    targets: Iterable[Target],
    *,
    ban_seconds: int | None,
    by: str,
    note: str = "",
) -> Iterator[Written]:
    """Store a kick of each target, or a ban if `ban_seconds` is given, and yield each.

    One of the same target that is still pending is yielded instead of a new one.

    Raises:
        StateUnavailable: when one can't be stored now. Those before it are stored.
    """
    bans = BanView(state, clock, refresh_seconds=settings.rotation.state_refresh_seconds)
    writer = BanWriter(BanLog(state, clock), clock, settings.ban_terms(), bans.refresh)
    pending = PendingBans.in_book(bans.refresh(), clock.now())
    for target in targets:
        earlier = pending.find(target, ban_seconds)
        if earlier is not None:
            yield Written(earlier, is_earlier=True)
        elif ban_seconds is None:
            yield Written(writer.kick(target, by=by, note=note), is_earlier=False)
        else:
            ban = writer.ban(target, seconds=ban_seconds, by=by, note=note)
            yield Written(ban, is_earlier=False)
