"""Verify a token of an issuer: its form, its key, its signature, then its claims (RFC 7519).

1. A token of more than 8,192 characters is refused before it is parsed.
2. Its header says `typ` JWT or at+jwt, or has none (RFC 9068 §4). An extension (`crit`) is refused.
   Keys and addresses in the header (`jwk`, `jku`, `x5c`, `x5u`) are never used.
3. Its `iss` is that of a configured issuer, character by character.
4. Its algorithm is allowed for that issuer, and exactly one key of the issuer fits: the algorithm,
   and the `kid` if the token has one.
5. The signature is valid.
6. The claims are: `aud`, `azp` where the settings ask for it, `sub`, and the times.

The claims of 6 are read after the signature was verified.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import jwt
from jwt.types import Options
from jwt.utils import base64url_decode

from tokensvc.access.oidc.key_sets import IssuerKey, KeySet
from tokensvc.access.oidc.terms import IssuerTerms, refusal
from tokensvc.token import strict_json

LONGEST_TOKEN: Final = 8_192  # characters
LONGEST_SUBJECT: Final = 512
"""Characters. OpenID Connect allows 255; Kubernetes's service accounts have up to 340."""

_LATEST_TIME: Final = 253_402_300_799
"""The end of the year 9999, Unix seconds."""
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_SEGMENTS: Final = 3
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
# PyJWT compares times with the clock of the machine, and takes texts for numbers.
_CHECKED_BELOW: Final[Options] = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_sub": False,
    "verify_jti": False,
}


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token whose form is right. Nothing in it may be believed yet.

    Attributes:
        text: the token.
        issuer: its `iss`, which chooses the keys.
        algorithm: its `alg`.
        key_id: its `kid`; None if it has none.
        has_audience: whether it has the claim `aud`.
    """

    text: str
    issuer: str
    algorithm: str
    key_id: str | None
    has_audience: bool


def parse(text: str) -> UnverifiedToken:
    """The token in that text.

    Raises:
        Unauthenticated: when it does not have the form of a token.
    """
    if len(text) > LONGEST_TOKEN:
        raise refusal("too_long")
    segments = text.split(".")
    # RFC 7515 §2: without padding. Otherwise one token would have many texts, and each is verified
    # and remembered by itself.
    if len(segments) != _SEGMENTS or not all(map(_SEGMENT.fullmatch, segments)):
        raise refusal("malformed")
    try:
        header = jwt.get_unverified_header(text)
        claims = strict_json.loads(base64url_decode(segments[1]))
    except (jwt.PyJWTError, ValueError, RecursionError) as exc:
        raise refusal("malformed") from exc
    if "crit" in header or "b64" in header:
        raise refusal("critical_header")
    if str(header.get("typ", "JWT")).lower() not in _TYPES:
        raise refusal("type")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(claims, dict) or not isinstance(algorithm, str):
        raise refusal("malformed")
    issuer = claims.get("iss")
    if not isinstance(issuer, str):
        raise refusal("unknown_issuer")
    return UnverifiedToken(text, issuer, algorithm, key_id, "aud" in claims)


def key_of(token: UnverifiedToken, keys: KeySet, terms: IssuerTerms) -> IssuerKey | None:
    """The one key of the issuer that fits the token; None if there is none.

    Raises:
        Unauthenticated: when several fit, or when the algorithm is not allowed.
    """
    if token.algorithm not in terms.algorithms:
        raise refusal("algorithm")
    fitting = keys.that_fit(token.algorithm, token.key_id)
    if len(fitting) > 1:
        raise refusal("ambiguous_key")
    return fitting[0] if fitting else None


def verified_claims(
    token: UnverifiedToken, key: IssuerKey, terms: IssuerTerms, now: float
) -> Mapping[str, object]:
    """The claims of the token, which the issuer has signed and which are valid at that time.

    `now` is Unix seconds.

    Raises:
        Unauthenticated: when the signature is not valid, or a claim is not.
    """
    is_client_id_compared = terms.client_id_as_audience and not token.has_audience
    try:
        claims: dict[str, object] = jwt.decode(
            token.text,
            key.public_key,
            # Of the key and the settings, never of the token.
            algorithms=sorted(key.algorithms.intersection(terms.algorithms)),
            issuer=terms.issuer,
            audience=None if is_client_id_compared else terms.audiences,
            options=_CHECKED_BELOW,
        )
    except (jwt.InvalidAudienceError, jwt.MissingRequiredClaimError) as exc:
        raise refusal("audience") from exc
    except jwt.InvalidSignatureError as exc:
        raise refusal("signature") from exc
    except (jwt.PyJWTError, ValueError, RecursionError) as exc:
        raise refusal("malformed") from exc
    if is_client_id_compared and claims.get("client_id") not in terms.audiences:
        raise refusal("audience")
    if terms.authorized_parties and claims.get("azp") not in terms.authorized_parties:
        raise refusal("authorized_party")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _is_subject(subject):
        raise refusal("subject")
    _check_times(claims, terms.leeway_seconds, now)
    return claims


def expires_at(claims: Mapping[str, object], terms: IssuerTerms) -> float:
    """Until when a token with these verified claims is accepted, Unix seconds."""
    return _time(claims, "exp") + terms.leeway_seconds


def _is_subject(text: str) -> bool:
    # A text with unpaired surrogates can't be encoded; control characters have no place in one.
    return 0 < len(text) <= LONGEST_SUBJECT and text.isprintable()


def _check_times(claims: Mapping[str, object], leeway_seconds: int, now: float) -> None:
    if now >= _time(claims, "exp") + leeway_seconds:
        raise refusal("expired")
    for name in ("nbf", "iat"):
        if name in claims and now < _time(claims, name) - leeway_seconds:
            raise refusal("not_yet_valid")


def _time(claims: Mapping[str, object], name: str) -> float:
    """The NumericDate of that claim (RFC 7519 §2), Unix seconds."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise refusal("time_claims")
    if not 0 <= value <= _LATEST_TIME:  # Neither is infinity, nor what is no number.
        raise refusal("time_claims")
    return value
