"""Judge a playback token as Amazon IVS does (IVS: private-channels-generate-tokens).

This is on purpose not the code that the token service uses, and built on another JOSE library, so
that the two can't share a mistake. What AWS doesn't document is believed: the size limit, zero
leeway for clocks, that a duplicate member or a form other than the documented one is refused.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from tokensvc.localivs.edge.origins import OriginRule
from tokensvc.localivs.edge.refusals import Reason, TokenRefusedError
from tokensvc.localivs.edge.segments import Resolution

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
    """What a good token grants; `expires_at` in Unix seconds."""

    expires_at: int
    origin_rule: OriginRule
    viewer_id: str | None
    viewer_session_version: int
    single_use_uuid: str | None
    maximum_resolution: Resolution


def verify(
    token: str | None, *, channel_arn: str, public_keys: Iterable[str], now: float
) -> Admission:
    """Judge a token for a channel by itself: form, signature, claims, time.

    Where the request comes from, and whether the token was used or its viewer revoked, is not known
    here.

    Args:
        token: The `token` parameter of the playback URL; None when there is none.
        channel_arn: The channel that the URL names.
        public_keys: PEM texts of the key pairs imported into the channel's account and region.
        now: Unix seconds.

    Raises:
        TokenRefusedError: IVS would refuse it.
    """
    if token is None:
        _refuse(Reason.ABSENT, "This channel is private: the URL needs a token parameter.")
    header, payload, signing_input, signature = _parse(token)
    _check_header(header)
    _check_signature(signing_input, signature, public_keys)
    _check_claims(payload)
    _check_circumstances(payload, channel_arn, now)
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


def signed_by(public_key: ECKey, signing_input: bytes, signature: bytes) -> bool:
    """Whether this is the key's ES384 signature, as r and s side by side."""
    return JWSRegistry.algorithms[ALGORITHM].verify(signing_input, signature, public_key)


def _refuse(reason: Reason, message: str) -> NoReturn:
    raise TokenRefusedError(reason, message)


def _parse(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """The header, the payload, the bytes that are signed, and the signature."""
    if not token.isascii() or len(token) > MAX_TOKEN_BYTES:
        _refuse(Reason.MALFORMED, f"A token is ASCII text of at most {MAX_TOKEN_BYTES} bytes.")
    match = COMPACT_JWS.fullmatch(token)
    if match is None:
        _refuse(
            Reason.MALFORMED,
            "A token is three segments of unpadded base64url with two dots between them.",
        )
    header, payload, signature = map(_decoded, match.groups())
    if len(signature) != SIGNATURE_BYTES:
        _refuse(
            Reason.SIGNATURE,
            f"The signature has {len(signature)} bytes. ES384 in a token is r and s of 48 bytes "
            "each, 96 in all; OpenSSL and KMS give DER, which has to be converted.",
        )
    signing_input = token.rpartition(".")[0].encode("ascii")
    return _object(header, "header"), _object(payload, "payload"), signing_input, signature


def _decoded(segment: str) -> bytes:
    if len(segment) % 4 == 1:
        _refuse(Reason.MALFORMED, "A segment of the token is cut off: it is no base64url.")
    data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    # Bits left over in the last character spell the same bytes in a second way (RFC 4648 §3.5).
    if base64.urlsafe_b64encode(data).rstrip(b"=") != segment.encode("ascii"):
        _refuse(Reason.MALFORMED, "A segment of the token has stray bits: it is no base64url.")
    return data


def _object(data: bytes, part: str) -> dict[str, Any]:
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
        # An escaped half of a surrogate pair is no character: it can't be written back.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    # A small text can still nest so deeply that Python gives up on it.
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        _refuse(Reason.MALFORMED, f"The token's {part} is no JSON object with unique members.")
    return value


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise ValueError("A member is there twice.")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON.")


def _check_header(header: dict[str, Any]) -> None:
    if header.get("alg") != ALGORITHM:
        _refuse(Reason.HEADER, f'The token\'s header must say "alg": "{ALGORITHM}".')
    if header.get("typ", "JWT") != "JWT":
        _refuse(Reason.HEADER, 'The token\'s header must say "typ": "JWT".')
    if "crit" in header or "b64" in header:
        _refuse(Reason.HEADER, "The token's header asks for an extension that IVS doesn't have.")


def _check_signature(signing_input: bytes, signature: bytes, public_keys: Iterable[str]) -> None:
    keys = (ECKey.import_key(pem) for pem in public_keys)
    if not any(signed_by(key, signing_input, signature) for key in keys):
        _refuse(
            Reason.SIGNATURE,
            "No playback key pair of the channel's account and region made this signature. Import "
            "the public key into that region, or sign with one that is imported.",
        )


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "exp": (_is_integer, "an integer: Unix seconds"),
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
        "an integer of 64 bits",
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
        "a string: origins, separated by commas",
    ),
    "aws:strict-origin-enforcement": (lambda value: isinstance(value, bool), "true or false"),
}
"""What each claim has to be when it is there; others are ignored."""


def _check_claims(payload: dict[str, Any]) -> None:
    for name in ("exp", "aws:channel-arn"):
        if name not in payload:
            _refuse(Reason.CLAIM, f"The token lacks the claim {name}.")
    for name, (fits, form) in FORMS.items():
        if name in payload and not fits(payload[name]):
            _refuse(Reason.CLAIM, f"The token's claim {name} must be {form}.")
    origins = payload.get("aws:access-control-allow-origin", "").split(",")
    if payload.get("aws:strict-origin-enforcement") and len(origins) > MAX_STRICT_ORIGINS:
        _refuse(
            Reason.CLAIM,
            f"With strict origin enforcement a token names at most {MAX_STRICT_ORIGINS} origins.",
        )


def _check_circumstances(payload: dict[str, Any], channel_arn: str, now: float) -> None:
    if now >= payload["exp"]:
        _refuse(Reason.EXPIRED, "The token has expired: ask for a new playback URL.")
    if payload["aws:channel-arn"] != channel_arn:
        _refuse(Reason.OTHER_CHANNEL, "The token is for another channel.")
    short = "aws:viewer-id" in payload or "aws:single-use-uuid" in payload
    if short and payload["exp"] > now + MAX_TTL_SECONDS_WITH_VIEWER_OR_SINGLE_USE:
        _refuse(
            Reason.TOO_LONG,
            "A token with a viewer ID or for a single use may expire at most "
            f"{MAX_TTL_SECONDS_WITH_VIEWER_OR_SINGLE_USE} seconds from now.",
        )
