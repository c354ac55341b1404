"""The key-encryption secret: 32 random bytes with which private key files are encrypted."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from tokensvc.errors import SettingsInvalid

SECRET_BYTES = 32
_HEX_CHARACTERS = 2 * SECRET_BYTES
_HINT = (
    "If private keys are already encrypted with a secret, configure that secret. For a new"
    " deployment, generate one with `openssl rand -base64 32`."
)


def load_key_encryption_secret(source: Path | str, *, keys_folder: Path | None = None) -> bytes:
    """The 32 bytes from a file (a `Path`) or from the value of an environment variable (a `str`).

    The bytes may be written as base64, with either alphabet, or as hex, with white space around
    them. A file may also contain the raw bytes.

    Args:
        source: the file, or the text itself.
        keys_folder: the folder of the private key files. The secret must not be in it, because a
            copy of that folder would then contain both.

    Raises:
        SettingsInvalid: when the secret doesn't have exactly 32 bytes, or when the file can't be
            read or is in `keys_folder`.
    """
    if isinstance(source, str):
        return _decoded(source.encode(), "in the environment")
    where = f"in the file {source}"
    if keys_folder is not None and source.resolve().is_relative_to(keys_folder.resolve()):
        raise SettingsInvalid(
            f"The key-encryption secret {where} is in the folder of the keys that it protects.",
            hint="Move it to a folder that is not backed up together with the keys.",
        )
    try:
        content = source.read_bytes()
    except OSError as exc:
        raise SettingsInvalid(
            f"The key-encryption secret {where} can't be read.",
            hint="Check the setting custody.key_encryption_secret_file and the permissions of the"
            f" file. {_HINT}",
        ) from exc
    # 32 random bytes are practically never all printable: such a file contains a password.
    if len(content) == SECRET_BYTES and not (content.isascii() and content.decode().isprintable()):
        return content
    return _decoded(content, where)


def _decoded(content: bytes, where: str) -> bytes:
    text = content.strip()
    try:
        if len(text) == _HEX_CHARACTERS:
            secret = bytes.fromhex(text.decode("ascii"))
        else:
            standard = text.replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
            secret = base64.b64decode(standard + b"=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise SettingsInvalid(
            f"The key-encryption secret {where} is neither base64 nor hex.", hint=_HINT
        ) from exc
    if len(secret) != SECRET_BYTES:
        raise SettingsInvalid(
            f"The key-encryption secret {where} has {len(secret)} bytes. It must have"
            f" {SECRET_BYTES}.",
            hint=_HINT,
        )
    return secret
