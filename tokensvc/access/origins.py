"""Which origins other origins cover: patterns such as `https://*.example.com`, or `*` for all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Final

# What the leading * of an origin matches: part of a host name, which may itself begin with *. No
# slash, colon or comma, so that only the beginning of a host name can match.
_HOST_PREFIX: Final = re.compile(r"[a-z0-9_.*-]+", re.ASCII)
_STAR_AND_REST: Final = re.compile(r"[^:]+://\*(?P<rest>[^:]*)(?::[0-9]+)?")

# Top-level domains in which no name can be registered: RFC 6761 and 6762 (§3 and appendix G), and
# those that ICANN reserves for private use or has decided never to delegate.
_PRIVATE_DOMAINS: Final = frozenset(
    {"localhost", "test", "local", "internal", "intranet", "private", "corp", "home", "lan"}
)


def is_covered(requested: str, granted: str) -> bool:
    """Whether IVS allows for `granted` every origin that it allows for `requested`."""
    requested, granted = requested.lower(), granted.lower()
    if granted in (requested, "*"):
        return True
    scheme, star, rest = granted.partition("://*")
    if not star or not requested.startswith(f"{scheme}://") or not requested.endswith(rest):
        return False
    prefix = requested[len(f"{scheme}://") : len(requested) - len(rest)]
    return _HOST_PREFIX.fullmatch(prefix) is not None


def common(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """The origins that both lists cover.

    A * stands only at the beginning of a host, so of two patterns that match the same host, one
    covers the other.
    """
    covered = chain(
        (origin for origin in first if any(is_covered(origin, other) for other in second)),
        (origin for origin in second if any(is_covered(origin, other) for other in first)),
    )
    return tuple(dict.fromkeys(covered))


def mistake_in(origin: str) -> str:
    """What is wrong with an origin that matches more than its author can mean; "" if nothing is.

    `https://*example.com` also matches `https://evilexample.com`, which anyone can register.
    """
    match = _STAR_AND_REST.fullmatch(origin)
    if match is None:
        return ""
    rest = match["rest"]
    if not rest:
        return f"{origin} matches every site of that scheme. Write * if that is meant."
    if not rest.startswith("."):
        return (
            f"{origin} also matches hosts of others whose names end with {rest}. Write a dot after"
            f" the *: {origin.replace('*', '*.', 1)}."
        )
    domain = rest.strip(".").lower()  # A browser keeps a dot at the end.
    if "." not in domain and domain not in _PRIVATE_DOMAINS:
        return f"{origin} matches every site under {rest}. Name the domain as well."
    return ""
