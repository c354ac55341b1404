"""Keys of an issuer, and tokens of any form, signed without a JOSE library."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from tests.support.clock import EXAMPLE_NOW

ISSUER = "https://issuer.example.com"
AUDIENCE = "tokensvc"

_CURVES: Mapping[str, tuple[ec.EllipticCurve, HashAlgorithm, int, str]] = {
    "ES256": (ec.SECP256R1(), SHA256(), 32, "P-256"),
    "ES384": (ec.SECP384R1(), SHA384(), 48, "P-384"),
    "ES512": (ec.SECP521R1(), SHA512(), 66, "P-521"),
}
_HASHES: Mapping[str, HashAlgorithm] = {"256": SHA256(), "384": SHA384(), "512": SHA512()}


@dataclass(frozen=True)
class SigningKey:
    """A private key of an issuer.

    Attributes:
        algorithm: the `alg` of its tokens.
        key_id: its `kid`.
        jwk: its public JWK, without `alg` and `use`.
        sign: signs bytes as JOSE has it.
    """

    algorithm: str
    key_id: str
    jwk: dict[str, Any]
    sign: Callable[[bytes], bytes]

    def token(
        self, claims: Mapping[str, object] | None = None, header: Mapping[str, object] | None = None
    ) -> str:
        """A token with these claims, and more header members; None leaves a member out."""
        members = {"alg": self.algorithm, "kid": self.key_id, "typ": "JWT", **(header or {})}
        return signed(without_none(members), claims_of() if claims is None else claims, self.sign)


def claims_of(**changes: object) -> dict[str, object]:
    """The claims of a valid token, with changes; None leaves a claim out."""
    claims: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "user-1",
        "iat": int(EXAMPLE_NOW),
        "exp": int(EXAMPLE_NOW) + 600,
    }
    return without_none(claims | changes)


def without_none(members: Mapping[str, object]) -> dict[str, object]:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}


def signed(header: Mapping[str, object], payload: object, sign: Callable[[bytes], bytes]) -> str:
    """A token with that header. The payload is what JSON has, or bytes."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signing_input = f"{encoded(json.dumps(header).encode())}.{encoded(body)}"
    return f"{signing_input}.{encoded(sign(signing_input.encode()))}"


def encoded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def with_hmac(secret: bytes) -> Callable[[bytes], bytes]:
    """Signs as HS256 with that secret."""
    return lambda message: hmac.digest(secret, message, hashlib.sha256)


@functools.cache
def signing_key(algorithm: str = "ES256", key_id: str = "key-1") -> SigningKey:
    """The key with that algorithm and ID; made once in each process."""
    if algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
        x = private.public_key().public_bytes_raw()
        jwk = {"kty": "OKP", "crv": "Ed25519", "kid": key_id, "x": encoded(x)}
        return SigningKey(algorithm, key_id, jwk, private.sign)
    if algorithm in _CURVES:
        return _elliptic(algorithm, key_id)
    return _rsa(algorithm, key_id)


def _elliptic(algorithm: str, key_id: str) -> SigningKey:
    curve, digest, size, name = _CURVES[algorithm]
    private = ec.generate_private_key(curve)
    numbers = private.public_key().public_numbers()
    x, y = (encoded(number.to_bytes(size)) for number in (numbers.x, numbers.y))

    def sign(message: bytes) -> bytes:
        r, s = decode_dss_signature(private.sign(message, ec.ECDSA(digest)))
        return r.to_bytes(size) + s.to_bytes(size)

    return SigningKey(
        algorithm, key_id, {"kty": "EC", "crv": name, "kid": key_id, "x": x, "y": y}, sign
    )


@functools.cache
def rsa_private_key() -> rsa.RSAPrivateKey:
    """An RSA key of 2,048 bits, made once in each process, because that takes long."""
    return rsa.generate_private_key(65_537, 2_048)


def _rsa(algorithm: str, key_id: str) -> SigningKey:
    private = rsa_private_key()
    digest = _HASHES[algorithm[2:]]
    scheme: padding.AsymmetricPadding = padding.PKCS1v15()
    if algorithm.startswith("PS"):
        scheme = padding.PSS(padding.MGF1(digest), digest.digest_size)

    def sign(message: bytes) -> bytes:
        return private.sign(message, scheme, digest)

    numbers = private.public_key().public_numbers()
    return SigningKey(algorithm, key_id, rsa_jwk(numbers.n, key_id=key_id), sign)


def rsa_jwk(modulus: int, exponent: int = 65_537, *, key_id: str = "rsa") -> dict[str, Any]:
    """The public JWK of an RSA key with these numbers."""
    n, e = (
        encoded(number.to_bytes((number.bit_length() + 7) // 8)) for number in (modulus, exponent)
    )
    return {"kty": "RSA", "kid": key_id, "n": n, "e": e}
