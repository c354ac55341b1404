"""Our parser accepts exactly the requests that gunicorn's accepts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from gunicorn.asgi.parser import ParseError, PythonProtocol
from hypothesis import example, given
from hypothesis import strategies as st

from tokensvc.web.http1 import FieldParser

ANY_BYTE = [bytes([byte]) for byte in range(256)]
LIMITS = {"limit_request_line": 60, "limit_request_fields": 3, "limit_request_field_size": 60}

Parsed = tuple[object, ...] | str


def parsed_by(parser_class: type[PythonProtocol], parts: Sequence[bytes]) -> Parsed:
    """All that is read of a request that comes in parts, or its refusal."""
    body: list[bytes] = []
    parser = parser_class(on_body=body.append, **LIMITS)
    try:
        for part in parts:
            parser.feed(part)
    except ParseError as exc:
        return type(exc).__name__
    line = parser.method, parser.path, parser.http_version
    return *line, list(parser.headers or []), b"".join(body), parser.remaining()


def assert_judged_alike(head: bytes, *, split_at: int | None = None) -> None:
    """Both parsers read the same in a request with that head, or refuse it alike."""
    request = b"GET / HTTP/1.1\r\n" + head + b"\r\n\r\n"
    parts = [request] if split_at is None else [request[:split_at], request[split_at:]]
    assert parsed_by(FieldParser, parts) == parsed_by(PythonProtocol, parts)


@pytest.mark.parametrize("byte", ANY_BYTE)
def test_every_byte_is_judged_alike_in_a_name_and_in_a_value(byte: bytes) -> None:
    """RFC 9110 §5.6.2 and §5.5."""
    for head in (b"x" + byte + b": value", b"name: v" + byte + b"w"):
        assert_judged_alike(head)


@given(st.binary(max_size=40), st.binary(max_size=40))
@example(b"", b"")
@example(b"host ", b"a")
@example(b"name\n", b"value\n")
def test_any_field_is_judged_alike(name: bytes, value: bytes) -> None:
    """Whole fields, with line breaks and separators in any place."""
    assert_judged_alike(name + b":" + value)


FIELDS = st.sampled_from(
    [
        b"a: b",
        b"Host:x",
        b"host: y",
        b"C:\t d \t",
        b"Content-Length: 3",
        b"Transfer-Encoding: chunked",
        b"long: " + b"v" * 70,
        b"no colon",
        b"",
        b" folded",
        b"bare\rCR: 1",
        b"bare\nLF: 1",
        b"caf\xe9: \xe9",
    ]
)
BODIES = st.sampled_from(
    [
        b"0\r\n\r\n",
        b"3\r\nabc\r\n0\r\na: 1\r\n\r\n",
        b"0\r\na: 1\r\nb: 2\r\n\r\n",
        b"0\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n",
    ]
)


@given(
    st.lists(FIELDS, max_size=5),
    st.binary(max_size=8) | BODIES,
    st.one_of(st.none(), st.integers(1, 150)),
)
@example([b"a: b", b"Content-Length: 3"], b"xyzGET / HTTP/1.1\r\n\r\n", None)
@example([], b"a: b\r\n\r\n", None)
@example([b"a: b", b"c: d"], b"", 20)
@example([b"Transfer-Encoding: chunked"], b"0\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n", None)
def test_any_request_is_judged_alike_however_it_is_sent(
    fields: list[bytes], after: bytes, split_at: int | None
) -> None:
    """Whole or in two parts; with too many or too long fields; with a body and what follows it."""
    assert_judged_alike(b"\r\n".join(fields) + b"\r\n\r\n" + after, split_at=split_at)


LINES = st.sampled_from(
    [
        b"GET /",
        b"POST /v1/playback-urls?a=b",
        b"OPTIONS *",
        b"CONNECT host:443",
        b"GET http://host/path",
        b"get /",
        b"GE /",
        b"GET  /",
        b"GET /a b",
        b"GET /caf\xe9",
        b"GET /#part",
        b"\r\nGET /",
        b"\r\n\r\nGET /",
        b"GET /" + b"x" * 70,
    ]
)


@given(
    LINES | st.binary(max_size=20),
    st.sampled_from([b" HTTP/1.1", b" HTTP/1.0", b" HTTP/1.1 ", b" HTTP/2.0", b""]),
    st.sampled_from([b"\r\n", b"\n", b"\r"]),
    st.one_of(st.none(), st.integers(1, 90)),
)
@example(b"GET /" + b"x" * 46, b" HTTP/1.1", b"\r\n", None)  # A line of 60 bytes, the limit.
@example(b"GET /" + b"x" * 47, b" HTTP/1.1", b"\r\n", None)
@example(b"POST /", b" HTTP/1.1", b"\r\n", 16)  # The line break comes in two parts.
def test_any_request_line_is_judged_alike(
    line: bytes, version: bytes, end: bytes, split_at: int | None
) -> None:
    """Whole or in two parts, with each form of a target and each line break."""
    request = line + version + end + b"Host: x\r\n\r\n"
    parts = [request] if split_at is None else [request[:split_at], request[split_at:]]
    assert parsed_by(FieldParser, parts) == parsed_by(PythonProtocol, parts)
