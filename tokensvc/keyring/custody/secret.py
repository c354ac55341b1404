"""The key-encryption secret: the 32 random bytes under which private files are encrypted."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from tokensvc.errors import SettingsInvalid

SECRET_BYTES = 32
_HEX_CHARACTERS = 2 * SECRET_BYTES
_HINT = (
    "If keys are encrypted under one, put it back. For a new deployment, make one with:"
    " openssl rand -base64 32"
)


def load_key_encryption_secret(source: Path | str, *, keys_folder: Path | None = None) -> bytes:
    """The 32 bytes in a file (a `Path`) or in a text of the environment (a `str`).

    They may be written as base64, with either alphabet, or as hex, with white space around them; a
    file may also hold them as they are.

    Args:
        source: the file, or the text itself.
        keys_folder: where the private files are. The secret may not lie there, because whoever
            copied that folder would have both.

    Raises:
        SettingsInvalid: when there are not exactly 32 bytes, or the file can't be read or lies in
            `keys_folder`.
    """
    if isinstance(source, str):
        return _decoded(source.encode(), "in the environment")
    where = f"in the file {source}"
    if keys_folder is not None and source.resolve().is_relative_to(keys_folder.resolve()):
        raise SettingsInvalid(
            f"The key-encryption secret {where} lies in the folder of the keys that it protects.",
            hint="Move it to a folder that is backed up apart from the keys.",
        )
    try:
        content = source.read_bytes()
    except OSError as exc:
        raise SettingsInvalid(
            f"The key-encryption secret {where} can't be read.",
            hint="Check the setting custody.key_encryption_secret_file and the file's"
            f" permissions. {_HINT}",
        ) from exc
    # Nobody's 32 random bytes are all printable: such a file holds a password.
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
            f"The key-encryption secret {where} has {len(secret)} bytes; it needs {SECRET_BYTES}.",
            hint=_HINT,
        )
    return secret
