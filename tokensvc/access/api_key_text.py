"""The text of an API key: `tsk_<id>_<secret>_<checksum>`.

The ID has 12 characters, the secret 64 and the checksum 8, all lower-case hex. The prefix and the
checksum, CRC-32 of everything before its underscore, let scanners find keys in source code and
logs with hardly a false alarm. Keys from before the checksum was added have none, and stay valid.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

PREFIX: Final = "tsk_"
"""How each API key begins."""

_FORM: Final = re.compile(r"(tsk_([0-9a-f]{12})_([0-9a-f]{64}))(?:_([0-9a-f]{8}))?", re.ASCII)
_BEGINNING: Final = re.compile(r"tsk_([0-9a-f]{12})(?:_|$)", re.ASCII | re.IGNORECASE)


def text_of(key_id: str, secret: str) -> str:
    """The text of the API key with that ID and secret."""
    text = f"tsk_{key_id}_{secret}"
    return f"{text}_{_checksum(text)}"


def parse(text: str) -> tuple[str, str] | None:
    """The ID and the secret in the text of an API key; None for any other text."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    checked, key_id, secret, checksum = match.groups()
    is_intact = checksum is None or checksum == _checksum(checked)
    return (key_id, secret) if is_intact else None


def id_at_beginning(text: str) -> str | None:
    """The ID, if the text begins as that of an API key does; None if it does not."""
    match = _BEGINNING.match(text)
    return None if match is None else match[1].lower()


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
