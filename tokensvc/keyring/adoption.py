"""Adoption: a key pair that was created elsewhere, and that IVS holds already, gets a record."""

from __future__ import annotations

import dataclasses
import hashlib

from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc.arns import PlaybackKeyArn
from tokensvc.errors import InvalidKeyMaterial, NotFound, RotationRefused
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.effects import KeyPairsInIvs
from tokensvc.keyring.model import Act, KeyState, Ring
from tokensvc.keyring.ownership import tags_of
from tokensvc.token.p384 import PublicKey


def adopted_key_id(public_key: PublicKey) -> str:
    """The key ID, derived from the key: adopting again finds the same record and private key."""
    return f"a{hashlib.sha256(public_key.spki_der).hexdigest()[:12]}"


def require_held(key_pairs: KeyPairsInIvs, public_key: PublicKey, arn: PlaybackKeyArn) -> None:
    """Return if IVS holds that public key under that ARN.

    Raises:
        RotationRefused: when IVS holds no such key pair.
        InvalidKeyMaterial: when IVS has another fingerprint for it.
    """
    try:
        held = key_pairs.get(arn)
    except NotFound as exc:
        raise RotationRefused(
            f"IVS holds no key pair {arn}.",
            hint="Run `tokensvc keys list` to see the key pairs that IVS holds.",
        ) from exc
    if held.fingerprint != public_key.fingerprint:
        raise InvalidKeyMaterial(
            f"The private key does not belong to {arn}: its public key has the fingerprint "
            f"{public_key.fingerprint}, and IVS has {held.fingerprint}.",
            hint="Pass the private key whose public key was imported as this key pair.",
        )


def adopted(
    ring: Ring, public_key: PublicKey, arn: PlaybackKeyArn, longest_ttl_seconds: int, act: Act
) -> Ring:
    """The ring with a record of the key pair. One that was adopted before stays as it is.

    Only a longer lifetime of the tokens that were signed elsewhere is recorded then.

    Raises:
        RotationRefused: when the ring has the key under another ID, or it is revoked or retired.
    """
    key_id = adopted_key_id(public_key)
    earlier = next((pair for pair in ring.pairs if pair.key_id == key_id), None)
    if earlier is None:
        _require_unknown(ring, public_key)
        return ring.with_adopted_pair(key_id, public_key, arn, longest_ttl_seconds, act)
    if earlier.is_compromised or earlier.state is KeyState.RETIRED:
        state = "compromised" if earlier.is_compromised else "retired"
        raise RotationRefused(
            f"This key is recorded as {key_id}, and it is {state}: it never signs again.",
            hint="Run `tokensvc keys generate` to create a new one.",
        )
    longer = max(longest_ttl_seconds, earlier.adopted_ttl_seconds or 0)
    kept = dataclasses.replace(earlier, adopted_ttl_seconds=longer or None)
    pairs = tuple(kept if pair is earlier else pair for pair in ring.pairs)
    return dataclasses.replace(ring, pairs=pairs)


def with_private_key(
    ring: Ring, key_id: str, private_key: ec.EllipticCurvePrivateKey, custody: Custody
) -> Ring:
    """The ring with what custody calls that private key, which is in it from now on.

    Raises:
        CustodyUnavailable, CustodyDamaged: when custody can't store it.
    """
    handle = custody.adopt(key_id, private_key, tags=tags_of(ring, key_id)).handle
    pairs = tuple(
        dataclasses.replace(pair, custody_handle=handle) if pair.key_id == key_id else pair
        for pair in ring.pairs
    )
    return dataclasses.replace(ring, pairs=pairs)


def _require_unknown(ring: Ring, public_key: PublicKey) -> None:
    for pair in ring.pairs:
        if pair.state is not KeyState.RETIRED and public_key == pair.public_key:
            raise RotationRefused(
                f"This key is already in the ring of {ring.region}, as {pair.key_id}.",
                hint=f"Run `tokensvc keys show {pair.key_id}` to see its state.",
            )
