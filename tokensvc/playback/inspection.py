"""Inspect a token: would IVS accept it, and why not.

The checks are in the order in which IVS is believed to make them: the form of the token, its time,
its channel, its key, its origin, its viewer. For operators and developers. The signature is never
shown, so that the output can't be played, and no private key is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl, urlsplit

from tokensvc.arns import ChannelArn
from tokensvc.errors import InvalidArn, InvalidRequest, Problem, TokensvcError
from tokensvc.ivs.limits import LONGEST_TOKEN_BYTES
from tokensvc.ivs.model import Channel
from tokensvc.playback.inspected_signature import KnownKey, signature_of
from tokensvc.playback.inspected_target import (
    channel_findings,
    channel_in_ivs_findings,
    origin_findings,
    viewer_findings,
)
from tokensvc.token.jws import broken_header_rules, read
from tokensvc.token.p384 import PublicKey
from tokensvc.token.rules import CHANNEL_ARN, EXP, BrokenRule, broken_rules

_LONGEST_INSPECTED_BYTES = 65_536

CHECKS: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("form", frozenset()),
    ("header", frozenset({"alg_es384", "typ_jwt", "crit_absent", "b64_absent"})),
    ("exp", frozenset({"exp_required", "exp_integer", "exp_in_seconds"})),
    ("not_expired", frozenset({"exp_in_future"})),
    ("ten_minute_rule", frozenset({"ten_minute_rule"})),
    (
        "channel",
        frozenset({"channel_arn_required", "channel_arn_form", "channel_arn_asked_for"}),
    ),
    ("channel_in_ivs", frozenset({"channel_exists", "channel_private"})),
    (
        "signature",
        frozenset(
            {"signature_form", "signature_key", "signature_key_deleted", "signature_key_region"}
        ),
    ),
    ("claims", frozenset()),
    ("origin", frozenset({"origin_allowed"})),
    ("viewer", frozenset({"viewer_banned", "viewer_revoked"})),
    ("size", frozenset({"token_size"})),
)
"""The checks in order, each with its rules. `form` has every other rule about the token as a whole,
`claims` every other rule about a claim."""

BELIEVED: Final = frozenset({"token_size", "viewer_id_unicode", "typ_jwt"})
"""The rules that no page of AWS states."""

Verdict = Literal["passed", "failed", "not_checked"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a token is compared with. What is not there is not checked.

    Attributes:
        now: Unix seconds.
        keys: the key pairs of the rings by their public keys.
        channel_arn: the channel to be played.
        origin: the origin of the page that plays it, such as `https://www.example.com`.
        get_channel: asks IVS for a channel. Raises TokensvcError.
        refusal_of_viewer: the ban or revocation of a viewer on a channel, for a session version.
    """

    now: float
    keys: Mapping[PublicKey, KnownKey] = field(default_factory=dict)
    channel_arn: ChannelArn | None = None
    origin: str | None = None
    get_channel: Callable[[ChannelArn], Channel] | None = None
    refusal_of_viewer: Callable[[ChannelArn, str, int], TokensvcError | None] | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name in `CHECKS`, its verdict, and what it found."""

    name: str
    verdict: Verdict
    findings: tuple[BrokenRule, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """The result of the inspection of a token.

    Attributes:
        accepted_by_ivs: whether IVS accepts the token, as far as it was checked: it breaks no rule
            of IVS, and a known key pair signed it. Whether a token for single use was used is known
            to IVS alone.
        checks: every check, in order.
        header: the decoded header, unverified; empty when it can't be read.
        payload: the decoded claims, unverified; empty when they can't be read.
        signed_by: the ID of the key pair that signed the token, or None.
        seconds_left: the seconds until `exp`, negative after it; None when `exp` is not an integer.
    """

    accepted_by_ivs: bool
    checks: tuple[Check, ...]
    header: Mapping[str, object]
    payload: Mapping[str, object]
    signed_by: str | None
    seconds_left: int | None

    @property
    def findings(self) -> tuple[BrokenRule, ...]:
        """Every broken rule, including the rules of this service."""
        return tuple(finding for check in self.checks for finding in check.findings)

    def members(self) -> dict[str, object]:
        """The members that programs see."""
        return {
            "accepted_by_ivs": self.accepted_by_ivs,
            "signed_by": self.signed_by,
            "seconds_left": self.seconds_left,
            "checks": [
                {
                    "name": check.name,
                    "verdict": check.verdict,
                    "findings": [finding_members(finding) for finding in check.findings],
                }
                for check in self.checks
            ],
            "findings": [finding_members(finding) for finding in self.findings],
            "header": self.header,
            "payload": self.payload,
        }


def finding_members(finding: BrokenRule) -> dict[str, object]:
    """The members of a finding that programs see."""
    return {
        "claim": finding.claim,
        "rule": finding.rule,
        "message": finding.message,
        "enforced_by_ivs": finding.enforced_by_ivs,
        "is_believed": finding.rule in BELIEVED,
    }


def inspect(token_or_url: str, evidence: Evidence) -> Inspection:
    """Inspect a token, or the `token` parameter of a playback URL.

    A malformed token is a finding, never an error.
    """
    try:
        token = _extract_token(token_or_url)
        unverified = read(token, longest_bytes=_LONGEST_INSPECTED_BYTES)
    except InvalidRequest as exc:
        return _unreadable(exc)
    payload, now = unverified.payload, evidence.now
    arn = _claimed_channel(payload)
    signature = signature_of(unverified, evidence.keys, arn.region if arn else None)
    in_ivs = (
        None
        if evidence.get_channel is None or arn is None
        else channel_in_ivs_findings(arn, evidence.get_channel)
    )
    origin = None if evidence.origin is None else origin_findings(payload, evidence.origin)
    viewer = (
        None
        if evidence.refusal_of_viewer is None or arn is None
        else viewer_findings(payload, arn, evidence.refusal_of_viewer)
    )
    findings = (
        *_size(token),
        *broken_header_rules(unverified.header),
        *signature.findings,
        *broken_rules(payload, now),
        *channel_findings(payload, arn, evidence.channel_arn),
        *(in_ivs or ()),
        *(origin or ()),
        *(viewer or ()),
    )
    optional = (("channel_in_ivs", in_ivs), ("origin", origin), ("viewer", viewer))
    not_checked = {name for name, found in optional if found is None}
    if any(finding.rule in {"exp_required", "exp_integer"} for finding in findings):
        not_checked |= {"not_expired", "ten_minute_rule"}
    return Inspection(
        accepted_by_ivs=not any(finding.enforced_by_ivs for finding in findings),
        checks=_checks(findings, not_checked),
        header=unverified.header,
        payload=payload,
        signed_by=signature.key_id,
        seconds_left=_seconds_left(payload, now),
    )


def _checks(findings: tuple[BrokenRule, ...], not_checked: set[str]) -> tuple[Check, ...]:
    by_check: dict[str, list[BrokenRule]] = {name: [] for name, _ in CHECKS}
    for finding in findings:
        by_check[_check_of(finding)].append(finding)
    return tuple(
        Check(
            name,
            "not_checked" if name in not_checked else "failed" if found else "passed",
            tuple(found),
        )
        for name, found in by_check.items()
    )


def _check_of(finding: BrokenRule) -> str:
    for name, rules in CHECKS:
        if finding.rule in rules:
            return name
    return "form" if finding.claim == "token" else "claims"


def _extract_token(token_or_url: str) -> str:
    """The text itself or, of a URL, the `token` parameter. A token never contains `/` or `?`."""
    if "/" not in token_or_url and "?" not in token_or_url:
        return token_or_url
    try:
        query = urlsplit(token_or_url).query
    except ValueError as exc:
        raise _invalid(
            "url_form", "The text is neither a token nor a URL. Copy the whole token or URL."
        ) from exc
    tokens = [value for name, value in parse_qsl(query, keep_blank_values=True) if name == "token"]
    match tokens:
        case [token]:
            return token
        case []:
            raise _invalid(
                "token_absent",
                "The URL has no `token` parameter, which a private channel requires. Request a"
                " signed playback URL and use it unchanged.",
            )
        case _:
            raise _invalid(
                "token_once",
                f"The URL has {len(tokens)} `token` parameters, and IVS does not document which"
                " one it reads. Add one token to the playback URL of IVS.",
            )


def _invalid(rule: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, problems=(Problem("token", rule, message),))


def _unreadable(refusal: InvalidRequest) -> Inspection:
    """The inspection of a text that is not a token: the findings are about its form only."""
    findings = tuple(
        BrokenRule("token", problem.rule, problem.message, enforced_by_ivs=True)
        for problem in refusal.problems
    )
    return Inspection(
        accepted_by_ivs=False,
        checks=_checks(findings, {name for name, _ in CHECKS} - {"form"}),
        header={},
        payload={},
        signed_by=None,
        seconds_left=None,
    )


def _size(token: str) -> tuple[BrokenRule, ...]:
    if len(token) <= LONGEST_TOKEN_BYTES:
        return ()
    return (
        BrokenRule(
            "token",
            "token_size",
            f"The token has {len(token)} bytes; IVS is believed to accept at most"
            f" {LONGEST_TOKEN_BYTES}. Allow fewer origins.",
            enforced_by_ivs=True,
        ),
    )


def _claimed_channel(payload: Mapping[str, object]) -> ChannelArn | None:
    claimed = payload.get(CHANNEL_ARN)
    try:
        return ChannelArn.parse(claimed) if isinstance(claimed, str) else None
    except InvalidArn:
        return None


def _seconds_left(payload: Mapping[str, object], now: float) -> int | None:
    exp = payload.get(EXP)
    return exp - int(now) if isinstance(exp, int) and not isinstance(exp, bool) else None
