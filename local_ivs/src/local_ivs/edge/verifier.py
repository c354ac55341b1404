"""Verify a playback token as Amazon IVS does (IVS: private-channels-generate-tokens).

This code shares nothing with a program that signs tokens, and uses joserfc where most of them use
PyJWT, so that the two can't have the same bug. Some rules are not documented by AWS and are
believed: the size limit, zero leeway for clocks, and the refusal of duplicate members and of values
in an undocumented format.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from local_ivs.edge.origins import OriginRule
from local_ivs.edge.refusals import Reason, TokenRefusedError
from local_ivs.edge.segments import Resolution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_TOKEN_BYTES = 2048  # Believed.
COMPACT_JWS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
ALGORITHM = "ES384"
SIGNATURE_BYTES = 96  # r and s, 48 bytes each (RFC 7518 §3.4).
CHANNEL_ARN = re.compile(r"arn:aws:ivs:[a-z0-9-]+:[0-9]+:channel/[a-zA-Z0-9-]+")
MAX_ARN_CHARACTERS = 128
UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
MAX_VIEWER_ID_CHARACTERS = 40
INT64 = range(-(2**63), 2**63)
MAX_TTL_SECONDS_WITH_VIEWER_OR_SINGLE_USE = 600
MAX_STRICT_ORIGINS = 5


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What a valid token allows. `expires_at` is in Unix seconds."""

    expires_at: int
    origin_rule: OriginRule
    viewer_id: str | None
    viewer_session_version: int
    single_use_uuid: str | None
    maximum_resolution: Resolution


def verify(
    token: str | None, *, channel_arn: str, public_keys: Iterable[str], now: float
) -> Admission:
    """Verify a token for a channel: its format, signature, claims and expiry.

    The caller checks the rest: the request's Origin header, whether a single-use token was already
    used, and whether the viewer is revoked.

    Args:
        token: The `token` parameter of the playback URL. None if the URL has none.
        channel_arn: The channel in the URL.
        public_keys: PEM texts of the key pairs imported into the channel's account and region.
        now: Unix seconds.

    Raises:
        TokenRefusedError: IVS would refuse the token.
    """
    if token is None:
        _refuse(Reason.ABSENT, "This channel is private. Add a token parameter to the URL.")
    header, payload, signing_input, signature = _parse(token)
    _check_header(header)
    _check_signature(signing_input, signature, public_keys)
    _check_claims(payload)
    _check_channel_and_expiry(payload, channel_arn, now)
    return Admission(
        expires_at=payload["exp"],
        origin_rule=OriginRule(
            payload.get("aws:access-control-allow-origin"),
            payload.get("aws:strict-origin-enforcement", False),
        ),
        viewer_id=payload.get("aws:viewer-id"),
        viewer_session_version=payload.get("aws:viewer-session-version", 0),
        single_use_uuid=payload.get("aws:single-use-uuid"),
        maximum_resolution=Resolution[payload.get("aws:maximum-resolution", "FULL_HD")],
    )


def is_valid_signature(public_key: ECKey, signing_input: bytes, signature: bytes) -> bool:
    """Whether this is the key's ES384 signature of the input, as 48 bytes of r then 48 of s."""
    return JWSRegistry.algorithms[ALGORITHM].verify(signing_input, signature, public_key)


def _refuse(reason: Reason, message: str) -> NoReturn:
    raise TokenRefusedError(reason, message)


def _parse(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Return the header, the payload, the signed bytes and the signature."""
    if not token.isascii() or len(token) > MAX_TOKEN_BYTES:
        _refuse(Reason.MALFORMED, f"A token must be ASCII, with at most {MAX_TOKEN_BYTES} bytes.")
    match = COMPACT_JWS.fullmatch(token)
    if match is None:
        _refuse(
            Reason.MALFORMED,
            "A token must be three segments of unpadded base64url, separated by dots.",
        )
    header, payload, signature = map(_decode_segment, match.groups())
    if len(signature) != SIGNATURE_BYTES:
        _refuse(
            Reason.SIGNATURE,
            f"The signature has {len(signature)} bytes. An ES384 signature has {SIGNATURE_BYTES}: "
            "r, then s, 48 bytes each. Convert it if it is DER, as made by OpenSSL and KMS.",
        )
    signing_input = token.rpartition(".")[0].encode("ascii")
    return (
        _parse_object(header, "header"),
        _parse_object(payload, "payload"),
        signing_input,
        signature,
    )


def _decode_segment(segment: str) -> bytes:
    if len(segment) % 4 == 1:
        _refuse(Reason.MALFORMED, "A segment of the token is not base64url: it is truncated.")
    data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    # Unused bits in the last character would allow a second encoding of the same bytes
    # (RFC 4648 §3.5).
    if base64.urlsafe_b64encode(data).rstrip(b"=") != segment.encode("ascii"):
        _refuse(
            Reason.MALFORMED,
            "A segment of the token is not base64url: the unused bits of its last character "
            "are not zero.",
        )
    return data


def _parse_object(data: bytes, part: str) -> dict[str, Any]:
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_reject_duplicate_members,
            parse_constant=_reject_constant,
        )
        # Fails for an escaped lone surrogate, which is not a character.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    # RecursionError: a short text can be nested too deeply for Python.
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        _refuse(
            Reason.MALFORMED, f"The token's {part} is not a JSON object with unique member names."
        )
    return value


def _reject_duplicate_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise ValueError("A JSON object has duplicate members.")
    return value


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON.")


def _check_header(header: dict[str, Any]) -> None:
    if header.get("alg") != ALGORITHM:
        _refuse(Reason.HEADER, f'The token\'s header must have "alg": "{ALGORITHM}".')
    if header.get("typ", "JWT") != "JWT":
        _refuse(Reason.HEADER, 'The token\'s header must have "typ": "JWT", or no "typ".')
    if "crit" in header or "b64" in header:
        _refuse(
            Reason.HEADER,
            'The token\'s header has "crit" or "b64". IVS supports no JWS extension.',
        )


def _check_signature(signing_input: bytes, signature: bytes, public_keys: Iterable[str]) -> None:
    keys = (ECKey.import_key(pem) for pem in public_keys)
    if not any(is_valid_signature(key, signing_input, signature) for key in keys):
        _refuse(
            Reason.SIGNATURE,
            "The signature doesn't match any playback key pair of the channel's account and "
            "region. Import the public key there (ImportPlaybackKeyPair), or sign with a key pair "
            "that is imported there.",
        )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


CLAIM_FORMATS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "exp": (_is_integer, "an integer (Unix seconds)"),
    "aws:channel-arn": (
        lambda value: (
            isinstance(value, str)
            and len(value) <= MAX_ARN_CHARACTERS
            and CHANNEL_ARN.fullmatch(value) is not None
        ),
        "the ARN of a channel",
    ),
    "aws:viewer-id": (
        lambda value: isinstance(value, str) and 1 <= len(value) <= MAX_VIEWER_ID_CHARACTERS,
        f"a string of 1 to {MAX_VIEWER_ID_CHARACTERS} characters",
    ),
    "aws:viewer-session-version": (
        lambda value: _is_integer(value) and value in INT64,
        "a 64-bit integer",
    ),
    "aws:single-use-uuid": (
        lambda value: isinstance(value, str) and UUID.fullmatch(value) is not None,
        "a UUID",
    ),
    "aws:maximum-resolution": (
        lambda value: isinstance(value, str) and value in Resolution.__members__,
        "one of " + ", ".join(Resolution.__members__),
    ),
    "aws:access-control-allow-origin": (
        lambda value: isinstance(value, str) and value != "",
        "a string of origins, separated by commas",
    ),
    "aws:strict-origin-enforcement": (lambda value: isinstance(value, bool), "true or false"),
}
"""The format of each claim that IVS knows. Other claims are ignored."""


def _check_claims(payload: dict[str, Any]) -> None:
    for name in ("exp", "aws:channel-arn"):
        if name not in payload:
            _refuse(Reason.CLAIM, f"The token doesn't have the required claim {name}.")
    for name, (is_valid, form) in CLAIM_FORMATS.items():
        if name in payload and not is_valid(payload[name]):
            _refuse(Reason.CLAIM, f"The token's claim {name} must be {form}.")
    origins = payload.get("aws:access-control-allow-origin", "").split(",")
    if payload.get("aws:strict-origin-enforcement") and len(origins) > MAX_STRICT_ORIGINS:
        _refuse(
            Reason.CLAIM,
            f"A token with strict origin enforcement may have at most {MAX_STRICT_ORIGINS} "
            "origins.",
        )


def _check_channel_and_expiry(payload: dict[str, Any], channel_arn: str, now: float) -> None:
    if now >= payload["exp"]:
        _refuse(
            Reason.EXPIRED,
            f"The token has expired (exp: {payload['exp']}). Request a new playback URL.",
        )
    if payload["aws:channel-arn"] != channel_arn:
        _refuse(
            Reason.OTHER_CHANNEL,
            f"The token is for another channel ({payload['aws:channel-arn']}).",
        )
    is_limited = "aws:viewer-id" in payload or "aws:single-use-uuid" in payload
    if is_limited and payload["exp"] > now + MAX_TTL_SECONDS_WITH_VIEWER_OR_SINGLE_USE:
        _refuse(
            Reason.TOO_LONG,
            "A token with aws:viewer-id or aws:single-use-uuid may expire at most "
            f"{MAX_TTL_SECONDS_WITH_VIEWER_OR_SINGLE_USE} seconds from now.",
        )
