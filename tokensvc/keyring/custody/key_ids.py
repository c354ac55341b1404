"""The form of a key ID, which every custody can use as a part of a name."""

from __future__ import annotations

import re

from tokensvc.errors import CustodyDamaged

_KEY_ID = re.compile(r"[a-z0-9-]{1,64}")


def is_key_id(text: str) -> bool:
    """Whether the text has the form of a key ID."""
    return _KEY_ID.fullmatch(text) is not None


def require_key_id(text: str) -> None:
    """Return if the text has the form of a key ID.

    Raises:
        CustodyDamaged: when it does not. So no name can leave a folder or a prefix.
    """
    if not is_key_id(text):
        raise CustodyDamaged(
            f"{text!r} is not a valid key ID: use 1 to 64 characters of a-z, 0-9 and '-'.",
            hint="Run `tokensvc keys list` to see the key IDs.",
        )
