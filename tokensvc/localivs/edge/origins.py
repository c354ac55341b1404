"""Which web pages may play: the claim `aws:access-control-allow-origin` against an Origin header.

IVS: private-channels-generate-tokens. The claim is one string of origins, separated by commas; a
host may begin with `*`. An item that is no origin matches nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LABEL = r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
ORIGIN = re.compile(
    rf"""
    (?P<scheme>[a-z][a-z0-9+.-]*)://
    (?P<host>\*|(?P<wildcard>\*\.?)?{LABEL}(\.{LABEL})*|\[[0-9a-f:.]+\])
    (?P<port>:[1-9][0-9]*)?
    """,
    re.VERBOSE,
)
HIGHEST_PORT = 65_535
ANY_HOST_PART = "[a-z0-9.-]+"


@dataclass(frozen=True)
class OriginRule:
    """What a token says about origins: `allowed` is the claim, or None for everywhere.

    A strict rule holds for every request and needs an Origin header; another only keeps pages of
    other origins from the multivariant playlist.
    """

    allowed: str | None = None
    strict: bool = False

    def permits(self, origin: str | None) -> bool:
        """Whether a multivariant playlist may go to a request with this Origin header."""
        if self.allowed is None:
            return True
        if origin is None:
            return not self.strict
        return any(matches(item, origin) for item in self.allowed.split(","))

    def permits_in_session(self, origin: str | None) -> bool:
        """Whether a variant playlist or a segment may go to a request with this Origin header."""
        return not self.strict or self.permits(origin)


def matches(item: str, origin: str) -> bool:
    """Whether an item of the claim stands for the origin; case is no difference."""
    item, origin = item.lower(), origin.lower()
    if item == "*":
        return True
    parsed = ORIGIN.fullmatch(item)
    if parsed is None or int((parsed["port"] or ":1")[1:]) > HIGHEST_PORT:
        return False
    return re.fullmatch(re.escape(item).replace(r"\*", ANY_HOST_PART), origin) is not None
