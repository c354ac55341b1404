"""Which key pair signed an inspected token, and whether IVS has it in the channel's region."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tokensvc.arns import Region
from tokensvc.errors import InvalidSignature
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.token.jws import UnverifiedToken, find_signing_key
from tokensvc.token.p384 import SIGNATURE_BYTES, PublicKey
from tokensvc.token.rules import BrokenRule

_DER_SEQUENCE = b"\x30"
_STATES_IN_IVS = (KeyState.PUBLISHED, KeyState.ACTIVE, KeyState.RETIRING)


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key pair that a token is compared with.

    Attributes:
        key_id: its ID.
        region: the region whose ring it is in.
        is_in_ivs: whether IVS has it; false after its retirement.
    """

    key_id: str
    region: Region
    is_in_ivs: bool = True


def known_keys(rings: Iterable[tuple[Region, Ring | None]]) -> Mapping[PublicKey, KnownKey]:
    """Every key pair that these rings record, also those that were deleted from IVS."""
    return {
        pair.public_key: KnownKey(pair.key_id, region, is_in_ivs=pair.state in _STATES_IN_IVS)
        for region, ring in rings
        if ring is not None
        for pair in ring.pairs
        if pair.public_key is not None
    }


@dataclass(frozen=True, slots=True)
class Signature:
    """The ID of the key pair that signed the token, or None, and what is wrong with that."""

    key_id: str | None
    findings: tuple[BrokenRule, ...] = ()


def signature_of(
    token: UnverifiedToken, keys: Mapping[PublicKey, KnownKey], region: Region | None
) -> Signature:
    """Which of these key pairs signed the token for a channel in that region, if it is known."""
    if len(token.signature) != SIGNATURE_BYTES:
        return Signature(None, (_wrong_form(token.signature),))
    try:
        key = keys[find_signing_key(token, keys)]
    except InvalidSignature:
        return Signature(
            None,
            (
                _finding(
                    "signature_key",
                    f"None of the {len(keys)} key pairs known here made the signature. The token"
                    " was changed, or its key pair was deleted or belongs to another region or"
                    " account.",
                ),
            ),
        )
    if not key.is_in_ivs:
        message = (
            f"{key.key_id} signed the token and was deleted from IVS since. Request a new token."
        )
        return Signature(key.key_id, (_finding("signature_key_deleted", message),))
    if region is not None and region != key.region:
        message = (
            f"{key.key_id} signed the token. It is a key pair of {key.region}, and the channel is"
            f" in {region}, where IVS does not have it."
        )
        return Signature(key.key_id, (_finding("signature_key_region", message),))
    return Signature(key.key_id)


def _wrong_form(signature: bytes) -> BrokenRule:
    hint = (
        " It seems to be DER, the format of OpenSSL and KMS. Convert it."
        if signature.startswith(_DER_SEQUENCE)
        else ""
    )
    return _finding(
        "signature_form",
        f"An ES384 signature is r followed by s, {SIGNATURE_BYTES} bytes; this signature has"
        f" {len(signature)} bytes.{hint}",
    )


def _finding(rule: str, message: str) -> BrokenRule:
    return BrokenRule("signature", rule, message, enforced_by_ivs=True)
