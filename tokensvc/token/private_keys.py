"""Read a P-384 private key in every form in which people keep one.

A form that has one meaning is read, such as a PEM whose line breaks were lost in a variable.
Anything else is refused and named for what it is, such as a public key.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from textwrap import wrap

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from jwt.algorithms import ECAlgorithm
from jwt.exceptions import InvalidKeyError

from tokensvc.errors import InvalidKeyMaterial
from tokensvc.written_text import text_of

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_NOT_PRIVATE = {
    "CERTIFICATE": "a certificate",
    "CERTIFICATE REQUEST": "a certificate request",
    "PUBLIC KEY": "a public key",
    "RSA PUBLIC KEY": "an RSA public key",
}
_SSH_PUBLIC_KEY = "ecdsa-sha2-nistp384 "
_DER_SEQUENCE = b"\x30"
_HINT = "Create a key that IVS accepts with `openssl ecparam -name secp384r1 -genkey -noout`."


def load_private_key(content: bytes) -> ec.EllipticCurvePrivateKey:
    """The unencrypted P-384 private key in the content of a file or variable.

    >>> from pathlib import Path
    >>> from tokensvc import load_private_key
    >>> load_private_key(Path("private-key.pem").read_bytes()).curve.name
    'secp384r1'

    It is PEM (SEC1, PKCS#8 or OpenSSH, alone or beside its certificate or parameters), DER, a JWK,
    base64 of one of them, or JSON with one PEM in it. Line breaks may be CRLF, escaped or lost.

    Raises:
        InvalidKeyMaterial: when there is no such private key, or more than one.
    """
    key = _private_key(content)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise InvalidKeyMaterial("The private key is not on the curve P-384.", hint=_HINT)
    return key


def _private_key(content: bytes) -> PrivateKeyTypes:
    if content.startswith(_DER_SEQUENCE):
        return _from_der(content)
    try:
        text = text_of(content).strip()
    except UnicodeDecodeError as exc:
        raise _not_a_key() from exc
    if text.startswith(("{", "[", '"')):
        return _from_json(text)
    if "-----BEGIN " in text:
        return _from_pem(text)
    if text.startswith(_SSH_PUBLIC_KEY):
        raise _named("an SSH public key")
    decoded = _from_base64(text)
    if decoded is not None:
        return _private_key(decoded)
    raise _not_a_key()


def _from_pem(text: str) -> PrivateKeyTypes:
    blocks = _BLOCK.findall(text.replace("\\r", "\r").replace("\\n", "\n"))
    private = {(label, body) for label, body in blocks if label.endswith("PRIVATE KEY")}
    if len(private) > 1:
        raise InvalidKeyMaterial(
            f"The text has {len(private)} private keys.", hint="Keep only the one of the key pair."
        )
    for label, body in private:
        return _from_block(label, body)
    for label, _ in blocks:
        if label in _NOT_PRIVATE:
            raise _named(_NOT_PRIVATE[label])
    raise _not_a_key()


def _from_block(label: str, body: str) -> PrivateKeyTypes:
    if "ENCRYPTED" in label or "ENCRYPTED" in body:
        raise _encrypted()
    # Written again, because the line breaks may be lost or the lines indented.
    lines = "\n".join(wrap("".join(body.split()), 64))
    pem = f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode()
    try:
        if label == "OPENSSH PRIVATE KEY":
            return serialization.load_ssh_private_key(pem, password=None)
        return serialization.load_pem_private_key(pem, password=None)
    except TypeError as exc:
        raise _encrypted() from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise _not_a_key() from exc


def _from_der(content: bytes) -> PrivateKeyTypes:
    try:
        return serialization.load_der_private_key(content, password=None)
    except TypeError as exc:
        raise _encrypted() from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise (_named("a public key") if _is_public_key(content) else _not_a_key()) from exc


def _from_json(text: str) -> PrivateKeyTypes:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise _not_a_key() from exc
    if isinstance(value, dict) and "kty" in value:
        return _from_jwk(text, is_private="d" in value)
    keys = {found for found in _strings(value) if "PRIVATE KEY-----" in found}
    if len(keys) != 1:
        raise InvalidKeyMaterial(
            f"The text is JSON with {len(keys)} PEM private keys. One is needed.",
            hint="Save the PEM of the private key alone in the file.",
        )
    return _from_pem(keys.pop())


def _from_jwk(text: str, *, is_private: bool) -> PrivateKeyTypes:
    if not is_private:
        raise _named("the JWK of a public key")
    try:
        key = ECAlgorithm.from_jwk(text)
    except (InvalidKeyError, ValueError) as exc:
        raise _not_a_key() from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _not_a_key()
    return key


def _strings(value: object) -> Iterator[str]:
    """Every string in parsed JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _strings(member)


def _from_base64(text: str) -> bytes | None:
    """The bytes, if the text is base64 of a text or of DER; None if it is not."""
    try:
        decoded = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    is_key = decoded.startswith((_DER_SEQUENCE, b"-----BEGIN ", b"{"))
    return decoded if is_key else None


def _is_public_key(der: bytes) -> bool:
    try:
        serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def _named(what: str) -> InvalidKeyMaterial:
    return InvalidKeyMaterial(
        f"The text is {what}, not a private key.",
        hint=f"Use the file of the private key, which is usually beside it. {_HINT}",
    )


def _encrypted() -> InvalidKeyMaterial:
    return InvalidKeyMaterial(
        "The private key is encrypted.",
        hint="Decrypt it first: `openssl pkey -in FILE -out PLAIN`.",
    )


def _not_a_key() -> InvalidKeyMaterial:
    return InvalidKeyMaterial("The text is not a private key on the curve P-384.", hint=_HINT)
