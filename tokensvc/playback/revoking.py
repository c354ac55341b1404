"""A moderator's request: kick or ban a viewer, and let Amazon IVS end the sessions at once.

1. Every kick or ban is stored before IVS is called, so that nothing is forgotten.
2. IVS is called for `PATIENCE_SECONDS`, and for at most `MAX_PAIRS` viewer IDs and channels.
3. What IVS has not confirmed by then stays pending. `tokensvc viewers end-due` carries it out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tokensvc.access.bans.model import Ban, Target, line_passes_at
from tokensvc.access.bans.view import BanView
from tokensvc.access.bans.writing import BanWriter
from tokensvc.access.callers import Caller
from tokensvc.access.grants import Grant
from tokensvc.access.moderators import require_channel, require_every_channel
from tokensvc.access.revocation_requests import MAX_PAIRS, RevocationRequest
from tokensvc.access.viewer_ids import ViewerIds
from tokensvc.arns import ChannelArn, Region
from tokensvc.audit import Audit, AuditEvent
from tokensvc.clock import Clock, rfc3339
from tokensvc.errors import InvalidRequest, Problem, SettingsInvalid, TokensvcError
from tokensvc.ivs.errors import Throttled
from tokensvc.playback.channel_names import channel_arn_of
from tokensvc.playback.pending_bans import PendingBans
from tokensvc.playback.revocation_loop import FRESH_BAN_SECONDS, Ivs
from tokensvc.playback.revocation_plan import RevocationPlan
from tokensvc.waiting import may_wait

PATIENCE_SECONDS: Final = 2.2
"""No call is made later. There is time for `MAX_PAIRS` in one region."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Revocations:
    """What became of a request.

    Attributes:
        bans: the kicks or bans, one for each channel or one for all channels.
        pending: the IDs of those that IVS has not confirmed.
        expected_at: when IVS is expected to have confirmed all if a process carries them out, Unix
            seconds; None if nothing is pending, or if the channels could not be listed.
    """

    bans: tuple[Ban, ...]
    pending: frozenset[str]
    expected_at: float | None

    def members(self) -> dict[str, object]:
        """The JSON members that programs get."""
        return {
            "revocations": [
                {
                    "ban_id": ban.ban_id,
                    "viewer_ids": list(ban.viewer_ids),
                    "channel_arn": None if ban.channel_arn is None else str(ban.channel_arn),
                    "banned_until": None if ban.banned_until is None else rfc3339(ban.banned_until),
                    "line_passes_at": rfc3339(line_passes_at(ban.line)),
                    "pending": ban.ban_id in self.pending,
                }
                for ban in self.bans
            ],
            "pending": len(self.pending),
            "expected_at": None if self.expected_at is None else rfc3339(self.expected_at),
        }


class Revoker:
    """Carries out the requests of moderators; shared by all threads of a process."""

    def __init__(  # noqa: PLR0913 # One for each part of the decision.
        self,
        *,
        channel_names: Mapping[str, ChannelArn],
        grants: Mapping[str, Grant],
        regions: Sequence[Region],
        viewer_ids: Callable[[], ViewerIds],
        bans: BanView,
        writer: BanWriter,
        ivs: Ivs,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._channel_names = channel_names
        self._grants = grants
        self._regions = regions
        self._viewer_ids = viewer_ids
        self._bans = bans
        self._writer = writer
        self._ivs = ivs
        self._audit = audit
        self._clock = clock

    def revoke(self, caller: Caller, request: RevocationRequest, request_id: str) -> Revocations:
        """Kick or ban the viewer, and return what IVS has confirmed.

        Raises:
            NotPermitted: when the caller does not have the scope `moderate`.
            InvalidRequest: when the request breaks a rule, or is for too many channels.
            NotEntitled: when the caller's grants do not cover every channel of the request.
            StateUnavailable: when the kick or ban can't be stored. Send the request again.
            AuditUnavailable: when the audit can't be written. The same.
        """
        may_wait()
        try:
            targets = self._targets(caller, request)
            bans = tuple(self._write(caller, request, targets))
        except TokensvcError as exc:
            self._audit.write(_refused(caller, request, request_id, exc, self._clock.now()))
            raise
        for ban in bans:
            self._audit.write(_made(caller, ban, request_id, self._clock.now()))
        plan = RevocationPlan(self._regions)
        plan.set_bans((ban for ban in bans if ban.unconfirmed), self._clock.monotonic())
        self._call_ivs(plan)
        pending = frozenset(plan.bans)
        # After the calls, which are more urgent.
        confirmed = [ban.ban_id for ban in bans if ban.unconfirmed and ban.ban_id not in pending]
        self._confirm(dict.fromkeys(confirmed, ()))
        self._confirm({ban_id: left for ban_id in pending if (left := plan.newly_left(ban_id))})
        return Revocations(bans, pending, self._expected_at(plan))

    def _targets(self, caller: Caller, request: RevocationRequest) -> Sequence[Target]:
        caller.require("moderate")
        request.require_valid()
        viewer_ids = self._viewer_ids_of(request)
        if request.all_channels:
            require_every_channel(self._grants, caller)
            return (Target(viewer_ids, None),)
        arns = [channel_arn_of(self._channel_names, caller, one) for one in request.channel_names]
        for arn in arns:
            require_channel(self._grants, caller, arn)
        if len(viewer_ids) * len(arns) > MAX_PAIRS:
            message = f"The request is for more than {MAX_PAIRS} viewer IDs and channels."
            raise InvalidRequest(
                message,
                hint="Split it, or use `tokensvc viewers revoke`, which has no such limit.",
                problems=(Problem("channels", "too_many_pairs", message),),
            )
        return [Target(viewer_ids, arn) for arn in dict.fromkeys(arns)]

    def _viewer_ids_of(self, request: RevocationRequest) -> tuple[str, ...]:
        if request.issuer is None or request.subject is None:
            return (request.viewer_id or "",)
        try:
            viewer_ids = self._viewer_ids()
        except SettingsInvalid as exc:
            message = "This service computes no viewer IDs of users: its secrets are not set up."
            raise InvalidRequest(
                message,
                hint="Name the viewer by `viewer_id`.",
                problems=(Problem("issuer", "no_viewer_id_secret", message),),
            ) from exc
        return viewer_ids.of(request.issuer, request.subject)

    def _write(
        self, caller: Caller, request: RevocationRequest, targets: Sequence[Target]
    ) -> Iterator[Ban]:
        """Store a kick or ban of each target, unless one is pending: the request was sent again."""
        pending = PendingBans.just_made(self._bans.refresh(), self._clock.now())
        seconds, by, note = request.ban_seconds, caller.caller_id, request.note
        for target in targets:
            if (earlier := pending.find(target, seconds)) is not None:
                yield earlier
            elif seconds is None:
                yield self._writer.kick(target, by=by, note=note)
            else:
                yield self._writer.ban(target, seconds=seconds, by=by, note=note)
        self._bans.refresh()  # So that this process refuses at once.

    def _call_ivs(self, plan: RevocationPlan) -> None:
        """Call IVS in each region, as long as there is time."""
        give_up_at = self._clock.monotonic() + PATIENCE_SECONDS
        left = MAX_PAIRS
        for region in dict.fromkeys((*plan.unlisted(), *plan.queues)):
            try:
                left -= self._call_region(plan, region, give_up_at, left)
            except TokensvcError as exc:
                _logger.warning("Kicks and bans in %s stay pending: %s", region, exc)

    def _call_region(
        self, plan: RevocationPlan, region: Region, give_up_at: float, max_pairs: int
    ) -> int:
        """How many pairs were sent to IVS."""
        clock, sent = self._clock, 0
        if region in plan.unlisted() and clock.monotonic() < give_up_at:
            plan.list_channels(region, self._ivs.channels(region), clock.monotonic())
        queue, pause_seconds = plan.queues[region], 0.0
        while batch := queue.next_batch()[: max_pairs - sent]:
            if clock.monotonic() + pause_seconds >= give_up_at:
                break
            clock.sleep(pause_seconds)
            try:
                failures = self._ivs.revoke(region, batch)
            except Throttled:
                queue.call_failed()
                pause_seconds = queue.pause_seconds
                continue
            sent += len(batch)
            plan.answered(region, batch, failures, clock.monotonic())
            pause_seconds = queue.pause_seconds
        return sent

    def _confirm(self, left: Mapping[str, tuple[ChannelArn, ...]]) -> None:
        """Record that each ban is confirmed but for the channels that are left.

        If that fails, it is carried out once more.
        """
        try:
            for ban_id, channels in left.items():
                self._writer.confirm(ban_id, channels)
        except TokensvcError as exc:
            _logger.warning("Can't record that IVS has revoked sessions: %s", exc)

    def _expected_at(self, plan: RevocationPlan) -> float | None:
        if not plan.bans or plan.unlisted():
            return None
        longest = max((queue.left_seconds for queue in plan.queues.values()), default=0.0)
        return self._clock.now() + FRESH_BAN_SECONDS + longest


def _made(caller: Caller, ban: Ban, request_id: str, now: float) -> AuditEvent:
    decision: Literal["kicked", "banned"] = "kicked" if ban.is_kick else "banned"
    return AuditEvent(
        at=now,
        decision=decision,
        caller_id=caller.caller_id,
        channel_arn=None if ban.channel_arn is None else str(ban.channel_arn),
        viewer_id=",".join(ban.viewer_ids),
        ban_id=ban.ban_id,
        request_id=request_id,
    )


def _refused(
    caller: Caller, request: RevocationRequest, request_id: str, error: TokensvcError, now: float
) -> AuditEvent:
    return AuditEvent(
        at=now,
        decision="refused",
        code=error.code,
        caller_id=caller.caller_id,
        channel=",".join(request.channel_names[:1]) or None,
        request_id=request_id,
    )
