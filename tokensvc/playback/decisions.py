"""What is known about a request while it is decided, and the line of the audit that it gets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tokensvc.access.callers import Caller
from tokensvc.access.entitlement_question import Question
from tokensvc.access.grants import Grant, Granted
from tokensvc.access.requests import PlaybackRequest
from tokensvc.arns import ChannelArn
from tokensvc.audit import AuditEvent
from tokensvc.clock import Moment
from tokensvc.errors import CountryNotAllowed, TokensvcError, ViewerBanned
from tokensvc.ivs.model import Channel
from tokensvc.keyring.view import ActiveKey
from tokensvc.playback.urls import PlaybackUrl
from tokensvc.token.claims import PlaybackClaims
from tokensvc.token.rules import VIEWER_ID, broken_rules

_AUDITED_DIGEST_DIGITS = 16


@dataclass(slots=True)
class Decision:
    """A decision in progress: what is known so far, for its line in the audit.

    Attributes:
        moment: when it is made.
        caller: who sent the request.
        request: the request as the caller sent it.
        request_id: the ID of the request, if it has one.
        client_country: the country of the client, as a trusted proxy says; None if unknown.
        channel_arn: the channel, once its name is resolved.
        grant: the grant that covers the channel.
        session_version: of the token that is replaced, then of the new one.
        granted: what the grant allows.
        watch_until: when the right to watch ends, in Unix seconds, if it does.
    """

    moment: Moment
    caller: Caller
    request: PlaybackRequest
    request_id: str | None
    client_country: str | None = None
    channel_arn: ChannelArn | None = None
    grant: Grant | None = None
    session_version: int | None = None
    granted: Granted | None = None
    watch_until: int | None = None

    def refused_event(self, failure: Exception) -> AuditEvent:
        """The line of a request that is refused with this failure."""
        code = failure.code if isinstance(failure, TokensvcError) else TokensvcError.code
        return AuditEvent(
            at=self.moment.now,
            decision="refused",
            code=code,
            caller_id=self.caller.caller_id,
            channel=self.request.channel,
            channel_arn=str(self.channel_arn) if self.channel_arn else None,
            viewer_id=self._valid_viewer_id(),
            session_version=self.session_version,
            grant=self.grant.name if self.grant else None,
            ban_id=failure.ban_id if isinstance(failure, ViewerBanned) else None,
            request_id=self.request_id,
            country=self._country_of_refusal(failure),
            rule=failure.rule if isinstance(failure, TokensvcError) else None,
        )

    def granted_event(self, url: PlaybackUrl) -> AuditEvent:
        """The line of a request that gets this URL."""
        digest = hashlib.sha256(url.token.encode()).hexdigest() if url.token else None
        return AuditEvent(
            at=self.moment.now,
            decision="granted",
            caller_id=self.caller.caller_id,
            channel=self.request.channel,
            channel_arn=str(url.channel_arn),
            viewer_id=url.viewer_id,
            session_version=self.session_version,
            grant=self.grant.name if self.grant else None,
            key_id=url.key_id,
            expires_at=url.expires_at,
            ttl_seconds=url.ttl_seconds,
            token_sha256=digest and digest[:_AUDITED_DIGEST_DIGITS],
            request_id=self.request_id,
            country=self.granted.country if self.granted else None,
            rule=(
                self.granted.limited(url.ttl_seconds)
                if self.granted and url.ttl_seconds is not None
                else None
            ),
            watch_until=url.watch_until,
        )

    def _country_of_refusal(self, failure: Exception) -> str | None:
        if isinstance(failure, CountryNotAllowed):
            return failure.country
        return self.granted.country if self.granted else None

    def _valid_viewer_id(self) -> str | None:
        # A viewer ID that breaks a rule may be an e-mail address or a secret: it is not audited.
        request = self.granted.request if self.granted else self.request
        claim = {VIEWER_ID: request.viewer_id}
        broken = [rule for rule in broken_rules(claim, self.moment.now) if rule.claim == VIEWER_ID]
        return None if broken else request.viewer_id


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the grants allow, and the key pair that signs it.

    Attributes:
        granted: what the grant allows.
        channel: the channel.
        key: the key pair that signs.
        claims: the claims, unless the entitlement hook limits them.
    """

    granted: Granted
    channel: Channel
    key: ActiveKey
    claims: PlaybackClaims

    def question(self, decision: Decision) -> Question:
        """What the entitlement hook is asked about it."""
        return Question(
            caller=decision.caller,
            channel=self.channel,
            request=self.granted.request,
            grant=self.granted.grant.name,
            granted=self.claims.options,
            country=self.granted.country,
            request_id=decision.request_id,
        )
