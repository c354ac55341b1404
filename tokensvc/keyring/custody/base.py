"""Custody: where private halves live and sign, as a contract.

Every custody passes `tests/contract/custody_contract.py`. Nothing here returns private bytes, so
that a file and a KMS key are used in the same way.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc.p384 import PublicKey, Signer


class Custody(Protocol):
    """Makes private halves, signs with them and destroys them, by key ID."""

    def create(self, key_id: str) -> PublicKey:
        """The public half of that key pair, made now if there is none: the same for the same ID.

        Raises:
            CustodyUnavailable: when the custody can't be written now; nothing half written stays.
            CustodyDamaged: when there is one that can't be read.
        """
        ...

    def adopt(self, key_id: str, private_key: ec.EllipticCurvePrivateKey) -> PublicKey:
        """The public half, after a private half that was made elsewhere was durably taken in.

        Raises:
            CustodyUnavailable: when the custody can't be written now, or takes in no foreign
                halves (KMS).
            CustodyDamaged: when that ID already has another private half.
        """
        ...

    def signer(self, key_id: str, expected: PublicKey) -> Signer:
        """A signer of that key pair, whose public half has been found equal to `expected`.

        Raises:
            CustodyDamaged: when the private half is missing, unreadable, or another's.
            CustodyUnavailable: when the custody can't be reached now.
        """
        ...

    def key_ids(self) -> Collection[str]:
        """The IDs of all private halves here, this ring's and others'."""
        ...

    def destroy(self, key_id: str, *, compromised: bool) -> float:
        """Unix seconds at which the private half is gone for good; it is unusable from now on.

        Nothing more happens when it was destroyed before. `compromised` asks for the shortest way
        that the custody has.

        Raises:
            CustodyUnavailable: when the custody can't be reached or written now.
        """
        ...
