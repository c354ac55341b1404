"""Random secrets as operators write them: base64 or hex, in a file or in the environment."""

from __future__ import annotations

import base64
import binascii
import os
import string
from pathlib import Path
from typing import Final

from tokensvc import protected_files
from tokensvc.errors import SettingsInvalid
from tokensvc.protected_files import FileRefused
from tokensvc.written_text import text_of

FEWEST_VALUES: Final = 12
"""32 random bytes have fewer different values once in 2**82 times: such a secret was typed."""

_HEX_DIGITS: Final = frozenset(string.hexdigits)


def secret_bytes(text: str) -> bytes:
    """The bytes of a secret in hex, or in base64 with either alphabet, padded or not.

    Hex digits alone are hex: 32 random bytes in base64 have other characters too.

    Raises:
        ValueError: when it is neither.
    """
    if _HEX_DIGITS.issuperset(text):
        return bytes.fromhex(text)
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error as exc:
        raise ValueError("The text is neither base64 nor hex.") from exc


def is_random(secret: bytes) -> bool:
    """Whether 32 bytes or more can be random, because they have enough different values."""
    return len(set(secret)) >= FEWEST_VALUES


def read_secret_text(source: Path | str, *, name: str, setting: str, hint: str) -> tuple[str, str]:
    """The text of a secret, and where it is, for error messages.

    Args:
        source: a file, or the value of an environment variable. The file may be a symbolic link, as
            Kubernetes mounts secrets.
        name: what the secret is.
        setting: the setting that names the file.
        hint: how to make such a secret.

    Raises:
        SettingsInvalid: when the file can't be read, can be read by other users, or is not text.
    """
    if isinstance(source, str):
        return source, "in the environment"
    where = f"in the file {source}"
    try:
        return text_of(protected_files.read_protected(source, follow_links=True).content), where
    except FileRefused as exc:
        raise SettingsInvalid(
            f"The {name} {where} is not used. {exc.fault.detail}", hint=exc.fault.hint
        ) from exc
    except OSError as exc:
        raise SettingsInvalid(
            f"The {name} {where} can't be read ({os.strerror(exc.errno or 0)}).",
            hint=f"Check the setting {setting} and the permissions of the file.",
        ) from exc
    except UnicodeDecodeError as exc:
        raise SettingsInvalid(f"The {name} {where} is not text.", hint=hint) from exc
