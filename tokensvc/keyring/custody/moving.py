"""A custody that is replaced by another: new private keys are made in the new one.

A private key never moves. It signs and is destroyed where it was made, until its key pair is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.custody.handles import SignersByHandle, scheme_of
from tokensvc.keyring.signers import StoredKey


class MovingCustody(SignersByHandle):
    """Implements `Custody` with two custodies of different schemes.

    Args:
        newest_scheme: the scheme of the custody in which private keys are made.
        newest: that custody.
        former_scheme: the scheme of the custody in which they were made before.
        former: that custody.

    Attributes:
        parts: both custodies, the newest first.
    """

    def __init__(
        self, newest_scheme: str, newest: Custody, former_scheme: str, former: Custody
    ) -> None:
        super().__init__({newest_scheme: newest, former_scheme: former})
        self.parts = (newest, former)
        self._custodies = {newest_scheme: newest, former_scheme: former}
        self._newest = newest
        self._former_scheme = former_scheme

    def is_former(self, handle: str | None) -> bool:
        """Whether the private key with that handle is in the custody that is replaced."""
        return scheme_of(handle) == self._former_scheme

    def create(self, key_id: str, *, tags: Mapping[str, str] | None = None) -> StoredKey:
        """The private key of that ID in the newest custody. Raises what that custody raises."""
        return self._newest.create(key_id, tags=tags)

    def adopt(
        self,
        key_id: str,
        private_key: ec.EllipticCurvePrivateKey,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> StoredKey:
        """The stored key in the newest custody. Raises what that custody raises."""
        return self._newest.adopt(key_id, private_key, tags=tags)

    def key_ids(self) -> Collection[str]:
        """The IDs of all private keys in both, sorted. Raises CustodyUnavailable."""
        return sorted({key_id for part in self.parts for key_id in part.key_ids()})

    def destroy(self, key_id: str, *, handle: str | None = None, compromised: bool) -> float:
        """Destroy the private key where it is. Without a handle, it may be in either.

        Raises:
            CustodyUnavailable: when a custody can't be reached or written now.
        """
        if handle is not None and (custody := self._custodies.get(scheme_of(handle))) is not None:
            return custody.destroy(key_id, handle=handle, compromised=compromised)
        return max(part.destroy(key_id, compromised=compromised) for part in self.parts)


def parts_of(custody: Custody) -> tuple[Custody, ...]:
    """The custodies that it consists of: itself, or both while one is replaced."""
    return custody.parts if isinstance(custody, MovingCustody) else (custody,)
