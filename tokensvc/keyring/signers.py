"""The part of a custody that a web worker uses: it loads signers, and can't change private keys.

A worker holds a `SignerLoader`, never a `Custody`, so that no request can reach code that creates
or destroys a private key (rule 11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from tokensvc.errors import CustodyDamaged, InvalidSignature
from tokensvc.keyring.model import KeyPair
from tokensvc.token.p384 import PublicKey, Signer

_SELF_CHECK_MESSAGE = b"tokensvc self-check"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A private key in custody, as a ring records it.

    Attributes:
        key_id: the ID of the key pair.
        public_key: the public key. A signer of another one is refused.
        handle: what custody itself calls this private key, such as the ARN of a KMS key. It can't
            come to mean another private key, as a name can. None in a custody that has only names.
    """

    key_id: str
    public_key: PublicKey
    handle: str | None = None


class SignerLoader(Protocol):
    """Loads signers of existing private keys."""

    def signer(self, key: StoredKey) -> Signer:
        """A signer of that private key, whose public key was compared with the recorded one.

        Raises:
            CustodyDamaged: when the private key is proven missing, damaged or of another key pair.
            CustodyDenied: when this process may not use it.
            CustodyUnavailable: when the custody can't be reached now.
        """
        ...


@runtime_checkable
class RemoteSigner(Signer, Protocol):
    """A signer whose signatures are calls of another system."""

    @property
    def is_failing(self) -> bool:
        """Whether the last calls failed or hang, so that no signature can be expected now."""
        ...


def self_checked_signer(signers: SignerLoader, pair: KeyPair) -> Signer:
    """A signer of the key pair, after it signed a test message that was verified (rule 2).

    Raises:
        CustodyDamaged, CustodyUnavailable: when the private key can't be used.
        RotationRefused: when custody has not generated the private key yet.
    """
    public_key = pair.require_public_key()
    signer = signers.signer(StoredKey(pair.key_id, public_key, pair.custody_handle))
    try:
        public_key.verify(signer.sign(_SELF_CHECK_MESSAGE), _SELF_CHECK_MESSAGE)
    except InvalidSignature as exc:
        raise CustodyDamaged(
            f"The signature of {pair.key_id} does not match its public key.",
            hint="Run `tokensvc keys doctor` to check every key pair.",
        ) from exc
    return signer
