"""The answers of the routes, for the schemas of the OpenAPI document.

The objects that make the answers have a method `members`. A test compares its members with these
types, and another one checks the answers of a running service against the document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Time = str
"""RFC 3339, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackUrlAnswer:
    """A signed playback URL. Give it to the player only: anyone who has it can watch.

    Attributes:
        playback_url: the URL of the multivariant playlist, with the token.
        token: the token alone; null for a public channel, as all members about a token.
        channel_arn: the ARN of the channel.
        viewer_id: the viewer ID of the token.
        expires_at: until when playback may start, RFC 3339 in UTC.
        ttl_seconds: the same, as a number of seconds.
        refresh_after_seconds: when a page that may have to load the stream again should request a
            new URL.
        key_id: the ID of the key pair that signed the token.
        watch_until: when playback is ended, RFC 3339 in UTC; null if it is not.
    """

    playback_url: str
    token: str | None
    channel_arn: str
    viewer_id: str | None
    expires_at: Time | None
    ttl_seconds: int | None
    refresh_after_seconds: int | None
    key_id: str | None
    watch_until: Time | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProblem:
    """A wrong field of a request.

    Attributes:
        field: the path of the field; empty for the whole body.
        rule: the identifier of the rule that is broken.
        message: the fault as a sentence.
    """

    field: str
    rule: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPairAnswer:
    """A key pair that signs playback URLs of a region.

    Attributes:
        region: its region.
        key_id: its ID.
        state: `pending`, `published`, `active`, `retiring` or `retired`.
        compromised: whether it is marked compromised.
        in_ivs: always null here: this route does not call Amazon IVS.
        fingerprint: the fingerprint that Amazon IVS shows; null until the key pair is created.
        arn: its ARN in Amazon IVS.
        since: when it entered the state, RFC 3339 in UTC.
    """

    region: str
    key_id: str | None
    state: str
    compromised: bool
    in_ivs: bool | None
    fingerprint: str | None
    arn: str | None
    since: Time | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPairsAnswer:
    """The key pairs of all regions."""

    keys: list[KeyPairAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that a token breaks.

    Attributes:
        claim: the claim or header member.
        rule: the identifier of the rule.
        message: what is wrong, as a sentence.
        enforced_by_ivs: whether Amazon IVS refuses the token for it.
        is_believed: whether no page of AWS states the rule.
    """

    claim: str
    rule: str
    message: str
    enforced_by_ivs: bool
    is_believed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionCheck:
    """A check of a token.

    Attributes:
        name: the name of the check.
        verdict: its result.
        findings: the rules that the token breaks.
    """

    name: str
    verdict: Literal["passed", "failed", "not_checked"]
    findings: list[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionAnswer:
    """Whether Amazon IVS would accept a token, and why.

    Attributes:
        accepted_by_ivs: whether Amazon IVS accepts the token, as far as it was checked.
        signed_by: the ID of the key pair that signed the token; null if it is unknown.
        seconds_left: the seconds until `exp`, negative after it.
        checks: every check, in order.
        findings: the rules that the token breaks.
        header: the decoded header, unverified.
        payload: the decoded claims, unverified.
    """

    accepted_by_ivs: bool
    signed_by: str | None
    seconds_left: int | None
    checks: list[InspectionCheck]
    findings: list[Finding]
    header: dict[str, object]
    payload: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A kick or ban.

    Attributes:
        ban_id: its ID.
        viewer_ids: the viewer; several IDs if the secret of viewer IDs was changed.
        channel_arn: the channel; null for all channels.
        banned_until: until when the viewer gets no playback URL, RFC 3339 in UTC; null for a kick.
        line_passes_at: when the viewer can get a playback URL that plays, unless banned.
        pending: whether Amazon IVS has not confirmed it yet.
    """

    ban_id: str
    viewer_ids: list[str]
    channel_arn: str | None
    banned_until: Time | None
    line_passes_at: Time
    pending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationsAnswer:
    """What became of a kick or ban.

    Attributes:
        revocations: one for each channel, or one for all.
        pending: how many of them Amazon IVS has not confirmed yet.
        expected_at: when it is expected to have confirmed all; null if nothing is pending, or if
            the time is not known.
    """

    revocations: list[Revocation]
    pending: int
    expected_at: Time | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BanAnswer:
    """A kick, a ban of a viewer, or a closed channel.

    Attributes:
        ban_id: its ID.
        kind: what it is.
        state: `active` while it refuses something.
        viewer_ids: the viewer; empty for a closed channel.
        channel_arn: the channel; null for all channels.
        banned_until: until when it refuses playback URLs, RFC 3339 in UTC; null if it has no end.
        line_passes_at: when the viewer can get a playback URL that plays, unless banned.
        is_pending_at_ivs: whether Amazon IVS has not confirmed it yet.
        channels_left: the channels on which Amazon IVS has not confirmed it.
        made_at: when it was made, RFC 3339 in UTC.
        made_by: the ID of who made it.
        note: why, for other moderators.
        lifted_at: when it was lifted, RFC 3339 in UTC.
        lifted_by: the ID of who lifted it.
    """

    ban_id: str
    kind: Literal["kick", "ban", "closed_channel"]
    state: Literal["active", "lifted", "ended"]
    viewer_ids: list[str]
    channel_arn: str | None
    banned_until: Time | None
    line_passes_at: Time | None
    is_pending_at_ivs: bool
    channels_left: list[str]
    made_at: Time
    made_by: str
    note: str
    lifted_at: Time | None
    lifted_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BansAnswer:
    """A page of bans, the newest first.

    Attributes:
        bans: the bans.
        next: the value of `after` for the next page; null if this is the last one.
    """

    bans: list[BanAnswer]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwk:
    """A public key (RFC 7517).

    Attributes:
        kty: the type of the key.
        crv: its curve.
        x: a coordinate, base64url.
        y: a coordinate, base64url.
        kid: its thumbprint (RFC 7638).
        alg: the signature algorithm.
        use: what it is for: signatures.
    """

    kty: Literal["EC"]
    crv: Literal["P-384"]
    x: str
    y: str
    kid: str
    alg: Literal["ES384"]
    use: Literal["sig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JwksAnswer:
    """The public keys whose tokens may play (RFC 7517 §5)."""

    keys: list[Jwk]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthAnswer:
    """The process is alive."""

    status: Literal["ok"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessCheck:
    """The state of one dependency. Some have further members, such as times.

    Attributes:
        name: the name of the dependency.
        ready: whether requests that need it are answered.
        code: the code of its error or of its notes; empty if there is none.
        notes: what an operator should know.
    """

    name: str
    ready: bool
    code: str
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessAnswer:
    """The service can authenticate a caller and sign a token in every region."""

    status: Literal["ready"]
    checks: list[ReadinessCheck]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A refusal (RFC 9457). Branch on `code`, which is stable.

    Attributes:
        type: a URN with the code.
        title: the kind of error; always the same for the same code.
        status: the HTTP status.
        code: the stable identifier of the error.
        detail: what is wrong with this request.
        hint: what to do next.
        errors: the wrong fields, at most 20.
        errors_omitted: how many more there are.
        retry_after_seconds: when a retry can succeed; the same as in the header Retry-After.
        request_id: the ID of the request in the log of the service. It is absent when the server
            refused the request before it was read.
        checks: the state of each dependency; of `/readyz` alone.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str = ""
    errors: tuple[FieldProblem, ...] = ()
    errors_omitted: int = 0
    retry_after_seconds: int = 0
    request_id: str = ""
    checks: tuple[ReadinessCheck, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer:
    """The results of a batch, in the order of its requests.

    Attributes:
        results: a playback URL or a problem document for each request.
    """

    results: list[PlaybackUrlAnswer | Problem]
