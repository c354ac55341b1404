"""The private key that the examples of the library read from their working directory."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def write_private_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    """Make a private key, in the file `private-key.pem` of that folder as OpenSSL writes it."""
    private_key = ec.generate_private_key(ec.SECP384R1())
    pem = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    (folder / "private-key.pem").write_bytes(pem)
    return private_key
