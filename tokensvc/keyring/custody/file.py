"""A custody in a folder: each private key is stored in its own file, as encrypted PKCS#8 PEM.

A file is written once, and rewritten only to encrypt it with another secret. `encryption` describes
the content of a file. A destroyed private key leaves a small file with the suffix `.destroyed`, so
that it is never created again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc import durable, protected_files
from tokensvc.clock import Clock, rfc3339
from tokensvc.errors import KeyDestroyed
from tokensvc.keyring.custody.encryption import is_encrypted_with, wrap
from tokensvc.keyring.custody.file_signers import FILE_SUFFIX, FileSigners, mismatch
from tokensvc.keyring.custody.key_ids import is_key_id
from tokensvc.keyring.signers import StoredKey
from tokensvc.protected_files import Fault
from tokensvc.token.p384 import PublicKey

_MARK_SUFFIX = ".destroyed"
_MARK = "The private key of this ID was destroyed at {at}. tokensvc never creates it again.\n"
_logger = logging.getLogger(__name__)


class FileCustody(FileSigners):
    """Implements `Custody` in `folder`, which is created at the first write (0700).

    If the folder vanishes after this object has used it, it is not created again: a disk that is
    not mounted must not be mistaken for an empty custody.

    Args:
        folder: the folder of the private key files. Other files in it are ignored.
        key_encryption_secret: 32 random bytes, as `load_key_encryption_secret` returns them.
        clock: the clock for the time of a destruction.
        previous_secret: the previous secret, while files may still be encrypted with it.

    Raises:
        SettingsInvalid: when a secret has another length.
    """

    def __init__(
        self,
        folder: Path,
        key_encryption_secret: bytes,
        clock: Clock,
        *,
        previous_secret: bytes | None = None,
    ) -> None:
        super().__init__(folder, key_encryption_secret, previous_secret=previous_secret)
        self._clock = clock

    def create(self, key_id: str, *, tags: Mapping[str, str] | None = None) -> StoredKey:
        """The private key of that ID, which is generated if it doesn't exist yet.

        Another call with the same ID returns the same private key. Files have no tags.

        Raises:
            CustodyUnavailable: when the folder can't be written now. No partial data remains.
            CustodyDamaged: when the private key exists but can't be read.
            KeyDestroyed: when it was destroyed.
        """
        del tags
        public_key = self._load_or_store(key_id, lambda: ec.generate_private_key(ec.SECP384R1()))
        return StoredKey(key_id, public_key)

    def adopt(
        self,
        key_id: str,
        private_key: ec.EllipticCurvePrivateKey,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> StoredKey:
        """The stored key, after durably storing a private key that was generated elsewhere.

        Raises:
            CustodyUnavailable: when the folder can't be written now. No partial data remains.
            CustodyDamaged: when that ID already has another private key, or one that can't be read.
            KeyDestroyed: when its private key was destroyed.
            InvalidKeyMaterial: when the key is not on the curve P-384.
        """
        del tags
        expected = PublicKey.of(private_key.public_key())
        stored = self._load_or_store(key_id, lambda: private_key)
        if stored != expected:
            raise mismatch(key_id, stored, expected)
        return StoredKey(key_id, stored)

    def key_ids(self) -> Collection[str]:
        """The IDs of all private keys in the folder, including those of other rings, sorted.

        Raises:
            CustodyUnavailable: when the folder can't be read now.
        """
        with self._os_errors_translated():
            if not self._folder_seen and not self._folder.exists():
                return []
            names = [entry.name for entry in self._folder.iterdir()]
            self._folder_seen = True
        stems = (name.removesuffix(FILE_SUFFIX) for name in names if name.endswith(FILE_SUFFIX))
        return sorted(stem for stem in stems if is_key_id(stem))

    def destroy(self, key_id: str, *, handle: str | None = None, compromised: bool) -> float:
        """Delete the file. Returns the current time in Unix seconds: the file is gone at once.

        `compromised` makes no difference, because no faster way exists.

        Raises:
            CustodyUnavailable: when the folder can't be written now.
        """
        del handle, compromised
        path = self._path(key_id)
        # The lock prevents a rewrap or a creation that is in progress from putting the file back.
        with self._os_errors_translated(), durable.locked(self._folder):
            self._mark_as_destroyed(path)
            # A crash in `create` may have left a draft with the same private key.
            durable.discard_drafts(path)
            _warn_of_copies(path)
            durable.remove(path)
        return self._clock.now()

    def _mark_as_destroyed(self, path: Path) -> None:
        mark = _mark_of(path)
        durable.discard_drafts(mark)
        with suppress(FileExistsError), durable.new_file(mark) as draft:
            draft.write_bytes(_MARK.format(at=rfc3339(self._clock.now())).encode())

    def rewrap(self, key_id: str) -> bool:
        """Encrypt the private key with the current secret. Returns whether that was necessary.

        A crash leaves the file encrypted with either the previous or the current secret. A private
        key that is destroyed at the same time stays destroyed.

        Raises:
            CustodyDamaged: when the file is damaged, or encrypted with neither secret.
            CustodyUnavailable: when the folder can't be written now. The file is unchanged.
        """
        path = self._path(key_id)
        with self._os_errors_translated(), durable.locked(self._folder):
            durable.discard_drafts(path)
            if not path.exists():
                return False
            # The file is decrypted even if it already names the current secret: after a success the
            # operator may discard the previous secret and old backups, so damage must show now.
            content = self._read(key_id)
            private_key = self._decrypted(content, key_id)
            if is_encrypted_with(self._secret, content):
                return False
            with durable.replacement(path) as draft:
                draft.write_bytes(wrap(private_key, self._secret))
        return True

    def _load_or_store(
        self, key_id: str, make: Callable[[], ec.EllipticCurvePrivateKey]
    ) -> PublicKey:
        """The public key of the private key in the file, which is written if it doesn't exist."""
        path = self._path(key_id)
        with self._os_errors_translated():
            if not self._folder_seen:
                durable.make_private_folder(self._folder)
                self._folder_seen = True
            with durable.locked(self._folder):
                if _mark_of(path).exists():
                    raise _destroyed(key_id, _mark_of(path))
                if not path.exists():
                    # The previous release writes without the lock.
                    with suppress(FileExistsError), durable.new_file(path) as draft:
                        draft.write_bytes(wrap(make(), self._secret))
                # Even if another process wrote the file: its name may not be on the disk yet.
                durable.sync(self._folder)
        return PublicKey.of(self._load(key_id).public_key())


def _mark_of(path: Path) -> Path:
    """The file that says that this private key was destroyed."""
    return path.with_suffix(_MARK_SUFFIX)


def _destroyed(key_id: str, mark: Path) -> KeyDestroyed:
    return KeyDestroyed(
        f"The private key of {key_id} was destroyed, as {mark} says.",
        hint="Run `tokensvc keys generate` to create a new key pair: a key ID is never reused.",
    )


def _warn_of_copies(path: Path) -> None:
    """Log that the content of the file stays on the disk when its name is deleted."""
    with suppress(FileNotFoundError):
        for fault in protected_files.examine_file(path, follow_links=False):
            if fault.fault in {Fault.SYMBOLIC_LINK, Fault.SECOND_NAME}:
                _logger.warning("The private key is not destroyed on the disk. %s", fault.detail)
