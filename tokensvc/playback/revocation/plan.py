"""What is pending in all regions: unconfirmed bans and kicks, and due ends. It calls nothing.

1. Kicks and bans go before due ends.
2. A ban is confirmed when IVS has accepted each of its revocations. A channel that does not exist
   has no viewers, so its revocation counts as accepted.
3. A lifted ban revokes nothing any more.
4. What IVS refuses, such as for a missing permission, is tried again after `REFUSED_SECONDS`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tokensvc.access.bans.model import Ban
from tokensvc.arns import ChannelArn, Region
from tokensvc.ivs.viewer_sessions import NotRevoked, Revocation, Viewer
from tokensvc.playback.revocation.due_ends import StoredDueEnd
from tokensvc.playback.revocation.region_queue import RevocationQueue

REFUSED_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Settled:
    """What one answer of IVS has settled.

    Attributes:
        confirmed: the bans of which nothing is left.
        ended: the due ends whose sessions are revoked.
        refused: the viewers whose sessions IVS did not revoke; another attempt at once is no use.
    """

    confirmed: tuple[Ban, ...]
    ended: tuple[StoredDueEnd, ...]
    refused: tuple[NotRevoked, ...]


@dataclass(slots=True)
class _PendingBan:
    """A ban with the viewers whose revocation IVS has accepted already."""

    ban: Ban
    accepted: set[Viewer] = field(default_factory=set)


class RevocationPlan:
    """The pending revocations. Not for several threads.

    Attributes:
        queues: what is to be sent, by region.
    """

    def __init__(self, regions: Collection[Region]) -> None:
        self.queues: defaultdict[Region, RevocationQueue] = defaultdict(RevocationQueue)
        self._regions = regions
        self._bans: dict[str, _PendingBan] = {}
        self._bans_of: dict[str, list[str]] = {}
        self._channels: dict[Region, Sequence[ChannelArn]] = {}
        self._ends: dict[Viewer, StoredDueEnd] = {}
        self._not_before: dict[Viewer, float] = {}

    @property
    def bans(self) -> Mapping[str, Ban]:
        """The bans that are pending, by ID."""
        return {ban_id: pending.ban for ban_id, pending in self._bans.items()}

    @property
    def ends(self) -> int:
        """How many due ends are pending."""
        return len(self._ends)

    @property
    def oldest_end_at(self) -> int | None:
        """When the first pending due end came, Unix seconds; None if none is pending."""
        return next((stored.due_end.ends_at for stored in self._ends.values()), None)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is pending."""
        return not self._bans and not self._ends

    def unlisted(self) -> Sequence[Region]:
        """The regions of which the channels must be listed, for bans on all channels."""
        if not any(_needs_list(pending.ban) for pending in self._bans.values()):
            return ()
        return [region for region in self._regions if region not in self._channels]

    def list_channels(
        self, region: Region, channels: Sequence[ChannelArn], now: float
    ) -> tuple[Ban, ...]:
        """Note the channels of a region, in the order in which to revoke there.

        Returns the bans of which nothing is left, because there are no channels.
        """
        self._channels[region] = channels
        self._fill_queues(now)
        return tuple(self._take_confirmed(list(self._bans)))

    def set_bans(self, bans: Iterable[Ban], now: float) -> None:
        """Note which bans are pending now; those that are not are forgotten."""
        pending = {ban.ban_id: ban for ban in bans if ban.lifted_at is None}
        if {ban_id: one.ban for ban_id, one in self._bans.items()} == pending:
            return
        if any(_needs_list(ban) and ban_id not in self._bans for ban_id, ban in pending.items()):
            self._channels.clear()  # There may be new channels.
        # After a change of its line, everything is revoked again.
        self._bans = {
            ban_id: known
            if (known := self._bans.get(ban_id)) is not None and known.ban.line == ban.line
            else _PendingBan(ban)
            for ban_id, ban in pending.items()
        }
        self._bans_of = {}
        for ban_id, ban in pending.items():
            for viewer_id in ban.viewer_ids:
                self._bans_of.setdefault(viewer_id, []).append(ban_id)
        self._fill_queues(now)

    def set_ends(self, ends: Iterable[StoredDueEnd], now: float) -> None:
        """Note which due ends are due and not done now, in their order."""
        self._ends = {stored.due_end.viewer: stored for stored in ends}
        self._fill_queues(now)

    def ends_in(self, batch: Iterable[Revocation]) -> Sequence[StoredDueEnd]:
        """The due ends that a call with this batch carries out."""
        return [self._ends[one.viewer] for one in batch if one.viewer in self._ends]

    def begin_end(self, begun: StoredDueEnd) -> None:
        """Note that the due end was marked as begun."""
        self._ends[begun.due_end.viewer] = begun

    def drop_ends(self, viewers: Collection[Viewer], now: float) -> None:
        """Forget the due ends of these viewers, which another process has changed."""
        if viewers:
            for viewer in viewers:
                del self._ends[viewer]
            self._fill_queues(now)

    def answered(
        self,
        region: Region,
        batch: Sequence[Revocation],
        failures: Iterable[NotRevoked],
        now: float,
    ) -> Settled:
        """Note IVS's answer to a call. `now` is monotonic seconds."""
        answer = self.queues[region].answered(batch, failures)
        refused = tuple(one for one in answer.refused if not one.has_no_channel)
        for failure in refused:
            self._not_before[failure.viewer] = now + REFUSED_SECONDS
        lost = {one.viewer for one in answer.refused if one.has_no_channel}
        accepted = [*answer.revoked, *(one for one in batch if one.viewer in lost)]
        return Settled(tuple(self._confirm(accepted)), tuple(self._end(accepted)), refused)

    def channels_left(self, ban_id: str) -> tuple[ChannelArn, ...]:
        """The channels on which a pending ban is not confirmed; none if they are not known yet."""
        pending = self._bans[ban_id]
        if not self._is_expanded(pending.ban):
            return ()
        left = (
            one.viewer.channel_arn
            for one in self._revocations_of(pending.ban)
            if one.viewer not in pending.accepted
        )
        return tuple(dict.fromkeys(left))

    def newly_left(self, ban_id: str) -> tuple[ChannelArn, ...]:
        """The channels that are left of a ban on all channels, if IVS has accepted any; or none."""
        pending = self._bans[ban_id]
        if pending.ban.channel_arn is not None or not pending.accepted:
            return ()
        return self.channels_left(ban_id)

    def _confirm(self, accepted: Sequence[Revocation]) -> Iterator[Ban]:
        changed: dict[str, None] = {}
        for one in accepted:
            for ban_id in self._bans_of.get(one.viewer.viewer_id, ()):
                pending = self._bans.get(ban_id)
                if pending is not None and one.versions_up_to >= pending.ban.line:
                    pending.accepted.add(one.viewer)
                    changed[ban_id] = None
        yield from self._take_confirmed(changed)

    def _take_confirmed(self, ban_ids: Iterable[str]) -> Iterator[Ban]:
        for ban_id in ban_ids:
            ban = self._bans[ban_id].ban
            if self._is_expanded(ban) and not self.channels_left(ban_id):
                del self._bans[ban_id]
                yield ban

    def _end(self, accepted: Sequence[Revocation]) -> Iterator[StoredDueEnd]:
        for one in accepted:
            stored = self._ends.get(one.viewer)
            if stored is not None and one.versions_up_to >= stored.due_end.version:
                del self._ends[one.viewer]
                yield stored

    def _is_expanded(self, ban: Ban) -> bool:
        """Whether all revocations of the ban are known."""
        return not _needs_list(ban) or all(region in self._channels for region in self._regions)

    def _revocations_of(self, ban: Ban) -> Iterator[Revocation]:
        for arn in self._channels_of(ban):
            for viewer_id in ban.viewer_ids:
                yield Revocation(Viewer(arn, viewer_id), ban.line)

    def _channels_of(self, ban: Ban) -> Iterable[ChannelArn]:
        if ban.channel_arn is not None:
            return (ban.channel_arn,)
        if ban.channels_left:
            return ban.channels_left
        return (arn for channels in self._channels.values() for arn in channels)

    def _fill_queues(self, now: float) -> None:
        self._not_before = {one: at for one, at in self._not_before.items() if at > now}
        urgent: dict[Region, list[Revocation]] = defaultdict(list)
        others: dict[Region, list[Revocation]] = defaultdict(list)
        for pending in self._bans.values():
            for one in self._revocations_of(pending.ban):
                if one.viewer not in pending.accepted and one.viewer not in self._not_before:
                    urgent[one.viewer.channel_arn.region].append(one)
        for viewer, stored in self._ends.items():
            if viewer not in self._not_before:
                others[viewer.channel_arn.region].append(stored.due_end.revocation)
        for region in {*self.queues, *urgent, *others}:
            self.queues[region].replace(urgent[region], others[region])


def _needs_list(ban: Ban) -> bool:
    return ban.channel_arn is None and not ban.channels_left
