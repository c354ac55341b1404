"""The path of a request: may this caller give this viewer this channel, and with which URL?

The endpoint, the batch and `tokensvc tokens sign` all call `issue`. It reads the clock once, so
that the age of the ring's view, `exp` and the session version use the same time. Each call writes
one line to the audit log, whether the request is granted or refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from time import perf_counter

from tokensvc.access.bans.check import BanCheck
from tokensvc.access.callers import Caller
from tokensvc.access.entitlement import EntitlementHook
from tokensvc.access.entitlement_question import Question
from tokensvc.access.grants import Grant, Limits, decide, scope
from tokensvc.access.requests import PlaybackRequest
from tokensvc.arns import ChannelArn, Region
from tokensvc.audit import Audit
from tokensvc.clock import Clock, Moment
from tokensvc.errors import (
    ChannelNotFound,
    ChannelNotPrivate,
    EntitlementUnavailable,
    InvalidRequest,
    NotEntitled,
    TokensvcError,
)
from tokensvc.ivs.clock_watch import ClockWatch
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.model import Channel
from tokensvc.keyring.view import RingView
from tokensvc.meter import Meter
from tokensvc.playback.batch_questions import BatchQuestions
from tokensvc.playback.channel_names import channel_arn_of
from tokensvc.playback.decisions import Claimed, Decision
from tokensvc.playback.entitling import entitled
from tokensvc.playback.refreshing import kept_version
from tokensvc.playback.revocation.due_ends import DueEnds, due_end_of, earliest, watch_end, within
from tokensvc.playback.urls import PlaybackUrl, with_token
from tokensvc.spans import CURRENT, NO_SPAN, NOTHING
from tokensvc.token.claims import PlaybackClaims
from tokensvc.token.jws import sign

_REFRESH_SHARE_PERCENT = 80


@dataclass(frozen=True, slots=True)
class PlaybackLimits(Limits):
    """The limits of the service, which apply under every grant.

    Attributes:
        allow_plain_urls: whether a request for a public channel gets its URL, without a token.
    """

    allow_plain_urls: bool = False


class PlaybackIssuer:
    """Decides requests for playback URLs and signs; shared by all threads of a process."""

    def __init__(  # noqa: PLR0913 # One for each part of the decision.
        self,
        *,
        channel_names: Mapping[str, ChannelArn],
        grants: Mapping[str, Grant],
        directory: ChannelDirectory,
        rings: Mapping[Region, RingView],
        bans: BanCheck,
        due_ends: DueEnds,
        limits: PlaybackLimits,
        audit: Audit,
        clock: Clock,
        clock_watch: ClockWatch,
        meter: Meter,
        entitlement_hook: EntitlementHook | None = None,
    ) -> None:
        self._channel_names = channel_names
        self._grants = grants
        self._directory = directory
        self._rings = rings
        self._bans = bans
        self._due_ends = due_ends
        self._limits = limits
        self._audit = audit
        self._clock = clock
        self._clock_watch = clock_watch
        self._meter = meter
        self._entitlement_hook = entitlement_hook

    def issue(
        self,
        caller: Caller,
        request: PlaybackRequest,
        request_id: str | None = None,
        client_country: str | None = None,
    ) -> PlaybackUrl:
        """The playback URL that this caller may give to the viewer.

        Args:
            caller: who sent the request.
            request: the request.
            request_id: the ID of the request in the audit and in the log, if it has one.
            client_country: the country of the client, as a trusted proxy says; None if unknown.

        Raises:
            NotPermitted: when the caller does not have the scope `mint`.
            InvalidRequest: when the request breaks a rule; `problems` lists all broken claim rules.
            NotEntitled: when no grant covers the channel, its name is not configured, the grant
                does not allow an origin or the viewer, or the entitlement hook refuses.
            CountryNotAllowed: when the grant does not allow the country of the viewer.
            ChannelNotFound: when the channel does not exist, or its region is not configured.
            ChannelNotPrivate: when the channel is public and plain URLs are not allowed.
            ViewerBanned: when the viewer is banned, or the channel is closed for everyone.
            ViewerRevoked: when the viewer's sessions were revoked a moment ago.
            ClockOff: when the clock of this machine is off.
            IvsUnavailable: when the channel can't be looked up.
            RateLimited: when the caller requests too many unknown channels.
            NoSigningKey: when the region has no active key pair.
            StateUnavailable: when the view of the ring is too old to sign from (rule 3), or the
                bans are.
            CustodyUnavailable: when the private key can't be used now.
            EntitlementUnavailable: when the entitlement hook gives no valid answer in time.
        """
        moment = Moment.of(self._clock)
        decision = Decision(moment, caller, request, request_id, client_country)
        try:
            url = self._decide(decision)
        except Exception as failure:
            self._audit.write(decision.refused_event(failure))
            raise
        # Before the URL is returned: if the audit can't be written, nothing is granted.
        self._audit.write(decision.granted_event(url))
        return url

    def prepare(self, caller: Caller, requests: Iterable[PlaybackRequest]) -> None:
        """Do what waits for the next requests together, for a batch.

        Look up channels, and read rings and bans that are too old.

        Only what `issue` would do for this caller. Nothing is refused or audited.
        """
        if "mint" not in caller.scopes:
            return
        arns = set(self._channels_to_look_up(caller, requests))
        self._directory.warm(arns, caller.caller_id)
        moment = Moment.of(self._clock)
        with contextlib.suppress(TokensvcError):  # `issue` raises it for each request.
            self._bans.require_known(moment)
        for region in {arn.region for arn in arns}:
            with contextlib.suppress(TokensvcError):  # `issue` raises it for each request.
                self._rings[region].active(moment)

    def questions(
        self,
        caller: Caller,
        requests: Iterable[PlaybackRequest],
        request_id: str | None = None,
        client_country: str | None = None,
    ) -> BatchQuestions | None:
        """What to ask the entitlement hook for the next requests, after `prepare`, if anything."""
        if self._entitlement_hook is None or "mint" not in caller.scopes:
            return None

        def question_about(request: PlaybackRequest) -> Question | None:
            request = replace(request, refresh_of=None)  # `issue` verifies it.
            moment = Moment.of(self._clock)
            return self._question(Decision(moment, caller, request, request_id, client_country))

        return BatchQuestions(self._entitlement_hook, question_about, requests)

    def _question(self, decision: Decision) -> Question | None:
        with contextlib.suppress(TokensvcError):  # `issue` raises it.
            claimed = self._claim(decision)
            if isinstance(claimed, Claimed) and claimed.granted.grant.entitlement:
                return claimed.question(decision)
        return None

    def _channels_to_look_up(
        self, caller: Caller, requests: Iterable[PlaybackRequest]
    ) -> Iterator[ChannelArn]:
        for request in requests:
            with contextlib.suppress(InvalidRequest, ChannelNotFound, NotEntitled):
                arn = self._channel_arn(caller, request.channel)
                scope(self._grants, caller, arn)
                self._ring(arn)
                yield arn

    def _decide(self, decision: Decision) -> PlaybackUrl:
        claimed = self._claim(decision)
        if isinstance(claimed, PlaybackUrl):
            return claimed
        claims = claimed.claims
        if claimed.granted.grant.entitlement:
            claims = self._entitled(decision, claimed)
        due_end = None
        if decision.watch_until is not None:
            due_end = due_end_of(claims, decision.watch_until, decision.moment.now)
        begun_at = perf_counter()
        token = sign(claims, claimed.key.signer)
        seconds = perf_counter() - begun_at
        self._meter.signed(seconds)
        if (span := CURRENT.get()) is not NO_SPAN:
            span.note("sign", seconds, NOTHING)
        decision.session_version = claims.viewer_session_version
        if due_end is not None:
            # Before the URL is returned: if the end can't be stored, nothing is granted.
            decision.watch_until = self._due_ends.store(due_end).ends_at
        return PlaybackUrl(
            playback_url=with_token(claimed.channel.playback_url, token),
            token=token,
            channel_arn=claims.channel_arn,
            viewer_id=claims.viewer_id,
            expires_at=claims.expires_at,
            ttl_seconds=claims.ttl_seconds,
            refresh_after_seconds=_refresh_after_seconds(claims.ttl_seconds),
            key_id=claimed.key.key_id,
            watch_until=decision.watch_until,
        )

    def _claim(self, decision: Decision) -> Claimed | PlaybackUrl:
        """What is signed unless the entitlement hook objects, or the plain URL of the channel."""
        request, moment = decision.request, decision.moment
        decision.caller.require("mint")
        arn = decision.channel_arn = self._channel_arn(decision.caller, request.channel)
        grant = decision.grant = scope(self._grants, decision.caller, arn)
        ring = self._ring(arn)
        self._clock_watch.require_right(moment)
        channel = self._directory.get(arn, decision.caller.caller_id)
        granted = decision.granted = decide(
            grant, decision.caller, request, self._limits, decision.client_country
        )
        viewer_id = granted.request.viewer_id
        if request.refresh_of is not None:
            decision.session_version = kept_version(
                request.refresh_of, ring, moment, channel_arn=arn, viewer_id=viewer_id
            )
        self._bans.require_allowed(
            decision.caller, arn, viewer_id, moment, version=decision.session_version
        )
        if request.watch_until is not None or grant.max_watch_seconds is not None:
            began_at = decision.session_version or int(moment.now)
            decision.watch_until = watch_end(
                request.watch_until, grant.max_watch_seconds, began_at, moment.now
            )
        if not channel.is_private:
            return self._plain_url(channel, decision.watch_until)
        key = ring.active(moment)
        options = granted.options(key.longest_ttl_seconds)
        if decision.watch_until is not None:
            options = within(options, decision.watch_until, moment.now)
        claims = PlaybackClaims.at(
            moment.now, arn, options, viewer_id, session_version=decision.session_version
        )
        return Claimed(granted, channel, key, claims)

    def _entitled(self, decision: Decision, claimed: Claimed) -> PlaybackClaims:
        """The claims as the entitlement hook limits them."""
        if self._entitlement_hook is None:
            raise EntitlementUnavailable(
                f"The grant {claimed.granted.grant.name} asks the entitlement hook, and there is"
                " none.",
                hint="Set entitlement.url.",
            )
        question = claimed.question(decision)
        answer = self._entitlement_hook.ask(question)
        decision.watch_until = earliest(
            decision.watch_until, answer.watch_until, decision.moment.now
        )
        claims = entitled(claimed.claims, answer, decision.moment.now)
        if decision.watch_until is not None:
            self._entitlement_hook.require_waiting(question, answer)  # To store the due end.
        return claims

    def _channel_arn(self, caller: Caller, channel: str) -> ChannelArn:
        return channel_arn_of(self._channel_names, caller, channel)

    def _ring(self, arn: ChannelArn) -> RingView:
        try:
            return self._rings[arn.region]
        except KeyError as exc:
            raise ChannelNotFound(
                f"This service has no key pairs in {arn.region}, the region of the channel.",
                hint=f"Use a channel in {', '.join(sorted(self._rings))}, or add the region to"
                " `ivs.regions` in the settings.",
            ) from exc

    def _plain_url(self, channel: Channel, ends_at: int | None) -> PlaybackUrl:
        # Playback of a public channel can't be ended for one viewer.
        if not self._limits.allow_plain_urls or ends_at is not None:
            raise ChannelNotPrivate(
                f"The channel {channel.arn} is public: anyone can watch it without a token.",
                hint=f"Make it private with `tokensvc channels protect {channel.arn}`. To answer"
                " with its plain URL instead, set `playback.allow_plain_urls`.",
            )
        return PlaybackUrl(playback_url=channel.playback_url, channel_arn=channel.arn)


def _refresh_after_seconds(ttl_seconds: int) -> int:
    return max(1, ttl_seconds * _REFRESH_SHARE_PERCENT // 100)
