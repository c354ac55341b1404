"""A custody in memory: one vault that all processes share, and a custody object per process."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from tests.fleet.links import Link
from tokensvc.clock import Clock
from tokensvc.errors import CustodyDamaged, CustodyUnavailable, KeyDestroyed
from tokensvc.keyring.signers import StoredKey
from tokensvc.token.p384 import LocalSigner, PublicKey, Signer

_KEY_ID = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(slots=True)
class Vault:
    """The private keys that all processes share, and the IDs of the destroyed ones."""

    private_keys: dict[str, LocalSigner] = field(default_factory=dict)
    destroyed: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemoryCustody:
    """Implements `Custody` for one process."""

    def __init__(self, vault: Vault, clock: Clock, link: Link | None = None) -> None:
        self._vault = vault
        self._clock = clock
        self._link = link or Link()

    def create(self, key_id: str, *, tags: Mapping[str, str] | None = None) -> StoredKey:
        """The key pair of that ID, which is created if there is none."""
        del tags
        with self._link.call(CustodyUnavailable), self._vault.lock:
            self._require_not_destroyed(key_id)
            if key_id not in self._vault.private_keys:
                self._vault.private_keys[key_id] = LocalSigner.generate()
            return StoredKey(key_id, self._vault.private_keys[key_id].public_key)

    def adopt(
        self,
        key_id: str,
        private_key: ec.EllipticCurvePrivateKey,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> StoredKey:
        """Store the private key."""
        del tags
        public_key = PublicKey.of(private_key.public_key())
        with self._link.call(CustodyUnavailable), self._vault.lock:
            self._require_not_destroyed(key_id)
            stored = self._vault.private_keys.setdefault(
                key_id, LocalSigner(private_key)
            ).public_key
            if stored != public_key:
                raise _wrong_key_error(key_id, stored, public_key)
            return StoredKey(key_id, stored)

    def signer(self, key: StoredKey) -> Signer:
        """A signer for that key pair."""
        with self._link.call(CustodyUnavailable):
            _require_key_id(key.key_id)
            signer = self._vault.private_keys.get(key.key_id)
            if signer is None:
                raise CustodyDamaged(f"The private key of {key.key_id} is missing.", hint=_HINT)
            if signer.public_key != key.public_key:
                raise _wrong_key_error(key.key_id, signer.public_key, key.public_key)
            return signer

    def key_ids(self) -> Collection[str]:
        """The IDs of all private keys, sorted."""
        with self._link.call(CustodyUnavailable):
            return tuple(sorted(self._vault.private_keys))

    def destroy(self, key_id: str, *, handle: str | None = None, compromised: bool) -> float:
        """Delete the private key at once, and return the current time."""
        del handle, compromised
        with self._link.call(CustodyUnavailable):
            _require_key_id(key_id)
            self._vault.private_keys.pop(key_id, None)
            self._vault.destroyed.add(key_id)
            return self._clock.now()

    def _require_not_destroyed(self, key_id: str) -> None:
        _require_key_id(key_id)
        if key_id in self._vault.destroyed:
            raise KeyDestroyed(f"The private key of {key_id} was destroyed.", hint=_HINT)


_HINT = "Run `tokensvc keys rotate`."


def _require_key_id(key_id: str) -> None:
    if not _KEY_ID.fullmatch(key_id):
        raise CustodyDamaged(f"{key_id!r} is not a valid key ID.")


def _wrong_key_error(key_id: str, found: PublicKey, expected: PublicKey) -> CustodyDamaged:
    return CustodyDamaged(
        f"The private key of {key_id} has the public key fingerprint {found.fingerprint}, not "
        f"{expected.fingerprint}.",
        hint=_HINT,
    )
