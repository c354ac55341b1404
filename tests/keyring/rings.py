"""Example rings and key pairs for the tests of the keyring."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from tests.support.clock import EXAMPLE_NOW
from tokensvc.arns import PlaybackKeyArn, parse_region
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.model import KeyPair, KeyState, Ring
from tokensvc.keyring.rotation_requests import RotationRequest
from tokensvc.keyring.terms import Terms
from tokensvc.token.p384 import LocalSigner, PublicKey

REGION = parse_region("us-west-2")
ACCOUNT_ID = "123456789012"
ENDPOINT = "http://127.0.0.1:8001"
DEPLOYMENT = "0123456789abcdef"
TERMS = Terms(
    publish_delay_seconds=60,
    ring_max_age_seconds=120,
    longest_ttl_seconds=3_600,
    clock_skew_seconds=10,
)
DRAIN_SECONDS = 3_740  # 120 + 3,600 + 2 * 10, calculated by hand.


@cache
def public_key(key_id: str) -> PublicKey:
    """A public key for that key ID, always the same one."""
    return LocalSigner.generate().public_key


def arn(key_id: str) -> PlaybackKeyArn:
    """The ARN of that key pair in IVS."""
    return PlaybackKeyArn(REGION, ACCOUNT_ID, f"in-ivs-{key_id}")


def pair(key_id: str, state: KeyState, **changes: object) -> KeyPair:
    """A key pair in that state, created 90,000 s ago, with the fields that the state implies."""
    fields: dict[str, object] = {
        "key_id": key_id,
        "state": state,
        "created_at": EXAMPLE_NOW - 90_000,
        "public_key": public_key(key_id),
    }
    if state is not KeyState.PENDING:
        fields |= {"arn": arn(key_id), "published_at": EXAMPLE_NOW - 80_000}
    if state in (KeyState.ACTIVE, KeyState.RETIRING, KeyState.RETIRED):
        fields |= {"activated_at": EXAMPLE_NOW - 70_000}
    return KeyPair(**fields | changes)  # type: ignore[arg-type] # Fields by name; the constructor checks them.


def ring(*pairs: KeyPair, rotation_request: bool = False) -> Ring:
    """A ring of those key pairs, with or without a rotation request."""
    request = RotationRequest(EXAMPLE_NOW, "ann@desk", "monthly") if rotation_request else None
    return Ring(REGION, ACCOUNT_ID, ENDPOINT, DEPLOYMENT, TERMS, pairs, request)


def held(*key_ids: str, deployment: str | None = None) -> Sequence[HeldKeyPair]:
    """Those key pairs as IVS holds them, tagged with `deployment` if one is given."""
    tags = {"tokensvc:deployment": deployment} if deployment else {}
    return [
        HeldKeyPair(arn(key_id), f"tokensvc-{key_id}", public_key(key_id).fingerprint, tags)
        for key_id in key_ids
    ]
