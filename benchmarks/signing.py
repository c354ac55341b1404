"""Compare the time to sign a token: our signer, and the twenty-line signers in applications.

Every signer makes a token of the same claims. Our time includes all checks of the claims. The
signers run in turn in each round, so that changes of the machine's speed affect all of them, and
each ratio is computed within one round:

    python -m benchmarks.signing [--rounds 7] [--tokens 2000]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc.arns import ChannelArn
from tokensvc.token.claims import PlaybackClaims, PlaybackOptions
from tokensvc.token.jws import sign
from tokensvc.token.p384 import LocalSigner

ARN = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
ORIGIN = "https://www.example.com"
TTL_SECONDS = 300
OURS = "tokensvc: claims checked, sign"


def signers() -> dict[str, Callable[[], str]]:
    """Return the signers by name. The signers that are not ours are written as in public code."""
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    signer = LocalSigner(key)
    options = PlaybackOptions(TTL_SECONDS, (ORIGIN,))

    def ours() -> str:
        return sign(PlaybackClaims.at(time.time(), ARN, options, "viewer-7"), signer)

    def claims() -> dict[str, object]:
        now = int(time.time())
        return {
            "aws:channel-arn": str(ARN),
            "aws:access-control-allow-origin": ORIGIN,
            "aws:viewer-id": "viewer-7",
            "aws:viewer-session-version": now,
            "exp": now + TTL_SECONDS,
        }

    return {
        OURS: ours,
        "PyJWT with a key object": lambda: jwt.encode(claims(), key, algorithm="ES384"),
        "PyJWT with a PEM each time": lambda: jwt.encode(claims(), pem, algorithm="ES384"),
    }


def microseconds_per_token(sign_token: Callable[[], str], tokens: int) -> float:
    """Return the average time of that many calls."""
    started = time.perf_counter()
    for _ in range(tokens):
        sign_token()
    return (time.perf_counter() - started) / tokens * 1_000_000


def main() -> None:
    """Print each signer's median time and its ratio to ours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--tokens", type=int, default=2_000, help="tokens per signer in each round (default: 2000)"
    )
    options = parser.parse_args()
    all_signers = signers()
    rounds = [
        {
            name: microseconds_per_token(sign_token, options.tokens)
            for name, sign_token in all_signers.items()
        }
        for _ in range(options.rounds)
    ]
    print(f"{options.rounds} rounds of {options.tokens} tokens, one core; medians\n")
    print(f"{'signer':<32} {'us per token':>12} {'ratio to ours':>13}")
    for name in all_signers:
        median = statistics.median(each[name] for each in rounds)
        ratio = statistics.median(each[name] / each[OURS] for each in rounds)
        print(f"{name:<32} {median:>12.0f} {ratio:>13.2f}")


if __name__ == "__main__":
    main()
