"""A moderator's request: kick or ban a viewer, and let Amazon IVS end the sessions at once.

Every kick or ban is stored before IVS is called, so that nothing is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tokensvc.access.bans import auditing
from tokensvc.access.bans.model import Ban, Target, line_passes_at
from tokensvc.access.bans.view import BanView
from tokensvc.access.bans.writing import BanWriter
from tokensvc.access.callers import Caller
from tokensvc.access.grants import Grant
from tokensvc.access.moderators import require_channel, require_every_channel
from tokensvc.access.revocation_requests import (
    MAX_PAIRS,
    RevocationRequest,
    require_issuer,
)
from tokensvc.access.viewer_ids import ViewerIds
from tokensvc.arns import ChannelArn
from tokensvc.audit import Audit, AuditEvent
from tokensvc.clock import Clock, rfc3339
from tokensvc.errors import InvalidRequest, Problem, SettingsInvalid, TokensvcError
from tokensvc.playback.channel_names import channel_arn_of
from tokensvc.playback.revocation.first_attempt import FirstAttempt
from tokensvc.playback.revocation.pending_bans import PendingBans
from tokensvc.waiting import may_wait


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
        viewer_ids: Callable[[], ViewerIds],
        issuers: Collection[str],
        bans: BanView,
        writer: BanWriter,
        first_attempt: FirstAttempt,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._channel_names = channel_names
        self._grants = grants
        self._viewer_ids = viewer_ids
        self._issuers = issuers
        self._bans = bans
        self._writer = writer
        self._first_attempt = first_attempt
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
        bans = []
        try:
            for ban in self._write(caller, request, self._targets(caller, request)):
                bans.append(ban)
                self._audit.write(
                    auditing.made(
                        ban, at=self._clock.now(), by=caller.caller_id, request_id=request_id
                    )
                )
        except TokensvcError as exc:
            self._audit.write(_refused(caller, request, request_id, exc, self._clock.now()))
            raise
        plan = self._first_attempt.carry_out(bans)
        expected_at = self._first_attempt.expected_at(plan)
        return Revocations(tuple(bans), frozenset(plan.bans), expected_at)

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
        require_issuer(request.issuer, self._issuers)
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
