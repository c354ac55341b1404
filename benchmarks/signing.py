"""What a token costs: ours, beside the twenty-line signers that applications carry.

Each signer makes the same claims into a token; all checks of ours are in its time. The rounds take
turns, so that a machine whose speed drifts slows all alike, and the ratios are of the same round:

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
from tokensvc.claims import PlaybackClaims, PlaybackOptions
from tokensvc.p384 import LocalSigner
from tokensvc.tokens import sign

ARN = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
ORIGIN = "https://www.example.com"
TTL_SECONDS = 300
OURS = "tokensvc: claims checked, sign"


def signers() -> dict[str, Callable[[], str]]:
    """Each way to make a token, by its name; the peers are as public code has them."""
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


def microseconds(make: Callable[[], str], tokens: int) -> float:
    """How long one token takes, on average over so many."""
    began_at = time.perf_counter()
    for _ in range(tokens):
        make()
    return (time.perf_counter() - began_at) / tokens * 1_000_000


def main() -> None:
    """Print each signer's median and its ratio to ours."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=2_000, help="in each round, by each signer")
    asked = parser.parse_args()
    ways = signers()
    rounds = [
        {name: microseconds(make, asked.tokens) for name, make in ways.items()}
        for _ in range(asked.rounds)
    ]
    print(f"{asked.rounds} rounds of {asked.tokens} tokens, one core; medians\n")
    print(f"{'signer':<32} {'us a token':>10} {'times ours':>10}")
    for name in ways:
        cost = statistics.median(each[name] for each in rounds)
        ratio = statistics.median(each[name] / each[OURS] for each in rounds)
        print(f"{name:<32} {cost:>10.0f} {ratio:>10.2f}")


if __name__ == "__main__":
    main()
