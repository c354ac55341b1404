"""THE WAY OF A REQUEST: may this caller give this viewer this channel, and with which URL?

The endpoint, the batch, the command line and the player page all come through `issue`. It reads
the clock once, so that the age of the ring's view, `exp` and the session version rest on one time,
and however it ends, it leaves one line in the audit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tokensvc.access.callers import Caller
from tokensvc.access.grants import AskedOptions, Grant, Limits, decide, scope
from tokensvc.arns import ChannelArn, Region
from tokensvc.audit import Audit, AuditEvent
from tokensvc.claim_rules import VIEWER_ID, broken_rules
from tokensvc.claims import PlaybackClaims
from tokensvc.clock import Clock, Moment, rfc3339
from tokensvc.errors import (
    ChannelNotFound,
    ChannelNotPrivate,
    InvalidArn,
    InvalidRequest,
    NotEntitled,
    Problem,
    TokensvcError,
)
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.model import Channel
from tokensvc.keyring.view import RingView
from tokensvc.tokens import sign

_REFRESH_SHARE_PERCENT = 80
_AUDITED_DIGEST_DIGITS = 16


@dataclass(frozen=True, slots=True)
class PlaybackLimits(Limits):
    """What the service allows, whatever a grant says.

    Attributes:
        allow_plain_urls: whether a public channel is answered with its URL, without a token.
    """

    allow_plain_urls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackRequest(AskedOptions):
    """What a caller asks for.

    Attributes:
        channel: the channel's ARN, or the name that the settings give it.
    """

    channel: str


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What surrounds a request and is not part of it.

    Attributes:
        request_id: what the audit and the log call the request.
    """

    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackUrl:
    """What a viewer's player begins with; never to be logged, as whoever has it can watch.

    Attributes:
        playback_url: IVS's own URL of the multivariant playlist, with the token.
        token: the token alone; None for a public channel, as is all that tells of a token.
        channel_arn: the channel.
        viewer_id: who watches, where that was named.
        expires_at: Unix seconds until which playback may start; a stream that plays goes on.
        ttl_seconds: the life that was granted, at most what was asked.
        refresh_after_seconds: when a client that may have to start again should ask for a new URL:
            after 80 % of that life, so that the old one still serves meanwhile.
        key_id: the key pair that signed.
    """

    playback_url: str = field(repr=False)
    channel_arn: ChannelArn
    token: str | None = field(default=None, repr=False)
    viewer_id: str | None = None
    expires_at: int | None = None
    ttl_seconds: int | None = None
    refresh_after_seconds: int | None = None
    key_id: str | None = None

    def members(self) -> dict[str, object]:
        """The answer's members as programs get them, over HTTP or from the command line."""
        return {
            "playback_url": self.playback_url,
            "token": self.token,
            "channel_arn": str(self.channel_arn),
            "viewer_id": self.viewer_id,
            "expires_at": None if self.expires_at is None else rfc3339(self.expires_at),
            "ttl_seconds": self.ttl_seconds,
            "refresh_after_seconds": self.refresh_after_seconds,
            "key_id": self.key_id,
        }


class PlaybackIssuer:
    """Answers requests for playback URLs; shared by all threads of a process."""

    def __init__(
        self,
        *,
        channel_names: Mapping[str, ChannelArn],
        grants: Mapping[str, Grant],
        directory: ChannelDirectory,
        rings: Mapping[Region, RingView],
        limits: PlaybackLimits,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._channel_names = channel_names
        self._grants = grants
        self._directory = directory
        self._rings = rings
        self._limits = limits
        self._audit = audit
        self._clock = clock

    def issue(
        self, caller: Caller, request: PlaybackRequest, circumstances: Circumstances
    ) -> PlaybackUrl:
        """The URL that this caller may hand to the viewer.

        Raises:
            InvalidRequest: when the request breaks a rule; all broken claim rules are told.
            NotEntitled: when no grant covers the channel, or the grant not that origin.
            ChannelNotFound: when there is no such channel, or none here.
            ChannelNotPrivate: when anyone may watch it, and plain URLs are not allowed.
            IvsUnavailable: when the channel can't be looked up.
            NoSigningKey: when the region has no active key pair.
            StateUnavailable: when what is known of the ring is too old to sign from (rule 3).
            CustodyUnavailable: when the private half can't be used now.
        """
        moment = Moment.of(self._clock)
        trail = _Trail(moment, caller, request, circumstances)
        try:
            url = self._decided(trail)
        except Exception as failure:
            self._audit.write(trail.refused(failure))
            raise
        # Before the URL is handed out: what could not be written down was not granted.
        self._audit.write(trail.granted(url))
        return url

    def look_ahead(self, caller: Caller, requests: Iterable[PlaybackRequest]) -> None:
        """Look up together the channels of requests that are to be issued next.

        Those alone that `issue` would look up for this caller. Nothing is refused or audited here.
        """
        self._directory.warm(self._channels_to_look_up(caller, requests))

    def _channels_to_look_up(
        self, caller: Caller, requests: Iterable[PlaybackRequest]
    ) -> Iterator[ChannelArn]:
        for request in requests:
            with contextlib.suppress(InvalidRequest, ChannelNotFound, NotEntitled):
                arn = self._channel_arn(request.channel)
                scope(self._grants, caller, arn)
                self._ring(arn)
                yield arn

    def _decided(self, trail: _Trail) -> PlaybackUrl:
        request, moment = trail.request, trail.moment
        arn = trail.channel_arn = self._channel_arn(request.channel)
        grant = trail.grant = scope(self._grants, trail.caller, arn)
        ring = self._ring(arn)
        channel = self._directory.get(arn)
        options = decide(grant, request, self._limits)
        if not channel.is_private:
            return self._plain_url(channel)
        key = ring.active(moment)
        ttl_seconds = min(options.ttl_seconds, key.longest_ttl_seconds)
        options = dataclasses.replace(options, ttl_seconds=ttl_seconds)
        claims = PlaybackClaims.at(moment.now, arn, options, request.viewer_id)
        token = sign(claims, key.signer)
        return PlaybackUrl(
            playback_url=with_token(channel.playback_url, token),
            token=token,
            channel_arn=arn,
            viewer_id=claims.viewer_id,
            expires_at=claims.expires_at,
            ttl_seconds=claims.ttl_seconds,
            refresh_after_seconds=_refresh_after_seconds(claims.ttl_seconds),
            key_id=key.key_id,
        )

    def _channel_arn(self, channel: str) -> ChannelArn:
        if not channel.startswith("arn:"):
            return self._named_channel_arn(channel)
        try:
            return ChannelArn.parse(channel)
        except InvalidArn as exc:
            raise InvalidRequest(
                exc.detail,
                hint=exc.hint,
                problems=(Problem("channel", "channel_arn", str(exc)),),
            ) from exc

    def _named_channel_arn(self, name: str) -> ChannelArn:
        try:
            return self._channel_names[name]
        except KeyError as exc:
            raise ChannelNotFound(
                "No channel of that name is configured.",
                hint="Give the channel's ARN, or a name of the settings' section [channels].",
            ) from exc

    def _ring(self, arn: ChannelArn) -> RingView:
        try:
            return self._rings[arn.region]
        except KeyError as exc:
            raise ChannelNotFound(
                f"This service has no key pairs in {arn.region}, the channel's region.",
                hint=f"It serves {', '.join(sorted(self._rings))}; an operator adds regions in "
                "the settings' section [ivs].",
            ) from exc

    def _plain_url(self, channel: Channel) -> PlaybackUrl:
        if not self._limits.allow_plain_urls:
            raise ChannelNotPrivate(
                f"Anyone may watch the channel {channel.arn}: a token would protect nothing.",
                hint="Enable its playback authorization (UpdateChannel, authorized=true), or "
                "let the setting playback.allow_plain_urls answer with its URL.",
            )
        return PlaybackUrl(playback_url=channel.playback_url, channel_arn=channel.arn)


@dataclass(slots=True)
class _Trail:
    """What is known of a decision while it is being made, for its line in the audit."""

    moment: Moment
    caller: Caller
    request: PlaybackRequest
    circumstances: Circumstances
    channel_arn: ChannelArn | None = None
    grant: Grant | None = None

    def refused(self, failure: Exception) -> AuditEvent:
        code = failure.code if isinstance(failure, TokensvcError) else TokensvcError.code
        return AuditEvent(
            at=self.moment.now,
            decision="refused",
            code=code,
            caller_id=self.caller.caller_id,
            channel=self.request.channel,
            channel_arn=str(self.channel_arn) if self.channel_arn else None,
            viewer_id=self._possible_viewer_id(),
            grant=self.grant.name if self.grant else None,
            request_id=self.circumstances.request_id,
        )

    def granted(self, url: PlaybackUrl) -> AuditEvent:
        digest = hashlib.sha256(url.token.encode()).hexdigest() if url.token else None
        return AuditEvent(
            at=self.moment.now,
            decision="granted",
            caller_id=self.caller.caller_id,
            channel=self.request.channel,
            channel_arn=str(url.channel_arn),
            viewer_id=url.viewer_id,
            grant=self.grant.name if self.grant else None,
            key_id=url.key_id,
            expires_at=url.expires_at,
            ttl_seconds=url.ttl_seconds,
            token_sha256=digest and digest[:_AUDITED_DIGEST_DIGITS],
            request_id=self.circumstances.request_id,
        )

    def _possible_viewer_id(self) -> str | None:
        # One that breaks a rule may be an e-mail address or a secret: it is not written down.
        claim = {VIEWER_ID: self.request.viewer_id}
        broken = [rule for rule in broken_rules(claim, self.moment.now) if rule.claim == VIEWER_ID]
        return None if broken else self.request.viewer_id


def with_token(playback_url: str, token: str) -> str:
    """The URL with exactly one `token` parameter; the rest of its query is kept.

    IVS: private-channels-generate-tokens.
    """
    parts = urlsplit(playback_url)
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "token"]
    return urlunsplit(parts._replace(query=urlencode([*kept, ("token", token)])))


def _refresh_after_seconds(ttl_seconds: int) -> int:
    return max(1, ttl_seconds * _REFRESH_SHARE_PERCENT // 100)
