"""A strict JSON parser that refuses every text that two parsers could read differently.

It requires UTF-8, unique member names, no NaN or Infinity, and no unpaired surrogates (RFC 8259 §4,
§6 and §8, RFC 7493 §2), and bounds the depth (RFC 8259 §9).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from typing import Final, Never

MAX_DEPTH: Final = 100
"""How many arrays and objects may be in one another. Python's own limit depends on its version."""

_UNESCAPED = json.JSONEncoder(ensure_ascii=False)


def loads(data: bytes) -> object:
    """Parse JSON.

    >>> loads(b'{"exp": 1800000300}')
    {'exp': 1800000300}
    >>> loads(b'{"exp": 1800000300, "exp": 0}')
    Traceback (most recent call last):
    ValueError: A member name is repeated.

    Raises:
        ValueError: when the bytes are not such JSON, or are nested deeper than `MAX_DEPTH`.
    """
    try:
        text = data.decode()
        value: object = _decoder().decode(text)
        # Only an escape can produce an unpaired surrogate, which can't be encoded.
        if "\\u" in text:
            _UNESCAPED.encode(value).encode()
    except RecursionError as exc:
        raise _too_deep() from exc
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _require_shallow(value)
    return value


def _require_shallow(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [item for outer in level for item in _items(outer) if isinstance(item, dict | list)]
        if not level:
            return
    raise _too_deep()


def _items(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> ValueError:
    return ValueError("The JSON is nested too deeply.")


@functools.cache
def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_refuse_constant)


def _unique_members(members: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(members)
    if len(value) != len(members):
        raise ValueError("A member name is repeated.")
    return value


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not valid JSON.")
