"""Inspect a token: every broken rule as a sentence, the key pair that signed, the time left.

For operators and developers. The signature is never shown, so that the output can't be played.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from tokensvc.arns import ChannelArn
from tokensvc.errors import InvalidRequest, InvalidSignature, Problem
from tokensvc.ivs.limits import LONGEST_TOKEN_BYTES
from tokensvc.token.jws import UnverifiedToken, broken_header_rules, find_signing_key, read
from tokensvc.token.p384 import SIGNATURE_BYTES, PublicKey
from tokensvc.token.rules import CHANNEL_ARN, EXP, BrokenRule, broken_rules

_LONGEST_INSPECTED_BYTES = 65_536
_DER_SEQUENCE = b"\x30"


@dataclass(frozen=True, slots=True)
class Inspection:
    """The result of the inspection of a token.

    Attributes:
        accepted_by_ivs: whether IVS accepts the token: it breaks no rule of IVS, and a known key
            pair signed it. Origins and the records of IVS (single use, revocations) are not part of
            the token and are not considered.
        findings: every broken rule, including the rules of this service.
        header: the decoded header, unverified; empty when it can't be read.
        payload: the decoded claims, unverified; empty when they can't be read.
        signed_by: the name of the key pair that signed the token, or None.
        seconds_left: the seconds until `exp`, negative after it; None when `exp` is not an integer.
    """

    accepted_by_ivs: bool
    findings: tuple[BrokenRule, ...]
    header: Mapping[str, object]
    payload: Mapping[str, object]
    signed_by: str | None
    seconds_left: int | None


def inspect(
    token_or_url: str,
    *,
    now: float,
    public_keys: Mapping[PublicKey, str],
    channel_arn: ChannelArn | None = None,
) -> Inspection:
    """Inspect a token, or the `token` parameter of a playback URL, at the Unix time `now`.

    `public_keys` has the name of each key pair that is imported in the channel's region and
    account; `channel_arn` is the channel to be played, if it is known. A malformed token is a
    finding, never an error.
    """
    try:
        token = _extract_token(token_or_url)
        unverified = read(token, longest_bytes=_LONGEST_INSPECTED_BYTES)
    except InvalidRequest as exc:
        return _unreadable(exc)
    signed_by, signature_findings = _signature(unverified, public_keys)
    findings = (
        *_size(token),
        *broken_header_rules(unverified.header),
        *signature_findings,
        *broken_rules(unverified.payload, now),
        *_channel(unverified.payload, channel_arn),
    )
    return Inspection(
        accepted_by_ivs=not any(finding.enforced_by_ivs for finding in findings),
        findings=findings,
        header=unverified.header,
        payload=unverified.payload,
        signed_by=signed_by,
        seconds_left=_seconds_left(unverified.payload, now),
    )


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
    return Inspection(
        accepted_by_ivs=False,
        findings=tuple(
            BrokenRule("token", problem.rule, problem.message, enforced_by_ivs=True)
            for problem in refusal.problems
        ),
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


def _signature(
    token: UnverifiedToken, public_keys: Mapping[PublicKey, str]
) -> tuple[str | None, tuple[BrokenRule, ...]]:
    """The name of the key pair that signed the token, or the finding about the signature."""
    if len(token.signature) != SIGNATURE_BYTES:
        hint = (
            " It seems to be DER, the format of OpenSSL and KMS. Convert it."
            if token.signature.startswith(_DER_SEQUENCE)
            else ""
        )
        message = (
            f"An ES384 signature is r followed by s, {SIGNATURE_BYTES} bytes; this signature has"
            f" {len(token.signature)} bytes.{hint}"
        )
        return None, (BrokenRule("signature", "signature_form", message, enforced_by_ivs=True),)
    try:
        return public_keys[find_signing_key(token, public_keys)], ()
    except InvalidSignature:
        message = (
            f"None of the {len(public_keys)} key pairs known here made the signature. The token was"
            " changed, or its key pair was deleted or belongs to another region or account."
        )
        return None, (BrokenRule("signature", "signature_key", message, enforced_by_ivs=True),)


def _channel(
    payload: Mapping[str, object], channel_arn: ChannelArn | None
) -> tuple[BrokenRule, ...]:
    claimed = payload.get(CHANNEL_ARN)
    if channel_arn is None or not isinstance(claimed, str) or claimed == str(channel_arn):
        return ()
    return (
        BrokenRule(
            CHANNEL_ARN,
            "channel_arn_asked_for",
            f"The token is for another channel, not for {channel_arn}. Sign a token for it.",
            enforced_by_ivs=True,
        ),
    )


def _seconds_left(payload: Mapping[str, object], now: float) -> int | None:
    exp = payload.get(EXP)
    return exp - int(now) if isinstance(exp, int) and not isinstance(exp, bool) else None
