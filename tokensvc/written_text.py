"""The text in files as editors, shells and container tools leave them."""

from __future__ import annotations

import codecs

# The mark of UTF-8 is written by editors on Windows, UTF-16 by `>` in Windows PowerShell.
_ENCODING_OF_MARK = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def text_of(content: bytes) -> str:
    """The text in these bytes: UTF-8, or UTF-16 with a byte order mark, without the mark.

    Raises:
        UnicodeDecodeError: when the bytes are neither.
    """
    for mark, encoding in _ENCODING_OF_MARK:
        if content.startswith(mark):
            return content.decode(encoding)
    return content.decode()
