"""A custody in a folder: each private key is stored in its own file, as encrypted PKCS#8 PEM.

A file is written once, and rewritten only to encrypt it with another secret. Its first line
identifies the key-encryption secret without revealing it, so that a wrong secret can be
distinguished from a damaged file. OpenSSL can read the rest: `openssl pkey -in FILE -passin
file:SECRET_FILE`, where the secret file contains the secret as base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc import durable
from tokensvc.clock import Clock
from tokensvc.errors import CustodyDamaged, CustodyUnavailable, SettingsInvalid
from tokensvc.keyring.custody.secret import SECRET_BYTES
from tokensvc.token.p384 import LocalSigner, PublicKey, Signer

_SUFFIX = ".pem"
_KEY_ID = re.compile(r"[a-z0-9-]{1,64}")
_SECRET_ID_LINE = re.compile(rb"Key-Encryption-Secret: ([0-9a-f]{16})\n")
_MODE_OF_OTHER_USERS = stat.S_IRWXG | stat.S_IRWXO


class FileCustody:
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
        self._clock = clock
        self._folder_seen = False

    def create(self, key_id: str) -> PublicKey:
        """The public key of that key pair, which is generated if it doesn't exist yet.

        Another call with the same ID returns the same public key.

        Raises:
            CustodyUnavailable: when the folder can't be written now. No partial data remains.
            CustodyDamaged: when the private key exists but can't be read.
        """
        return self._load_or_store(key_id, lambda: ec.generate_private_key(ec.SECP384R1()))

    def adopt(self, key_id: str, private_key: ec.EllipticCurvePrivateKey) -> PublicKey:
        """The public key, after durably storing a private key that was generated elsewhere.

        Raises:
            CustodyUnavailable: when the folder can't be written now. No partial data remains.
            CustodyDamaged: when that ID already has another private key, or one that can't be read.
            InvalidKeyMaterial: when the key is not on the curve P-384.
        """
        expected = PublicKey.of(private_key.public_key())
        stored = self._load_or_store(key_id, lambda: private_key)
        if stored != expected:
            raise _mismatch(key_id, stored, expected)
        return stored

    def signer(self, key_id: str, expected: PublicKey) -> Signer:
        """A signer of that key pair, whose public key was compared with `expected`.

        It keeps the private key in memory, and can still sign if the folder vanishes.

        Raises:
            CustodyDamaged: when the private key is missing, unreadable, of another key pair, or
                accessible to other users.
            CustodyUnavailable: when the folder can't be read now.
        """
        signer = LocalSigner(self._load(key_id))
        if signer.public_key != expected:
            raise _mismatch(key_id, signer.public_key, expected)
        return signer

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
        stems = (name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
        return sorted(stem for stem in stems if _KEY_ID.fullmatch(stem))

    def destroy(self, key_id: str, *, compromised: bool) -> float:
        """Delete the file. Returns the current time in Unix seconds: the file is gone at once.

        `compromised` makes no difference, because no faster way exists.

        Raises:
            CustodyUnavailable: when the folder can't be written now.
        """
        del compromised
        path = self._path(key_id)
        # The lock prevents a rewrap that is in progress from putting the file back.
        with self._os_errors_translated(), durable.locked(self._folder):
            durable.remove(path)
            # A crash in `create` may have left a draft with the same private key.
            durable.discard_drafts(path)
        return self._clock.now()

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
            private_key = self._load(key_id)
            if _is_encrypted_with(self._secret, path.read_bytes()):
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
            if not path.exists():
                with suppress(FileExistsError), durable.new_file(path) as draft:
                    draft.write_bytes(wrap(make(), self._secret))
            # Needed even if another process wrote the file: its name may not be on the disk yet.
            durable.sync(self._folder)
        return PublicKey.of(self._load(key_id).public_key())

    def _load(self, key_id: str) -> ec.EllipticCurvePrivateKey:
        path = self._path(key_id)
        with self._os_errors_translated():
            try:
                with path.open("rb") as file:
                    mode_of_others = os.fstat(file.fileno()).st_mode & _MODE_OF_OTHER_USERS
                    content = file.read()
                self._folder_seen = True
            except FileNotFoundError as exc:
                if not self._folder.exists():
                    raise
                raise CustodyDamaged(
                    f"The private key of {key_id} is missing: file {path} does not exist.",
                    hint=_RESTORE_HINT,
                ) from exc
        if mode_of_others:
            raise CustodyDamaged(
                f"Private key file {path} is accessible to other users.",
                hint=f"Run `chmod 600 {path}`. If another user may have read the file, also run"
                f" `tokensvc keys revoke {key_id}`.",
            )
        secret = self._secret
        if self._previous_secret is not None and _is_encrypted_with(self._previous_secret, content):
            secret = self._previous_secret
        return unwrap(content, secret, name=f"The private key of {key_id}")

    def _path(self, key_id: str) -> Path:
        if not _KEY_ID.fullmatch(key_id):
            raise CustodyDamaged(
                f"{key_id!r} is not a valid key ID: use 1 to 64 characters of a-z, 0-9 and '-'.",
                hint="Run `tokensvc keys list` to see the key IDs.",
            )
        return self._folder / f"{key_id}{_SUFFIX}"

    @contextmanager
    def _os_errors_translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise CustodyUnavailable(
                f"The private key folder {self._folder} can't be read or written"
                f" ({os.strerror(exc.errno or 0)}).",
                hint="Check that the folder exists and is mounted, that the user of this process"
                " owns it, and that the disk is not full.",
            ) from exc


def wrap(private_key: ec.EllipticCurvePrivateKey, secret: bytes) -> bytes:
    """The content of a private key file: a line with the secret's ID, then the encrypted PEM."""
    # `cryptography` derives the key with 2,048 rounds of PBKDF2, about 0.5 ms. That is too few for
    # a password, and more than enough for 32 random bytes, which can't be guessed.
    pem = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(base64.b64encode(secret)),
    )
    return b"Key-Encryption-Secret: " + _secret_id(secret) + b"\n" + pem


def unwrap(content: bytes, secret: bytes, *, name: str) -> ec.EllipticCurvePrivateKey:
    """The private key in the content of a private key file.

    Args:
        content: the content of the file.
        secret: the key-encryption secret.
        name: the subject of the error message.

    Raises:
        CustodyDamaged: when the content is damaged, not encrypted, or encrypted with another
            secret.
    """
    if _SECRET_ID_LINE.match(content) and not _is_encrypted_with(secret, content):
        raise CustodyDamaged(
            f"{name} is encrypted with another key-encryption secret than the configured one.",
            hint="Set custody.key_encryption_secret_file to the file of the secret that this key"
            " was encrypted with. While `tokensvc keys rewrap` changes the secret, set"
            " custody.previous_key_encryption_secret_file to that file instead.",
        )
    try:
        key = serialization.load_pem_private_key(content, base64.b64encode(secret))
    except TypeError as exc:
        raise CustodyDamaged(
            f"{name} is not encrypted, so tokensvc did not write this file.",
            hint="Move the file out of the folder and import it with"
            " `tokensvc keys adopt --private-key FILE --arn ARN`.",
        ) from exc
    except ValueError as exc:
        raise CustodyDamaged(
            f"{name} is damaged: the file can't be decrypted.", hint=_RESTORE_HINT
        ) from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise CustodyDamaged(
            f"{name} is damaged: the key in the file is not a P-384 key.", hint=_RESTORE_HINT
        )
    return key


def _is_encrypted_with(secret: bytes, content: bytes) -> bool:
    line = _SECRET_ID_LINE.match(content)
    return line is not None and hmac.compare_digest(line[1], _secret_id(secret))


def _secret_id(secret: bytes) -> bytes:
    """16 hex characters that identify the secret and reveal nothing about it."""
    return hmac.digest(secret, b"tokensvc key-encryption secret", hashlib.sha256)[:8].hex().encode()


def _mismatch(key_id: str, found: PublicKey, expected: PublicKey) -> CustodyDamaged:
    return CustodyDamaged(
        f"The private key of {key_id} does not match its public key: the recorded fingerprint is"
        f" {expected.fingerprint}, the fingerprint of the file is {found.fingerprint}.",
        hint=_RESTORE_HINT,
    )


_RESTORE_HINT = (
    "Restore the private key file from a backup. If there is no backup, the private key is lost:"
    " replace an active key with `tokensvc keys rotate`, and any other with"
    " `tokensvc keys revoke KEY`."
)
