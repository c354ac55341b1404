"""Random secrets as operators write them: base64 or hex, in a file or in the environment."""

from __future__ import annotations

import base64
import binascii
import string
from typing import Final

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
