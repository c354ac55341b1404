"""Custody in a folder: each private half in a file of its own, PKCS#8 PEM, encrypted.

A file is written once, and again only to be encrypted under another secret. It begins with a line
that marks, without giving it away, the key-encryption secret under which it was encrypted, so that
a wrong secret and a damaged file are told apart. OpenSSL reads the rest: `openssl pkey -in FILE
-passin file:SECRET_FILE`, where the secret is written as base64.
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
from tokensvc.p384 import LocalSigner, PublicKey, Signer

_SUFFIX = ".pem"
_KEY_ID = re.compile(r"[a-z0-9-]{1,64}")
_MARK = re.compile(rb"Key-Encryption-Secret: ([0-9a-f]{16})\n")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class FileCustody:
    """Implements `Custody` in `folder`, which is made at the first write (0700).

    Once this object has used the folder and it vanishes, it is not made again: a disk that is not
    mounted must not be taken for an empty one.

    Args:
        folder: where the private files are; other files there are left alone.
        key_encryption_secret: 32 random bytes, as `load_key_encryption_secret` gives them.
        clock: tells when a private half was destroyed.
        previous_secret: the secret before that one, while private files may still be under it.

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
                f"A key-encryption secret needs {SECRET_BYTES} bytes.",
                hint="Make one with: openssl rand -base64 32",
            )
        self._folder = folder
        self._secret = key_encryption_secret
        self._previous_secret = previous_secret
        self._clock = clock
        self._folder_seen = False

    def create(self, key_id: str) -> PublicKey:
        """The public half of that key pair, made now if there is none: the same for the same ID.

        Raises:
            CustodyUnavailable: when the folder can't be written now; nothing half written stays.
            CustodyDamaged: when there is one that can't be read.
        """
        return self._keep(key_id, lambda: ec.generate_private_key(ec.SECP384R1()))

    def adopt(self, key_id: str, private_key: ec.EllipticCurvePrivateKey) -> PublicKey:
        """The public half, after a private half that was made elsewhere was durably taken in.

        Raises:
            CustodyUnavailable: when the folder can't be written now; nothing half written stays.
            CustodyDamaged: when that ID already has another private half, or one that can't be
                read.
            InvalidKeyMaterial: when the key is not on the curve P-384.
        """
        expected = PublicKey.of(private_key.public_key())
        kept = self._keep(key_id, lambda: private_key)
        if kept != expected:
            raise _another(key_id, kept, expected)
        return kept

    def signer(self, key_id: str, expected: PublicKey) -> Signer:
        """A signer of that key pair, whose public half has been found equal to `expected`.

        It holds the private half in memory, and signs on when the folder vanishes.

        Raises:
            CustodyDamaged: when the private half is missing, unreadable, another's, or open to
                other users.
            CustodyUnavailable: when the folder can't be read now.
        """
        signer = LocalSigner(self._load(key_id))
        if signer.public_key != expected:
            raise _another(key_id, signer.public_key, expected)
        return signer

    def key_ids(self) -> Collection[str]:
        """The IDs of all private halves here, this ring's and others', in order.

        Raises:
            CustodyUnavailable: when the folder can't be read now.
        """
        with self._reachable():
            if not self._folder_seen and not self._folder.exists():
                return []
            names = [entry.name for entry in self._folder.iterdir()]
            self._folder_seen = True
        stems = (name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
        return sorted(stem for stem in stems if _KEY_ID.fullmatch(stem))

    def destroy(self, key_id: str, *, compromised: bool) -> float:
        """Unix seconds, now: the file is gone from the folder for good, however it went.

        `compromised` changes nothing: there is no shorter way.

        Raises:
            CustodyUnavailable: when the folder can't be written now.
        """
        del compromised
        path = self._path(key_id)
        # Locked, so that a rewrap under way can't put the file back.
        with self._reachable(), durable.locked(self._folder):
            durable.remove(path)
            # A crash in `create` may have left a second name of the same private half.
            durable.discard_drafts(path)
        return self._clock.now()

    def rewrap(self, key_id: str) -> bool:
        """Whether the private half was encrypted anew, as it was under the previous secret.

        From now on it is under the present one. A crash leaves it under either; one that was
        destroyed meanwhile stays so.

        Raises:
            CustodyDamaged: when it is damaged, or under neither secret.
            CustodyUnavailable: when the folder can't be written now; the file stays as it was.
        """
        path = self._path(key_id)
        with self._reachable(), durable.locked(self._folder):
            durable.discard_drafts(path)
            if not path.exists():
                return False
            # Loaded even if its mark says that all is done: whoever is told so may throw away the
            # secret before, and a damaged file is better known while there is a copy to look for.
            private_key = self._load(key_id)
            if _is_under(self._secret, path.read_bytes()):
                return False
            with durable.replacement(path) as draft:
                draft.write_bytes(wrap(private_key, self._secret))
        return True

    def _keep(self, key_id: str, make: Callable[[], ec.EllipticCurvePrivateKey]) -> PublicKey:
        """The public half of the private half in the file, which is made first if need be."""
        path = self._path(key_id)
        with self._reachable():
            if not self._folder_seen:
                durable.make_private_folder(self._folder)
                self._folder_seen = True
            if not path.exists():
                with suppress(FileExistsError), durable.new_file(path) as draft:
                    draft.write_bytes(wrap(make(), self._secret))
            # Also when another process made it: its name may not be on the disk yet.
            durable.sync(self._folder)
        return PublicKey.of(self._load(key_id).public_key())

    def _load(self, key_id: str) -> ec.EllipticCurvePrivateKey:
        path = self._path(key_id)
        with self._reachable():
            try:
                with path.open("rb") as file:
                    open_to_others = os.fstat(file.fileno()).st_mode & _OTHERS
                    content = file.read()
                self._folder_seen = True
            except FileNotFoundError as exc:
                if not self._folder.exists():
                    raise
                raise CustodyDamaged(
                    f"The private half of {key_id} is missing: there is no file {path}.",
                    hint=_REPLACE_HINT,
                ) from exc
        if open_to_others:
            raise CustodyDamaged(
                f"Other users can reach the private half of {key_id}.",
                hint=f"If none has read it: chmod 600 {path}. If one may have: tokensvc keys"
                f" revoke {key_id}.",
            )
        secret = self._secret
        if self._previous_secret is not None and _is_under(self._previous_secret, content):
            secret = self._previous_secret
        return unwrap(content, secret, name=f"The private half of {key_id}")

    def _path(self, key_id: str) -> Path:
        if not _KEY_ID.fullmatch(key_id):
            raise CustodyDamaged(
                f"{key_id!r} can't be the ID of a key pair: these are 1 to 64 of a-z, 0-9 and '-'.",
                hint="See the IDs with: tokensvc keys list",
            )
        return self._folder / f"{key_id}{_SUFFIX}"

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise CustodyUnavailable(
                f"The folder {self._folder} of the private keys can't be read or written"
                f" ({os.strerror(exc.errno or 0)}).",
                hint="Check that it is there and mounted, that this user owns it, and that its"
                " disk has room.",
            ) from exc


def wrap(private_key: ec.EllipticCurvePrivateKey, secret: bytes) -> bytes:
    """The content of a private file: a line with the secret's mark, then the encrypted PEM."""
    # `cryptography` derives the key with 2,048 rounds of PBKDF2, half a millisecond. That is few
    # for a password, and more than enough for 32 random bytes, which nobody guesses.
    pem = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(base64.b64encode(secret)),
    )
    return b"Key-Encryption-Secret: " + _mark(secret) + b"\n" + pem


def unwrap(content: bytes, secret: bytes, *, name: str) -> ec.EllipticCurvePrivateKey:
    """The private half in the content of a private file; `name` begins the words of an error.

    Raises:
        CustodyDamaged: when the content is damaged, not encrypted, or encrypted under another
            secret.
    """
    if _MARK.match(content) and not _is_under(secret, content):
        raise CustodyDamaged(
            f"{name} was encrypted under another key-encryption secret than the one that is set.",
            hint="Set the secret that was in use when the key pair was made (setting"
            " custody.key_encryption_secret_file; while `tokensvc keys rewrap` changes it,"
            " custody.previous_key_encryption_secret_file).",
        )
    try:
        key = serialization.load_pem_private_key(content, base64.b64encode(secret))
    except TypeError as exc:
        raise CustodyDamaged(
            f"{name} is not encrypted, so it was not made here.",
            hint="Move the file away and take it in with: tokensvc keys adopt --private-key FILE"
            " --arn ARN",
        ) from exc
    except ValueError as exc:
        raise CustodyDamaged(
            f"{name} is damaged: the file can't be decrypted.", hint=_REPLACE_HINT
        ) from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise CustodyDamaged(
            f"{name} is damaged: the file holds a key of another kind.", hint=_REPLACE_HINT
        )
    return key


def _is_under(secret: bytes, content: bytes) -> bool:
    mark = _MARK.match(content)
    return mark is not None and hmac.compare_digest(mark[1], _mark(secret))


def _mark(secret: bytes) -> bytes:
    """16 hex characters that tell secrets apart and say nothing about them."""
    return hmac.digest(secret, b"tokensvc key-encryption secret", hashlib.sha256)[:8].hex().encode()


def _another(key_id: str, found: PublicKey, expected: PublicKey) -> CustodyDamaged:
    return CustodyDamaged(
        f"The private half of {key_id} belongs to another public half: the record says"
        f" {expected.fingerprint}, the file says {found.fingerprint}.",
        hint=_REPLACE_HINT,
    )


_REPLACE_HINT = (
    "Put the right file back from a copy. If there is none, the key pair is lost. Where it signs,"
    " let another: tokensvc keys rotate. Where it doesn't, let it go: tokensvc keys revoke KEY"
)
