"""JSON that all readers understand alike; what two might see differently is refused.

So: UTF-8, each member name once, no NaN or Infinity, whole Unicode characters (RFC 8259 §4, §6 and
§8, RFC 7493 §2).
"""

from __future__ import annotations

import json
from typing import Never

_UNESCAPED = json.JSONEncoder(ensure_ascii=False)


def loads(data: bytes) -> object:
    """The value that the bytes spell.

    Raises:
        ValueError: when they are no such JSON, or nested deeper than Python can follow.
    """
    try:
        value: object = json.loads(
            data.decode(), object_pairs_hook=_without_repeats, parse_constant=_no_constant
        )
        # Half of a surrogate pair can be escaped in JSON, and can't be encoded.
        _UNESCAPED.encode(value).encode()
    except RecursionError as exc:
        raise ValueError("It is nested too deep.") from exc
    return value


def _without_repeats(members: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(members)
    if len(value) != len(members):
        raise ValueError("A member name is repeated.")
    return value


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON.")
