"""Why IVS would take or refuse a token: every finding as a sentence, who signed, the time left.

For operators and developers. The signature is never shown, so that what is shown can't be played.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from tokensvc.arns import ChannelArn
from tokensvc.claim_rules import CHANNEL_ARN, EXP, BrokenRule, broken_rules
from tokensvc.claims import LONGEST_TOKEN_BYTES
from tokensvc.errors import InvalidRequest, InvalidSignature, Problem
from tokensvc.p384 import SIGNATURE_BYTES, PublicKey
from tokensvc.tokens import UnverifiedToken, broken_header_rules, read, signer_of

_LONGEST_INSPECTED_BYTES = 65_536
_DER_SEQUENCE = b"\x30"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found in a token.

    Attributes:
        ivs_takes_it: whether IVS would start playback by it: no rule of IVS's is broken, and a
            known key signed it. Origins and what IVS remembers (single use, revocations)
            depend on more than the token, and are left out.
        findings: every broken rule, this house's too.
        header: the decoded header, unverified; empty when it can't be read.
        payload: the decoded claims, unverified; empty when they can't be read.
        signed_by: the name of the key whose signature holds, or None.
        seconds_left: until `exp`, negative when it has passed; None when there is no such time.
    """

    ivs_takes_it: bool
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
    """What IVS would find in a token, or in the `token` parameter of a playback URL, at `now`.

    `public_keys` gives the name of each pair imported in the channel's region and account;
    `channel_arn` is the channel asked for, where it is known. A broken token is a finding,
    never an error.
    """
    try:
        token = _token_in(token_or_url)
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
        ivs_takes_it=not any(finding.enforced_by_ivs for finding in findings),
        findings=findings,
        header=unverified.header,
        payload=unverified.payload,
        signed_by=signed_by,
        seconds_left=_seconds_left(unverified.payload, now),
    )


def _token_in(token_or_url: str) -> str:
    """The text itself, or the one `token` parameter when it is a URL: no token holds `/` or `?`."""
    if "/" not in token_or_url and "?" not in token_or_url:
        return token_or_url
    try:
        query = urlsplit(token_or_url).query
    except ValueError as exc:
        raise _refusal("url_form", "That is neither a token nor a URL: copy it whole.") from exc
    tokens = [value for name, value in parse_qsl(query, keep_blank_values=True) if name == "token"]
    match tokens:
        case [token]:
            return token
        case []:
            raise _refusal(
                "token_absent",
                "The URL has no token parameter, and a private channel needs one: ask for a signed"
                " playback URL and use it as it is.",
            )
        case _:
            raise _refusal(
                "token_once",
                f"The URL has {len(tokens)} token parameters, and nobody says which one IVS reads:"
                " take IVS's playback URL afresh and add one.",
            )


def _refusal(rule: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, problems=(Problem("token", rule, message),))


def _unreadable(refusal: InvalidRequest) -> Inspection:
    """The inspection of what can't be read: its form is all that can be spoken of."""
    return Inspection(
        ivs_takes_it=False,
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
            f"The token has {len(token)} bytes, and IVS is believed to take {LONGEST_TOKEN_BYTES}"
            " at most: name fewer origins.",
            enforced_by_ivs=True,
        ),
    )


def _signature(
    token: UnverifiedToken, public_keys: Mapping[PublicKey, str]
) -> tuple[str | None, tuple[BrokenRule, ...]]:
    """The name of the key that signed, or what is wrong with the signature."""
    if len(token.signature) != SIGNATURE_BYTES:
        hint = (
            " It seems to be DER, as OpenSSL and KMS give it: convert it."
            if token.signature.startswith(_DER_SEQUENCE)
            else ""
        )
        message = (
            f"An ES384 signature is r and s side by side, {SIGNATURE_BYTES} bytes, and this has"
            f" {len(token.signature)}.{hint}"
        )
        return None, (BrokenRule("signature", "signature_form", message, enforced_by_ivs=True),)
    try:
        return public_keys[signer_of(token, public_keys)], ()
    except InvalidSignature:
        message = (
            f"None of the {len(public_keys)} key pairs known here made the signature: the token was"
            " changed, or its key pair is deleted, or of another region or account."
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
            f"The token is for another channel than {channel_arn}: sign one for it.",
            enforced_by_ivs=True,
        ),
    )


def _seconds_left(payload: Mapping[str, object], now: float) -> int | None:
    exp = payload.get(EXP)
    return exp - int(now) if isinstance(exp, int) and not isinstance(exp, bool) else None
