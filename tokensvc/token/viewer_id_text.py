"""What the text of a viewer ID may not be: invisible in part, or personal data that it looks like.

A moderator has to read, compare and type a viewer ID, and IVS asks for IDs without personal data.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Control and format characters (bidirectional and zero-width ones are format), and all blanks.
_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
# Unicode counts these as letters and symbols, but they are blank: Hangul fillers and Braille.
_BLANK_LETTERS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")

_BLANK = re.compile(r"\s")
_TELEPHONE_NUMBER = re.compile(
    r"""(?:tel:)?
    (?: \+ [0-9] (?:[ ().-]{0,2}[0-9]){6,14}                            # E.164: +14155550123
    |   (?:1[ .-])? (?:\([0-9]{3}\)[ ]?|[0-9]{3}[.-]) [0-9]{3}[ .-][0-9]{4}  # (415) 555-0123
    )""",
    re.ASCII | re.VERBOSE | re.IGNORECASE,
)


def has_invisible_characters(text: str) -> bool:
    """Whether it has a control, format (such as bidirectional) or blank character.

    >>> has_invisible_characters("viewer-7"), has_invisible_characters("viewer 7")
    (False, True)
    """
    if text.isascii():
        return " " in text or not text.isprintable()
    return any(
        unicodedata.category(character) in _INVISIBLE_CATEGORIES or character in _BLANK_LETTERS
        for character in text
    )


def personal_data_in(text: str) -> str:
    """What the text looks like: "an e-mail address", "a telephone number", or "" for neither.

    >>> personal_data_in("anna@example.com"), personal_data_in("4711")
    ('an e-mail address', '')
    """
    if _is_e_mail_address(text):
        return "an e-mail address"
    # Digits alone are not a telephone number: most IDs in databases are numbers.
    return "a telephone number" if _TELEPHONE_NUMBER.fullmatch(text) else ""


def _is_e_mail_address(text: str) -> bool:
    name, _, domain = text.partition("@")
    has_form = bool(name) and "@" not in domain and "." in domain[1:-1]
    return has_form and _BLANK.search(text) is None
