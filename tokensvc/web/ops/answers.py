"""The answer of `GET /v1/ops`, as values. The OpenAPI document has their schemas.

It has no token, no private key, no viewer ID and no note about a ban: the scope `operate` is for
who runs the service, and `moderate` for who knows viewers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tokensvc.web.openapi.answers import ReadinessCheck, Time


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsKeyPair:
    """A key pair with the times of its life, RFC 3339 in UTC; null for what has not happened.

    Attributes:
        key_id: its ID.
        state: its state.
        compromised: whether it is marked compromised.
        adopted: whether its private key was generated outside tokensvc.
        fingerprint: the fingerprint that Amazon IVS shows.
        arn: its ARN in Amazon IVS.
        created_at: when it was recorded.
        published_at: when Amazon IVS acknowledged its import.
        activated_at: when it began to sign.
        signing_ended_at: when it no longer signed.
        drained_at: when the last token that it signed has expired; null if it does not drain.
        deleted_at: when it was gone from Amazon IVS.
        destroyed_on: when its private key is permanently gone.
        compromised_at: when it was marked compromised.
    """

    key_id: str
    state: Literal["pending", "published", "active", "retiring", "retired"]
    compromised: bool
    adopted: bool
    fingerprint: str | None
    arn: str | None
    created_at: Time
    published_at: Time | None
    activated_at: Time | None
    signing_ended_at: Time | None
    drained_at: Time | None
    deleted_at: Time | None
    destroyed_on: Time | None
    compromised_at: Time | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsStep:
    """What `tokensvc keys reconcile` is expected to do next.

    Attributes:
        action: the step, as in the output of that command.
        key_id: the key pair that it is about; empty if it is about none.
        sentence: what it does, for people.
        at: from when on it may be done, RFC 3339 in UTC; null if it may be done at once.
        is_due: whether it may be done now.
        why: why not before; empty without a time.
    """

    action: str
    key_id: str
    sentence: str
    at: Time | None
    is_due: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsReconcile:
    """The last run of `tokensvc keys reconcile`.

    Attributes:
        attempted_at: when it ended, RFC 3339 in UTC.
        by: who ran it, and on which host.
        code: the code of its error; empty if it succeeded.
        succeeded_at: when a run succeeded last, RFC 3339 in UTC.
        is_overdue: whether none has succeeded for too long.
    """

    attempted_at: Time
    by: str
    code: str
    succeeded_at: Time | None
    is_overdue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsRegion:
    """The ring of a region.

    Attributes:
        region: the region.
        key_pairs: its key pairs, the oldest first; empty if the ring was not read yet.
        next_step: the next step, if Amazon IVS holds what the ring records; null if it waits for
            none.
        rotation_request: who requested the rotation that is not done yet, and why it failed last.
        rotation_pause: why no scheduled rotation begins; empty if one may.
        reconcile: the last run of the command that does the steps; null if there was none.
    """

    region: str
    key_pairs: list[OpsKeyPair]
    next_step: OpsStep | None
    rotation_request: str
    rotation_pause: str
    reconcile: OpsReconcile | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsView:
    """What this process has read, and how old it is.

    Attributes:
        name: what was read.
        age_seconds: how long ago; null if it was not read yet.
        max_age_seconds: from which age on requests are refused; null if there is no limit.
        code: the code of the error of the last attempt to read it; empty if it succeeded.
    """

    name: str
    age_seconds: int | None
    max_age_seconds: int | None
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsDecision:
    """A decision, as the audit has it, without the viewer.

    Attributes:
        at: when it was made, RFC 3339 in UTC.
        decision: `granted` or `refused`.
        code: the code of the refusal; empty if it was granted.
        rule: the rule that refused, or what a grant or a limit has changed.
        channel: the channel as it was requested; null for a refused sign-in.
        channel_arn: its ARN, if it is known.
        caller_id: the ID of the caller, of a user `oidc:` and the issuer; null if it is not known.
        grant: the name of the grant that was applied.
        request_id: the ID of the request.
    """

    at: Time
    decision: Literal["granted", "refused"]
    code: str
    rule: str | None
    channel: str | None
    channel_arn: str | None
    caller_id: str | None
    grant: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsRefusals:
    """How many requests were refused with a code."""

    code: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsDecisions:
    """The decisions of this process.

    Attributes:
        since: since when they are counted, RFC 3339 in UTC.
        granted: how many requests were granted.
        refused: how many were refused, by code, the most frequent first.
        latest: the last decisions, the newest first.
    """

    since: Time
    granted: int
    refused: list[OpsRefusals]
    latest: list[OpsDecision]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsChannel:
    """What this process knows about a channel.

    Attributes:
        channel_arn: its ARN.
        names: its names in the settings.
        answer: what Amazon IVS answered: `absent` if the channel does not exist, `unknown` without
            an answer that may still be used.
        age_seconds: how old the answer is.
        refresh_in_seconds: in how many seconds a request causes the next look-up; 0 for the next.
    """

    channel_arn: str
    names: list[str]
    answer: Literal["private", "public", "absent", "unknown"]
    age_seconds: int | None
    refresh_in_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsChannels:
    """The channels of the last decisions and of the settings about which something is known.

    Attributes:
        cached: about how many channels this process knows something.
        listed: some of them.
    """

    cached: int
    listed: list[OpsChannel]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsBan:
    """A kick, a ban or a closed channel, without the viewer.

    Attributes:
        ban_id: its ID, for `tokensvc bans list`.
        kind: what it is.
        state: `active` while it refuses something.
        channel_arn: the channel; null for all channels.
        banned_until: until when it refuses playback URLs; null if it has no end, and for a kick.
        is_pending_at_ivs: whether Amazon IVS has not confirmed it yet.
        made_at: when it was made, RFC 3339 in UTC.
        made_by: the ID of who made it, of a user `oidc:` and the issuer.
    """

    ban_id: str
    kind: Literal["kick", "ban", "closed_channel"]
    state: Literal["active", "lifted", "ended"]
    channel_arn: str | None
    banned_until: Time | None
    is_pending_at_ivs: bool
    made_at: Time
    made_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsBans:
    """The bans that this process knows.

    Attributes:
        kept: how many, with those that are over and still kept.
        active: how many refuse something.
        pending: how many Amazon IVS has not confirmed.
        latest: the newest ones.
    """

    kept: int
    active: int
    pending: int
    latest: list[OpsBan]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsAnswer:
    """What one process of the service knows, without a call to Amazon IVS or a read of the state.

    Attributes:
        at: when it answered, RFC 3339 in UTC.
        process_id: the process that answered. Others have decisions and caches of their own.
        processes: how many processes serve now, on all machines.
        version: the release that it runs.
        checks: the state of each dependency, as in `/readyz`.
        regions: the ring of each region.
        views: how old is what it has read.
        decisions: the last decisions of this process.
        channels: what it knows about channels.
        bans: the bans that it knows.
    """

    at: Time
    process_id: int
    processes: int
    version: str
    checks: list[ReadinessCheck]
    regions: list[OpsRegion]
    views: list[OpsView]
    decisions: OpsDecisions
    channels: OpsChannels
    bans: OpsBans
