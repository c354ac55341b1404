"""The content of a private key file: encrypted PKCS#8 PEM after a line that names the secret.

The first line identifies the key-encryption secret without revealing it, so that a wrong secret can
be distinguished from a damaged file. OpenSSL can read the rest: `openssl pkey -in FILE -passin
file:SECRET_FILE`, where the secret file contains the secret as base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc.errors import CustodyDamaged, CustodyDenied

_SECRET_ID_LINE = re.compile(rb"Key-Encryption-Secret: ([0-9a-f]{16})\n")
RESTORE_HINT = (
    "Restore the private key file from a backup. If there is no backup, the private key is lost:"
    " replace an active key with `tokensvc keys rotate`, and any other with"
    " `tokensvc keys revoke KEY`."
)


def wrap(private_key: ec.EllipticCurvePrivateKey, secret: bytes) -> bytes:
    """The content of a private key file: a line with the secret's ID, then the encrypted PEM."""
    # `cryptography` derives the key with 2,048 rounds of PBKDF2, about 0.5 ms. That is too few for
    # a password, and more than enough for 32 random bytes, which can't be guessed.
    pem = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(base64.b64encode(secret)),
    )
    return b"Key-Encryption-Secret: " + _secret_id(secret) + b"\n" + pem


def unwrap(content: bytes, secret: bytes, *, name: str) -> ec.EllipticCurvePrivateKey:
    """The private key in the content of a private key file.

    Args:
        content: the content of the file.
        secret: the key-encryption secret.
        name: the subject of the error message.

    Raises:
        CustodyDenied: when the content is encrypted with another secret.
        CustodyDamaged: when the content is damaged or not encrypted.
    """
    if _SECRET_ID_LINE.match(content) and not is_encrypted_with(secret, content):
        raise CustodyDenied(
            f"{name} is encrypted with another key-encryption secret than the configured one.",
            hint="Set custody.key_encryption_secret_file to the file of the secret that this key"
            " was encrypted with. While `tokensvc keys rewrap` changes the secret, set"
            " custody.previous_key_encryption_secret_file to that file instead.",
        )
    try:
        key = serialization.load_pem_private_key(content, base64.b64encode(secret))
    except TypeError as exc:
        raise CustodyDamaged(
            f"{name} is not encrypted, so tokensvc did not write this file.",
            hint="Move the file out of the folder and import it with"
            " `tokensvc keys adopt --private-key FILE --arn ARN`.",
        ) from exc
    except ValueError as exc:
        raise CustodyDamaged(
            f"{name} is damaged: the file can't be decrypted.", hint=RESTORE_HINT
        ) from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise CustodyDamaged(
            f"{name} is damaged: the key in the file is not a P-384 key.", hint=RESTORE_HINT
        )
    return key


def is_encrypted_with(secret: bytes, content: bytes) -> bool:
    """Whether the content of a private key file names that secret as its own."""
    line = _SECRET_ID_LINE.match(content)
    return line is not None and hmac.compare_digest(line[1], _secret_id(secret))


def _secret_id(secret: bytes) -> bytes:
    """16 hex characters that identify the secret and reveal nothing about it."""
    return hmac.digest(secret, b"tokensvc key-encryption secret", hashlib.sha256)[:8].hex().encode()
