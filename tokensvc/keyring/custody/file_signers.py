"""Load signers from a folder of private key files, without any way to write or delete one.

Web workers use this module. `custody.file` adds what creates, adopts, re-encrypts and destroys
private keys, and is imported by commands and scheduled jobs only (rule 11).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc import protected_files
from tokensvc.errors import CustodyDamaged, CustodyDenied, CustodyUnavailable, SettingsInvalid
from tokensvc.keyring.custody.encryption import RESTORE_HINT, is_encrypted_with, unwrap
from tokensvc.keyring.custody.key_ids import require_key_id
from tokensvc.keyring.custody.secret import SECRET_BYTES
from tokensvc.keyring.signers import StoredKey
from tokensvc.protected_files import Fault, FileFault, FileRefused
from tokensvc.token.p384 import LocalSigner, PublicKey, Signer

FILE_SUFFIX = ".pem"

_logger = logging.getLogger(__name__)


class FileSigners:
    """Implements `SignerLoader` for the private key files in `folder`.

    Args:
        folder: the folder of the private key files.
        key_encryption_secret: 32 random bytes, as `load_key_encryption_secret` returns them.
        previous_secret: the previous secret, while files may still be encrypted with it.

    Raises:
        SettingsInvalid: when a secret has another length.
    """

    def __init__(
        self, folder: Path, key_encryption_secret: bytes, *, previous_secret: bytes | None = None
    ) -> None:
        if {len(key_encryption_secret), len(previous_secret or key_encryption_secret)} != {
            SECRET_BYTES
        }:
            raise SettingsInvalid(
                f"A key-encryption secret must have {SECRET_BYTES} bytes.",
                hint="Generate one with `openssl rand -base64 32`.",
            )
        self._folder = folder
        self._secret = key_encryption_secret
        self._previous_secret = previous_secret
        self._folder_seen = False
        self._reported: set[tuple[Path, Fault]] = set()

    def signer(self, key: StoredKey) -> Signer:
        """A signer of that private key, whose public key was compared with the recorded one.

        It keeps the private key in memory, and can still sign if the folder vanishes.

        Raises:
            CustodyDamaged: when the private key is missing, damaged or of another key pair.
            CustodyDenied: when it is encrypted with another secret, or when its file is accessible
                to other users or not a regular file.
            CustodyUnavailable: when the folder can't be read now.
        """
        signer = LocalSigner(self._load(key.key_id))
        if signer.public_key != key.public_key:
            raise mismatch(key.key_id, signer.public_key, key.public_key)
        return signer

    def _load(self, key_id: str) -> ec.EllipticCurvePrivateKey:
        return self._decrypted(self._read(key_id), key_id)

    def _decrypted(self, content: bytes, key_id: str) -> ec.EllipticCurvePrivateKey:
        secret = self._secret
        if self._previous_secret is not None and is_encrypted_with(self._previous_secret, content):
            secret = self._previous_secret
        return unwrap(content, secret, name=f"The private key of {key_id}")

    def _read(self, key_id: str) -> bytes:
        path = self._path(key_id)
        with self._os_errors_translated():
            try:
                read = protected_files.read_protected(path, follow_links=False)
            except FileRefused as exc:
                raise _denied(key_id, exc.fault) from exc
            except FileNotFoundError as exc:
                if not self._folder.exists():
                    raise
                raise CustodyDamaged(
                    f"The private key of {key_id} is missing: file {path} does not exist.",
                    hint=RESTORE_HINT,
                ) from exc
            self._folder_seen = True
        for fault in read.faults:
            if (path, fault.fault) not in self._reported:
                self._reported.add((path, fault.fault))
                _logger.warning("%s %s", fault.detail, fault.hint)
        return read.content

    def _path(self, key_id: str) -> Path:
        require_key_id(key_id)
        return self._folder / f"{key_id}{FILE_SUFFIX}"

    @contextmanager
    def _os_errors_translated(self) -> Iterator[None]:
        try:
            yield
        except PermissionError as exc:
            what = exc.filename or self._folder
            raise CustodyUnavailable(
                f"This process may not read or write {what} ({os.strerror(exc.errno or 0)}).",
                hint=f"Look at it with `ls -ld {self._folder} {what}`: the user of this process,"
                f" {os.geteuid()}, must own both. A folder needs the mode 0700, a file 0600.",
            ) from exc
        except OSError as exc:
            what = exc.filename or f"The private key folder {self._folder}"
            raise CustodyUnavailable(
                f"{what} can't be read or written ({os.strerror(exc.errno or 0)}).",
                hint=f"Check that the folder {self._folder} exists and is mounted, that the user of"
                " this process owns it and its files, and that the disk is not full.",
            ) from exc


def _denied(key_id: str, fault: FileFault) -> CustodyDenied:
    """The error when a file's kind, owner or mode forbids to use its private key."""
    if fault.fault in {Fault.OPEN_TO_ALL, Fault.OPEN_TO_OTHER_GROUP}:
        hint = (
            f"{fault.hint} The file is encrypted. If another user may also know the"
            f" key-encryption secret, run `tokensvc keys revoke {key_id}`."
        )
    else:
        hint = fault.hint
    return CustodyDenied(f"The private key of {key_id} is not used. {fault.detail}", hint=hint)


def mismatch(key_id: str, found: PublicKey, expected: PublicKey) -> CustodyDamaged:
    """The error when a file has the private key of another key pair than the recorded one."""
    return CustodyDamaged(
        f"The private key of {key_id} does not match its public key: the recorded fingerprint is"
        f" {expected.fingerprint}, the fingerprint of the file is {found.fingerprint}.",
        hint=RESTORE_HINT,
    )
