"""A custody in memory: one vault, and for each process the custody as it reaches it."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from tests.fleet.links import Link
from tokensvc.clock import Clock
from tokensvc.errors import CustodyDamaged, CustodyUnavailable
from tokensvc.p384 import LocalSigner, PublicKey, Signer

_KEY_ID = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(slots=True)
class Vault:
    """The private halves that all processes share, and the IDs of those that were destroyed."""

    halves: dict[str, LocalSigner] = field(default_factory=dict)
    destroyed: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemoryCustody:
    """Implements `Custody` for one process."""

    def __init__(self, vault: Vault, clock: Clock, link: Link | None = None) -> None:
        self._vault = vault
        self._clock = clock
        self._link = link or Link()

    def create(self, key_id: str) -> PublicKey:
        """The public half of that key pair, made now if there is none."""
        with self._link.call(CustodyUnavailable), self._vault.lock:
            _require_key_id(key_id)
            if key_id not in self._vault.halves:
                self._vault.halves[key_id] = LocalSigner.generate()
            return self._vault.halves[key_id].public_key

    def adopt(self, key_id: str, private_key: ec.EllipticCurvePrivateKey) -> PublicKey:
        """The public half, after the private one was taken in."""
        public_key = PublicKey.of(private_key.public_key())
        with self._link.call(CustodyUnavailable), self._vault.lock:
            _require_key_id(key_id)
            kept = self._vault.halves.setdefault(key_id, LocalSigner(private_key)).public_key
            if kept != public_key:
                raise _another(key_id, kept, public_key)
            return kept

    def signer(self, key_id: str, expected: PublicKey) -> Signer:
        """A signer of that key pair."""
        with self._link.call(CustodyUnavailable):
            _require_key_id(key_id)
            signer = self._vault.halves.get(key_id)
            if signer is None:
                raise CustodyDamaged(f"The private half of {key_id} is missing.", hint=_HINT)
            if signer.public_key != expected:
                raise _another(key_id, signer.public_key, expected)
            return signer

    def key_ids(self) -> Collection[str]:
        """The IDs of all private halves, in order."""
        with self._link.call(CustodyUnavailable):
            return tuple(sorted(self._vault.halves))

    def destroy(self, key_id: str, *, compromised: bool) -> float:
        """Now: the private half is gone."""
        del compromised
        with self._link.call(CustodyUnavailable):
            _require_key_id(key_id)
            self._vault.halves.pop(key_id, None)
            self._vault.destroyed.add(key_id)
            return self._clock.now()


_HINT = "Switch to another key pair."


def _require_key_id(key_id: str) -> None:
    if not _KEY_ID.fullmatch(key_id):
        raise CustodyDamaged(f"{key_id!r} can't be the ID of a key pair.")


def _another(key_id: str, found: PublicKey, expected: PublicKey) -> CustodyDamaged:
    return CustodyDamaged(
        f"The private half of {key_id} belongs to another public half: {found.fingerprint}, "
        f"not {expected.fingerprint}.",
        hint=_HINT,
    )
