"""Our parser accepts exactly the header fields that gunicorn's accepts."""

from __future__ import annotations

import pytest
from gunicorn.asgi.parser import ParseError, PythonProtocol
from hypothesis import example, given
from hypothesis import strategies as st

from tokensvc.web.http1 import FieldParser

ANY_BYTE = [bytes([byte]) for byte in range(256)]


def fields_of(parser_class: type[PythonProtocol], head: bytes) -> list[tuple[bytes, bytes]] | str:
    """The fields that the parser reads in a request with that head, or its refusal."""
    parser = parser_class()
    try:
        parser.feed(b"GET / HTTP/1.1\r\n" + head + b"\r\n\r\n")
    except ParseError as exc:
        return type(exc).__name__
    return list(parser.headers or [])


@pytest.mark.parametrize("byte", ANY_BYTE)
def test_every_byte_is_judged_alike_in_a_name_and_in_a_value(byte: bytes) -> None:
    """RFC 9110 §5.6.2 and §5.5."""
    for head in (b"x" + byte + b": value", b"name: v" + byte + b"w"):
        assert fields_of(FieldParser, head) == fields_of(PythonProtocol, head)


@given(st.binary(max_size=40), st.binary(max_size=40))
@example(b"", b"")
@example(b"host ", b"a")
@example(b"name\n", b"value\n")
def test_any_field_is_judged_alike(name: bytes, value: bytes) -> None:
    """Whole fields, with line breaks and separators in any place."""
    head = name + b":" + value
    assert fields_of(FieldParser, head) == fields_of(PythonProtocol, head)
