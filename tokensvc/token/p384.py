"""P-384 keys: public keys in every format that other systems need, and signers that return r‖s.

This module is independent of what is signed and of where the private key is stored.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from cryptography.exceptions import InvalidSignature as _SignatureMismatch
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from tokensvc.errors import InvalidKeyMaterial, InvalidSignature

if TYPE_CHECKING:
    from awscrt.crypto import EC

COORDINATE_BYTES = 48
SIGNATURE_BYTES = 2 * COORDINATE_BYTES
_ECDSA_SHA_384 = ec.ECDSA(hashes.SHA384())


@dataclass(frozen=True)
class PublicKey:
    """A P-384 public key. Two are equal when their points are equal.

    >>> from tokensvc import LocalSigner, PublicKey
    >>> public_key = LocalSigner.generate().public_key
    >>> PublicKey.from_pem(public_key.pem) == public_key
    True

    Attributes:
        spki_der: the DER SubjectPublicKeyInfo, 120 bytes (RFC 5480 §2).
    """

    spki_der: bytes

    @classmethod
    def from_der(cls, spki_der: bytes) -> Self:
        """The public key in these DER bytes.

        Raises:
            InvalidKeyMaterial: when they are not a SubjectPublicKeyInfo of a P-384 point.
        """
        try:
            return cls.of(serialization.load_der_public_key(spki_der))
        except (ValueError, UnsupportedAlgorithm) as exc:
            raise InvalidKeyMaterial(
                "The bytes are not a DER public key on the curve P-384.",
                hint=_PUBLIC_KEY_HINT,
            ) from exc

    @classmethod
    def from_pem(cls, pem: str) -> Self:
        """The public key in this PEM text (`BEGIN PUBLIC KEY`).

        Raises:
            InvalidKeyMaterial: when it is not a SubjectPublicKeyInfo of a P-384 point.
        """
        try:
            return cls.of(serialization.load_pem_public_key(pem.encode()))
        except (ValueError, UnsupportedAlgorithm) as exc:
            raise InvalidKeyMaterial(
                "The text is not a PEM public key on the curve P-384.", hint=_PUBLIC_KEY_HINT
            ) from exc

    @classmethod
    def of(cls, key: object) -> Self:
        """The public key in this key object of `cryptography`.

        Raises:
            InvalidKeyMaterial: when its curve is not P-384, the only one that IVS accepts (IVS:
                private-channels-create-key).
        """
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(
            key.curve, ec.SECP384R1
        ):
            raise InvalidKeyMaterial("The key is not on the curve P-384.", hint=_PUBLIC_KEY_HINT)
        # Encoded again, so that a compressed and an uncompressed point give equal values.
        return cls(
            key.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    @property
    def pem(self) -> str:
        """PEM text in the form for ImportPlaybackKeyPair (IVS: private-channels-create-key)."""
        return self._point.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()

    @property
    def fingerprint(self) -> str:
        """IVS's fingerprint: MD5 of the DER, 16 lowercase hex octets with colons (`98:0d:…`)."""
        return hashlib.md5(self.spki_der, usedforsecurity=False).digest().hex(":")

    @property
    def thumbprint(self) -> str:
        """The JWK thumbprint, base64url of SHA-256, 43 characters (RFC 7638 §3)."""
        members = json.dumps(self._coordinates(), separators=(",", ":"), sort_keys=True)
        return _base64url(hashlib.sha256(members.encode()).digest())

    def jwk(self) -> dict[str, str]:
        """The public JWK for a key set, `kid` = thumbprint (RFC 7517 §4, RFC 7518 §6.2.1)."""
        return {**self._coordinates(), "kid": self.thumbprint, "alg": "ES384", "use": "sig"}

    @functools.cached_property
    def _point(self) -> ec.EllipticCurvePublicKey:
        # Cached, because parsing costs as much as a signature.
        key = serialization.load_der_public_key(self.spki_der)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise InvalidKeyMaterial("The key is not on the curve P-384.", hint=_PUBLIC_KEY_HINT)
        return key

    def _coordinates(self) -> dict[str, str]:
        point = self._point.public_numbers()
        x, y = (_base64url(n.to_bytes(COORDINATE_BYTES)) for n in (point.x, point.y))
        return {"crv": "P-384", "kty": "EC", "x": x, "y": y}

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check that this key made `signature` (96 bytes, r‖s) over SHA-384 of `message`.

        Raises:
            InvalidSignature: when it did not, or when the form is wrong (RFC 7518 §3.4).
        """
        if len(signature) != SIGNATURE_BYTES:
            raise InvalidSignature(
                f"An ES384 signature has {SIGNATURE_BYTES} bytes, but this one has"
                f" {len(signature)}."
            )
        r, s = (
            int.from_bytes(number)
            for number in (signature[:COORDINATE_BYTES], signature[COORDINATE_BYTES:])
        )
        try:
            self._point.verify(encode_dss_signature(r, s), message, _ECDSA_SHA_384)
        except _SignatureMismatch as exc:
            raise InvalidSignature(
                "The signature was not made with this key over this message."
            ) from exc

    def has_signed(self, signature: bytes, message: bytes) -> bool:
        """Whether `verify` would accept the signature, in 40 % of its time: for requests.

        By AWS's libcrypto, which signs. `verify` is another implementation, for self-checks.
        """
        if len(signature) != SIGNATURE_BYTES:
            return False
        r, s = signature[:COORDINATE_BYTES], signature[COORDINATE_BYTES:]
        der = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
        return self._verifier.verify(hashlib.sha384(message).digest(), der) is True

    @functools.cached_property
    def _verifier(self) -> EC:
        from awscrt.crypto import EC  # Here, because gunicorn's master must not load it.

        return EC.new_key_from_der_data(self.spki_der)


class Signer(Protocol):
    """Signs with one private key, without giving access to the key itself.

    >>> from tokensvc import LocalSigner, Signer
    >>> signer: Signer = LocalSigner.generate()
    >>> signer.public_key.verify(signer.sign(b"message"), b"message")

    `sign` accepts every class with these two members, such as one of yours that calls a KMS.
    """

    @property
    def public_key(self) -> PublicKey:
        """The public key of the pair."""
        ...

    def sign(self, message: bytes) -> bytes:
        """96 bytes, r‖s, over SHA-384 of `message` (RFC 7518 §3.4).

        Raises:
            CustodyUnavailable: when the custody of the private key does not answer.
        """
        ...


class LocalSigner:
    """Signs in this process with AWS's libcrypto, which is twice as fast as OpenSSL's P-384.

    >>> from pathlib import Path
    >>> from tokensvc import LocalSigner, load_private_key
    >>> signer = LocalSigner(load_private_key(Path("private-key.pem").read_bytes()))
    >>> len(signer.sign(b"message"))
    96

    Threads can share it. Make it after a fork, because awscrt does not support one.
    """

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        # Loaded here, because gunicorn's master has no signer: awscrt does not support a fork.
        from awscrt.crypto import EC

        self._public_key = PublicKey.of(private_key.public_key())
        # SEC1 in DER is the only private key format that every release of awscrt reads.
        self._key = EC.new_key_from_der_data(
            private_key.private_bytes(
                serialization.Encoding.DER,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )

    @classmethod
    def generate(cls) -> Self:
        """A signer with a new key pair that is stored nowhere: for tests and examples."""
        return cls(ec.generate_private_key(ec.SECP384R1()))

    @property
    def public_key(self) -> PublicKey:
        """The public key of the pair."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """96 bytes, r‖s, over SHA-384 of `message` (RFC 7518 §3.4)."""
        return der_to_raw(self._key.sign(hashlib.sha384(message).digest()))


def der_to_raw(der_signature: bytes) -> bytes:
    """Convert a DER signature, as OpenSSL and KMS return it, to 96 bytes r‖s (RFC 7518 §3.4).

    >>> raw = der_to_raw(bytes.fromhex("3006 0201 07 0201 09"))  # r = 7, s = 9
    >>> raw[47], raw[95]
    (7, 9)

    Raises:
        InvalidSignature: when the bytes are not a DER signature of the curve's size.
    """
    try:
        r, s = decode_dss_signature(der_signature)
        return r.to_bytes(COORDINATE_BYTES) + s.to_bytes(COORDINATE_BYTES)
    except (ValueError, OverflowError) as exc:
        raise InvalidSignature("The bytes are not a DER signature for the curve P-384.") from exc


_PUBLIC_KEY_HINT = (
    "Use the public key of a secp384r1 key pair, as `openssl ec -in KEY -pubout` prints it."
)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
