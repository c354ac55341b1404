"""The bare loops: one P-384 signature with `cryptography` and with awscrt, nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc.token.p384 import LocalSigner

CRYPTOGRAPHY = "bare loop: cryptography (OpenSSL)"
AWSCRT = "bare loop: awscrt (AWS-LC)"
_MESSAGE = b"m" * 300  # About the length of a token's header and payload.
_SIGNATURES_PER_CHECK = 50


def signers() -> Mapping[str, Callable[[], object]]:
    """The bare signers by name, over one new key."""
    key = ec.generate_private_key(ec.SECP384R1())
    algorithm = ec.ECDSA(hashes.SHA384())
    signer = LocalSigner(key)
    return {
        CRYPTOGRAPHY: lambda: key.sign(_MESSAGE, algorithm),
        AWSCRT: lambda: signer.sign(_MESSAGE),
    }


def cpu_seconds_per_call(sign: Callable[[], object], seconds: float) -> float:
    """The average CPU time of a call, measured for that time."""
    calls = 0
    started = time.process_time()
    used = 0.0
    while used < seconds:
        for _ in range(_SIGNATURES_PER_CHECK):
            sign()
        calls += _SIGNATURES_PER_CHECK
        used = time.process_time() - started
    return used / calls
