"""The key-encryption secret: 32 random bytes with which private key files are encrypted."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from tokensvc import protected_files
from tokensvc.errors import SettingsInvalid
from tokensvc.protected_files import Fault, FileFault, FileRefused
from tokensvc.secret_text import is_random, secret_bytes
from tokensvc.written_text import text_of

SECRET_BYTES = 32

_HINT = (
    "If private keys are already encrypted with a secret, configure that secret. For a new"
    " deployment, generate one with `openssl rand -base64 32`."
)

_logger = logging.getLogger(__name__)


def load_key_encryption_secret(source: Path | str, *, keys_folder: Path | None = None) -> bytes:
    """The 32 bytes from a file (a `Path`) or from the value of an environment variable (a `str`).

    The bytes may be written as base64, with either alphabet, or as hex, with white space or line
    breaks anywhere and quotes around. A file may also contain the raw bytes. It may be a symbolic
    link, as Kubernetes mounts secrets.

    Args:
        source: the file, or the text itself.
        keys_folder: the folder of the private key files. The secret must not be in it, because a
            copy of that folder would then contain both.

    Raises:
        SettingsInvalid: when the secret doesn't have exactly 32 random bytes, or when the file
            can't be read, can be read by other users, or is in `keys_folder`.
    """
    if isinstance(source, str):
        secret = _decoded(source.encode(errors="surrogateescape"), "in the environment")
        return _random(secret, "in the environment")
    where = f"in the file {source}"
    content = _read(source, where)
    if keys_folder is not None and source.resolve().is_relative_to(keys_folder.resolve()):
        raise SettingsInvalid(
            f"The key-encryption secret {where} is in the folder of the keys that it protects.",
            hint="Move it to a folder that is not backed up together with the keys.",
        )
    # 32 random bytes are practically never all printable: such a file contains a password.
    if len(content) == SECRET_BYTES and not (content.isascii() and content.decode().isprintable()):
        return _random(content, where)
    return _random(_decoded(content, where), where)


def _read(file: Path, where: str) -> bytes:
    try:
        read = protected_files.read_protected(file, follow_links=True)
    except FileRefused as exc:
        raise SettingsInvalid(
            f"The key-encryption secret {where} is not used. {exc.fault.detail}",
            hint=_hint_of(exc.fault),
        ) from exc
    except OSError as exc:
        raise SettingsInvalid(
            f"The key-encryption secret {where} can't be read ({os.strerror(exc.errno or 0)}).",
            hint="Check the setting custody.key_encryption_secret_file and the permissions of the"
            f" file. {_HINT}",
        ) from exc
    for fault in read.faults:
        _logger.warning("The key-encryption secret: %s %s", fault.detail, fault.hint)
    return read.content


def _hint_of(fault: FileFault) -> str:
    if fault.fault not in {Fault.OPEN_TO_ALL, Fault.OPEN_TO_OTHER_GROUP}:
        return fault.hint
    return (
        f"{fault.hint} In Kubernetes, set defaultMode: 0400 of the secret's volume instead, and"
        " fsGroup; in Docker, the mode of the secret. If another user may have read it together"
        " with private key files, change it with `tokensvc keys rewrap` and revoke the keys."
    )


def _decoded(content: bytes, where: str) -> bytes:
    try:
        # Without white space anywhere: base64 may have been wrapped, and hex grouped.
        secret = secret_bytes("".join(text_of(content).split()).strip("\"'"))
    except ValueError as exc:
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


def _random(secret: bytes, where: str) -> bytes:
    if not is_random(secret):
        raise SettingsInvalid(
            f"The key-encryption secret {where} is not random: its {SECRET_BYTES} bytes have only"
            f" {len(set(secret))} different values.",
            hint=_HINT,
        )
    return secret
