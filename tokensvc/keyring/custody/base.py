"""The interface of a custody: where private keys are stored and sign.

Every custody passes `tests/contract/custody_contract.py`. No method returns private key bytes, so
that a file and a KMS key are used in the same way.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc.keyring.signers import SignerLoader
from tokensvc.token.p384 import PublicKey


class Custody(SignerLoader, Protocol):
    """Generates private keys, loads signers for them and destroys them, by key ID."""

    def create(self, key_id: str) -> PublicKey:
        """The public key of that key pair, which is generated if it doesn't exist yet.

        Another call with the same ID returns the same public key.

        Raises:
            CustodyUnavailable: when the custody can't be written now. No partial data remains.
            CustodyDamaged: when the private key exists but can't be read.
        """
        ...

    def adopt(self, key_id: str, private_key: ec.EllipticCurvePrivateKey) -> PublicKey:
        """The public key, after storing an existing private key that was generated elsewhere.

        Raises:
            CustodyUnavailable: when the custody can't be written now, or can't import private keys
                (KMS).
            CustodyDamaged: when that ID already has another private key.
        """
        ...

    def key_ids(self) -> Collection[str]:
        """The IDs of all private keys in this custody, including those of other rings."""
        ...

    def destroy(self, key_id: str, *, compromised: bool) -> float:
        """Make the private key unusable now. Returns when it is permanently gone, in Unix seconds.

        Destroying it again has no effect. `compromised` asks for the fastest way that the custody
        offers.

        Raises:
            CustodyUnavailable: when the custody can't be reached or written now.
        """
        ...
