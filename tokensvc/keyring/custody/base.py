"""The interface of a custody: where private keys are stored and sign.

Every custody passes `tests/contract/custody_contract.py`. No method returns private key bytes, so
that a file and a KMS key are used in the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc.keyring.signers import SignerLoader, StoredKey


class Custody(SignerLoader, Protocol):
    """Generates private keys, loads signers for them and destroys them, by key ID."""

    def create(self, key_id: str, *, tags: Mapping[str, str] | None = None) -> StoredKey:
        """The private key of that ID, which is generated if it doesn't exist yet.

        Another call with the same ID returns the same private key, also if the first one crashed.

        Args:
            key_id: the ID.
            tags: what the private key is tagged with, where a custody has tags.

        Raises:
            CustodyUnavailable: when the custody can't be written now. No partial data remains.
            CustodyDamaged: when the private key exists but can't be read.
            KeyDestroyed: when it was destroyed.
        """
        ...

    def adopt(
        self,
        key_id: str,
        private_key: ec.EllipticCurvePrivateKey,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> StoredKey:
        """The stored key, after storing an existing private key that was generated elsewhere.

        Raises:
            CustodyUnavailable: when the custody can't be written now, or can't import private keys
                (KMS).
            CustodyDamaged: when that ID already has another private key.
            KeyDestroyed: when its private key was destroyed.
        """
        ...

    def key_ids(self) -> Collection[str]:
        """The IDs of all private keys in this custody, including those of other rings."""
        ...

    def destroy(self, key_id: str, *, handle: str | None = None, compromised: bool) -> float:
        """Make the private key unusable now. Returns when it is permanently gone, in Unix seconds.

        Destroying it again, or one that never existed, has no effect.

        Args:
            key_id: the ID of the private key.
            handle: its recorded handle, if there is one.
            compromised: asks for the fastest way that the custody offers.

        Raises:
            CustodyUnavailable: when the custody can't be reached or written now.
        """
        ...
