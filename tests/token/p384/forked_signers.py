"""A program whose two forked processes sign with one private key, as the workers of gunicorn do.

`python -m tests.token.p384.forked_signers N.pem` writes the r of each signature, in hex, to N.0
and N.1: 1,000 by AWS's libcrypto and 1,000 by OpenSSL in each, all of the same message.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tokensvc.token.p384 import LocalSigner

SIGNATURES = 1_000
MESSAGE = b"header.payload"
_ES384 = ec.ECDSA(SHA384())


def write_rs(key: ec.EllipticCurvePrivateKey, file: Path) -> None:
    """Sign with both libraries, and write each r."""
    signer = LocalSigner(key)
    lines = []
    for _ in range(SIGNATURES):
        lines.append(signer.sign(MESSAGE)[:48].hex())
        r, _s = decode_dss_signature(key.sign(MESSAGE, _ES384))
        lines.append(r.to_bytes(48).hex())
    file.write_text("\n".join(lines))


def main(file: Path) -> int:
    """Fork two processes, and wait for them. Returns their worst exit status."""
    key = load_pem_private_key(file.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    key.sign(MESSAGE, _ES384)  # So that a state of OpenSSL exists that a fork copies.
    children = []
    for number in range(2):
        child = os.fork()
        if child == 0:
            write_rs(key, file.with_suffix(f".{number}"))
            os._exit(0)
        children.append(child)
    return max(os.waitpid(child, 0)[1] for child in children)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
