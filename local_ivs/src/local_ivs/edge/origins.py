"""Match an Origin header against a token's claim `aws:access-control-allow-origin`.

IVS: private-channels-generate-tokens. The claim is one string of origins, separated by commas. A
host may begin with `*`. An item that is not an origin matches nothing.
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
    """The origins from which a token allows playback.

    Attributes:
        allowed: The claim `aws:access-control-allow-origin`. None allows every origin.
        strict: The claim `aws:strict-origin-enforcement`. A strict rule applies to every request,
            and requires an Origin header. A rule that is not strict applies to the multivariant
            playlist only, and only to requests with an Origin header.
    """

    allowed: str | None = None
    strict: bool = False

    def permits(self, origin: str | None) -> bool:
        """Whether a request with this Origin header may get the multivariant playlist."""
        if self.allowed is None:
            return True
        if origin is None:
            return not self.strict
        return any(matches(item, origin) for item in self.allowed.split(","))

    def permits_in_session(self, origin: str | None) -> bool:
        """Whether a request with this Origin header may get a variant playlist or a segment."""
        return not self.strict or self.permits(origin)


def matches(item: str, origin: str) -> bool:
    """Whether an item of the claim matches the origin. Case is ignored."""
    item, origin = item.lower(), origin.lower()
    if item == "*":
        return True
    parsed = ORIGIN.fullmatch(item)
    if parsed is None or int((parsed["port"] or ":1")[1:]) > HIGHEST_PORT:
        return False
    return re.fullmatch(re.escape(item).replace(r"\*", ANY_HOST_PART), origin) is not None
