"""Sign, read and verify the text of playback tokens.

Only the signer has side effects. Tokens are signed through PyJWT with a single algorithm that calls
a `Signer`, so the private key may be in this process or in a KMS. Reading is stricter than PyJWT,
which accepts padding, stray bits and repeated member names: a token that two parsers could read
differently is refused.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Never

import jwt
from jwt.algorithms import Algorithm

from tokensvc.errors import InvalidRequest, InvalidSignature, Problem
from tokensvc.ivs.limits import LONGEST_TOKEN_BYTES
from tokensvc.token import strict_json
from tokensvc.token.claims import PlaybackClaims
from tokensvc.token.p384 import PublicKey, Signer
from tokensvc.token.rules import BrokenRule

_ALG: Final = "ES384"
_TYP: Final = "JWT"
_SEGMENTS: Final = 3
_COMPACT = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def sign(claims: PlaybackClaims, signer: Signer) -> str:
    """The signed token: a compact JWS with the header `{"alg":"ES384","typ":"JWT"}`.

    >>> from tokensvc import ChannelArn, LocalSigner, PlaybackClaims, PlaybackOptions, sign
    >>> channel = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
    >>> claims = PlaybackClaims.at(1_800_000_000, channel, PlaybackOptions(ttl_seconds=300))
    >>> token = sign(claims, LocalSigner.generate())
    >>> jwt.get_unverified_header(token)
    {'alg': 'ES384', 'typ': 'JWT'}

    There is no `kid`: IVS documents none (IVS: private-channels-generate-tokens).

    Raises:
        InvalidRequest: when it would be longer than 2,048 bytes; only origins can make it so long.
        CustodyUnavailable: when the custody of the private key does not answer.
    """
    token = _es384().encode(
        _COMPACT.encode(claims.payload()).encode(),
        signer,  # type: ignore[arg-type] # PyJWT only passes it to our algorithm.
        algorithm=_ALG,
    )
    if len(token) > LONGEST_TOKEN_BYTES:
        message = (
            f"The token would have {len(token)} bytes, and IVS is believed to accept at most"
            f" {LONGEST_TOKEN_BYTES}. Name fewer origins, or combine some with a * at the"
            " beginning of the host."
        )
        raise InvalidRequest(message, problems=(Problem("allowed_origins", "token_size", message),))
    return token


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """The parts of a token whose signature has not been checked. Trust none of them.

    Attributes:
        header: the JOSE header.
        payload: the claims.
        signing_input: the signed bytes, `header.payload` in base64url.
        signature: the decoded signature, which may have any length.
    """

    header: Mapping[str, object]
    payload: Mapping[str, object]
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def read(token: str, *, longest_bytes: int = LONGEST_TOKEN_BYTES) -> UnverifiedToken:
    """The token's parts, unverified.

    Raises:
        InvalidRequest: when it is longer than `longest_bytes`, or not a compact JWS of three
            unpadded base64url segments, of which two are JSON objects (RFC 7515 §3.1, §7.1).
    """
    if len(token) > longest_bytes:
        _refuse(
            "token_size",
            f"The token has {len(token)} characters, and IVS is believed to accept at most"
            f" {LONGEST_TOKEN_BYTES} bytes. Sign a token with fewer origins.",
        )
    segments = token.split(".")
    if len(segments) != _SEGMENTS:
        _refuse(
            "token_segments",
            f"A token has {_SEGMENTS} segments separated by dots, but this text has"
            f" {len(segments)}. Copy the whole token and nothing else.",
        )
    header, payload, signature = segments
    return UnverifiedToken(
        header=_json_object(_decoded(header, "header"), "header"),
        payload=_json_object(_decoded(payload, "payload"), "payload"),
        signing_input=f"{header}.{payload}".encode(),
        signature=_decoded(signature, "signature"),
    )


def broken_header_rules(header: Mapping[str, object]) -> tuple[BrokenRule, ...]:
    """Every rule that the header breaks. Members unknown to IVS, such as `kid`, break none."""
    broken = []
    if header.get("alg") != _ALG:
        broken.append(
            BrokenRule(
                "header",
                "alg_es384",
                "The header's alg is not ES384. Sign with an ECDSA key on P-384 and SHA-384.",
                enforced_by_ivs=True,
            )
        )
    if header.get("typ", _TYP) != _TYP:
        broken.append(
            BrokenRule(
                "header",
                "typ_jwt",
                "The header's typ is not JWT. Set it to JWT in capitals, or leave it out.",
                enforced_by_ivs=True,
            )
        )
    broken.extend(
        BrokenRule(
            "header",
            f"{member}_absent",
            f"The header's {member} requires an extension that IVS does not support. Leave it out.",
            enforced_by_ivs=True,
        )
        for member in ("crit", "b64")
        if member in header
    )
    return tuple(broken)


def verify(token: str, public_keys: Iterable[PublicKey]) -> PublicKey:
    """The one of `public_keys` whose private key signed the token. Its claims are not checked.

    >>> from tokensvc import ChannelArn, LocalSigner, PlaybackClaims, PlaybackOptions, sign, verify
    >>> channel = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
    >>> claims = PlaybackClaims.at(1_800_000_000, channel, PlaybackOptions(ttl_seconds=300))
    >>> active, retiring = LocalSigner.generate(), LocalSigner.generate()
    >>> token = sign(claims, retiring)
    >>> verify(token, [active.public_key, retiring.public_key]) == retiring.public_key
    True

    Raises:
        InvalidRequest: when the text does not have the form of a playback token.
        InvalidSignature: when none of the keys signed the token.
    """
    unverified = read(token)
    broken = broken_header_rules(unverified.header)
    if broken:
        raise InvalidRequest(
            " ".join(rule.message for rule in broken),
            problems=tuple(Problem("token", rule.rule, rule.message) for rule in broken),
        )
    return find_signing_key(unverified, public_keys)


def find_signing_key(token: UnverifiedToken, public_keys: Iterable[PublicKey]) -> PublicKey:
    """Like `verify`, for a token from `read`. The header is not checked.

    Raises:
        InvalidSignature: when none of the keys signed the token.
    """
    for public_key in public_keys:
        try:
            public_key.verify(token.signature, token.signing_input)
        except InvalidSignature:
            continue
        return public_key
    raise InvalidSignature(
        "The token was not signed by any of the known key pairs.",
        hint="Sign with a key pair that is imported in the channel's region and account.",
    )


class _SignerAlgorithm(Algorithm):
    """Adapts a `Signer` to PyJWT. Only signing is supported."""

    def prepare_key(self, key: Signer) -> Signer:
        return key

    def sign(self, msg: bytes, key: Signer) -> bytes:
        return key.sign(msg)

    def verify(self, msg: bytes, key: Any, sig: bytes) -> Never:
        raise NotImplementedError("Use PublicKey.verify to verify tokens.")

    @staticmethod
    def to_jwk(key_obj: Any, as_dict: bool = False) -> Never:  # noqa: FBT001, FBT002 -- PyJWT's signature
        raise NotImplementedError("Use PublicKey.jwk to create JWKs.")

    @staticmethod
    def from_jwk(jwk: Any) -> Never:
        raise NotImplementedError("Keys can't be loaded from a JWK.")


@functools.cache
def _es384() -> jwt.PyJWS:
    """A PyJWS with this one algorithm only, so that neither HS256 nor `none` can be selected."""
    jws = jwt.PyJWS(algorithms=[])
    jws.register_algorithm(_ALG, _SignerAlgorithm())
    return jws


def _decoded(segment: str, part: str) -> bytes:
    try:
        data = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars="-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    # The comparison refuses every other spelling of the same bytes: padding, "+" and "/", stray
    # last bits (RFC 4648 §3.5).
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != segment:
        _refuse(
            "token_base64url",
            f"The token's {part} is not unpadded base64url. Copy the whole token, without spaces,"
            " quotes or line breaks.",
        )
    return data


def _json_object(data: bytes, part: str) -> dict[str, object]:
    try:
        value = strict_json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        _refuse(
            "token_json",
            f"The token's {part} is not a JSON object in UTF-8 with unique member names. Copy the"
            " whole token, or sign a new one.",
        )
    return value


def _refuse(rule: str, message: str) -> Never:
    raise InvalidRequest(message, problems=(Problem("token", rule, message),))
