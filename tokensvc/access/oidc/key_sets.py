"""The public keys of an issuer, from the JWK Set that it publishes (RFC 7517).

A key that may not verify a token is left out by itself, so that one bad key does not stop the
others: symmetric keys, keys with private members, keys for encryption, curves and sizes that no
allowed algorithm has.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from tokensvc.access.oidc.terms import Algorithm
from tokensvc.token import strict_json

MAX_KEYS: Final = 100
"""Keys of one issuer. Usual issuers publish two or three."""

LONGEST_KEY_ID: Final = 256
MIN_RSA_BITS: Final = 2_048
MAX_RSA_BITS: Final = 8_192
"""The time of a verification grows with the square of the size."""

_MAX_RSA_EXPONENT: Final = 2**32 - 1
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
_RSA: Final[frozenset[Algorithm]] = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
)
_CURVES: Final[Mapping[str, tuple[EllipticCurve, int, Algorithm]]] = {
    "P-256": (SECP256R1(), 32, "ES256"),
    "P-384": (SECP384R1(), 48, "ES384"),
    "P-521": (SECP521R1(), 66, "ES512"),
}

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
Fault = Literal[
    "not_a_key",
    "key_id",
    "private_members",
    "not_for_signatures",
    "key_type",
    "algorithm",
    "size",
    "values",
    "too_many",
]
"""Why a key was left out."""


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A public key of an issuer.

    Attributes:
        thumbprint: identifies it (RFC 7638).
        key_id: its `kid`; None if it has none.
        algorithms: the algorithms that it may be used with.
        public_key: the key.
        jwk: its public members, as JSON has them.
    """

    thumbprint: str
    key_id: str | None
    algorithms: frozenset[Algorithm]
    public_key: PublicKey
    jwk: Mapping[str, str]


@dataclass(frozen=True)
class KeySet:
    """The usable keys of an issuer.

    Attributes:
        keys: the keys, in the order in which they are published.
        left_out: how many others there are, by their fault.
    """

    keys: tuple[IssuerKey, ...]
    left_out: Mapping[Fault, int]

    @functools.cached_property
    def thumbprints(self) -> frozenset[str]:
        """The thumbprints of all keys."""
        return frozenset(key.thumbprint for key in self.keys)

    def that_fit(self, algorithm: str, key_id: str | None) -> Sequence[IssuerKey]:
        """The keys for that algorithm with that `kid`; with any or none if `key_id` is None."""
        return [
            key
            for key in self.keys
            if algorithm in key.algorithms and (key_id is None or key.key_id == key_id)
        ]


class _LeftOut(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


def parse_key_set(document: bytes) -> KeySet:
    """The keys in a JWK Set, which may have none that is usable.

    Raises:
        ValueError: when it is not a JWK Set.
    """
    match strict_json.loads(document):
        case {"keys": list() as jwks}:
            return usable_keys(jwks)
        case _:
            raise ValueError("The document has no list `keys`.")


def usable_keys(jwks: Sequence[object]) -> KeySet:
    """The usable ones of these keys. One that is published twice in the same form is one key."""
    keys: dict[tuple[str, str | None], IssuerKey] = {}
    faults: Counter[Fault] = Counter()
    for jwk in jwks:
        if len(keys) >= MAX_KEYS:
            faults["too_many"] += 1
            continue
        try:
            key = _usable_key(jwk)
        except _LeftOut as exc:
            faults[exc.fault] += 1
        else:
            keys.setdefault((key.thumbprint, key.key_id), key)
    return KeySet(tuple(keys.values()), dict(faults))


def _usable_key(jwk: object) -> IssuerKey:
    if not isinstance(jwk, dict):
        raise _LeftOut("not_a_key")
    key_id = jwk.get("kid")
    if key_id is not None and not (isinstance(key_id, str) and 0 < len(key_id) <= LONGEST_KEY_ID):
        raise _LeftOut("key_id")
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise _LeftOut("private_members")
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not (
        isinstance(operations, list) and "verify" in operations
    ):
        raise _LeftOut("not_for_signatures")
    public_key, members, fitting = _public_key(jwk)
    algorithms = fitting
    if "alg" in jwk:
        algorithms = frozenset(each for each in fitting if each == jwk["alg"])
        if not algorithms:
            raise _LeftOut("algorithm")
    more = {"kid": key_id, "alg": jwk.get("alg")}
    return IssuerKey(
        thumbprint=_thumbprint(members),
        key_id=key_id,
        algorithms=algorithms,
        public_key=public_key,
        jwk=members | {name: value for name, value in more.items() if value is not None},
    )


def _public_key(
    jwk: Mapping[str, object],
) -> tuple[PublicKey, dict[str, str], frozenset[Algorithm]]:
    """The key, the members that define it, and the algorithms that it fits."""
    try:
        match jwk.get("kty"):
            case "RSA":
                return _rsa_key(jwk)
            case "EC":
                return _elliptic_key(jwk)
            case "OKP" if jwk.get("crv") == "Ed25519":
                x = _decoded(jwk, "x")
                members = {"crv": "Ed25519", "kty": "OKP", "x": str(jwk["x"])}
                return Ed25519PublicKey.from_public_bytes(x), members, frozenset({"EdDSA"})
            case _:
                raise _LeftOut("key_type")
    except (ValueError, UnsupportedAlgorithm) as exc:  # Of cryptography: not on the curve, even.
        raise _LeftOut("values") from exc


def _rsa_key(
    jwk: Mapping[str, object],
) -> tuple[PublicKey, dict[str, str], frozenset[Algorithm]]:
    modulus, exponent = (int.from_bytes(_decoded(jwk, name)) for name in ("n", "e"))
    # Before the key is made: that takes the longer, the larger the numbers are.
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS or exponent > _MAX_RSA_EXPONENT:
        raise _LeftOut("size")
    members = {"e": str(jwk["e"]), "kty": "RSA", "n": str(jwk["n"])}
    return RSAPublicNumbers(exponent, modulus).public_key(), members, _RSA


def _elliptic_key(
    jwk: Mapping[str, object],
) -> tuple[PublicKey, dict[str, str], frozenset[Algorithm]]:
    name = jwk.get("crv")
    if not isinstance(name, str) or name not in _CURVES:
        raise _LeftOut("key_type")
    curve, size, algorithm = _CURVES[name]
    x, y = (_decoded(jwk, member) for member in ("x", "y"))
    if len(x) != size or len(y) != size:  # RFC 7518 §6.2.1.2
        raise _LeftOut("size")
    numbers = EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve)
    members = {"crv": name, "kty": "EC", "x": str(jwk["x"]), "y": str(jwk["y"])}
    return numbers.public_key(), members, frozenset({algorithm})


def _decoded(jwk: Mapping[str, object], name: str) -> bytes:
    """The bytes of that member. It has no padding and no other character, so it has one form."""
    text = jwk.get(name)
    if not isinstance(text, str):
        raise _LeftOut("values")
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _LeftOut("values") from exc
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != text:
        raise _LeftOut("values")
    return decoded


def _thumbprint(members: Mapping[str, str]) -> str:
    """RFC 7638: SHA-256 of the defining members, in the order of their names, without blanks."""
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
