"""How deep JSON may be nested, whatever the version of Python."""

from __future__ import annotations

import pytest

from tokensvc.token import strict_json


def nested(depth: int, inner: bytes) -> bytes:
    """Arrays and objects in turn, with a value in the innermost one."""
    pairs = [(b"[", b"]") if level % 2 else (b'{"a":', b"}") for level in range(depth)]
    ends = b"".join(end for _, end in reversed(pairs))
    return b"".join(begin for begin, _ in pairs) + inner + ends


@pytest.mark.parametrize("inner", [b"1", b'"["'])
def test_a_hundred_levels_are_parsed(inner: bytes) -> None:
    """Wide JSON has no such limit: the second value has 301 arrays in two levels."""
    assert strict_json.loads(nested(100, inner)) is not None
    assert strict_json.loads(b"[" + b"[]," * 300 + b"[]]") == [[]] * 301


@pytest.mark.parametrize("depth", [101, 102, 20_000])
@pytest.mark.parametrize("inner", [b"1", b'"["'])
def test_more_levels_are_refused(depth: int, inner: bytes) -> None:
    """What is printed or compared later would exceed Python's own limit."""
    with pytest.raises(ValueError, match="nested too deeply"):
        strict_json.loads(nested(depth, inner))
