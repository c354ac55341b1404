"""Requests become WSGI environs, and responses become bytes."""

from __future__ import annotations

import re

import pytest

from tokensvc.web.http1 import (
    DateField,
    FieldParser,
    Response,
    bytes_of,
    environ_of,
    environ_of_connection,
    keeps_connection,
)

DATE = "Date: Thu, 26 Nov 2026 11:00:00 GMT"


class Transport:
    """Knows the addresses of a connection."""

    def __init__(self, server: object, client: object) -> None:
        self._addresses = {"sockname": server, "peername": client}

    def get_extra_info(self, name: str) -> object:
        """The address of that end."""
        return self._addresses[name]


TCP = Transport(("127.0.0.1", 8_000), ("192.0.2.7", 50_000))


def environ(head: str, transport: Transport = TCP, body: bytes = b"") -> dict[str, object]:
    """The environ of a request with that head."""
    parser = FieldParser()
    parser.feed(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    return environ_of(parser, body, environ_of_connection(transport))


def test_an_environ_has_what_pep_3333_asks_for() -> None:
    """The path is decoded, the query is not; a repeated field is one list."""
    made = environ("POST /a%20b/%C3%A9?c=%20d HTTP/1.1\nHost: x\nA-b: 1\na-B: 2\nContent-Type: t")
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/Ã©",
        "QUERY_STRING": "c=%20d",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "HTTP_HOST": "x",
        "HTTP_A_B": "1,2",
        "CONTENT_TYPE": "t",
        "wsgi.url_scheme": "http",
    }
    assert {name: made.get(name) for name in expected} == expected


def test_a_field_whose_name_has_an_underscore_is_left_out() -> None:
    """It would stand for the field with a hyphen, which a proxy may have removed."""
    made = environ("GET / HTTP/1.1\nX_Forwarded_For: 203.0.113.9\nX-Request-Id: a")
    assert "HTTP_X_FORWARDED_FOR" not in made
    assert made["HTTP_X_REQUEST_ID"] == "a"


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://example.com/healthz?a=b", "/healthz", "a=b"),
        ("http://example.com", "/", ""),
        ("http://example.com?a=b", "/", "a=b"),
        ("//example.com/healthz", "//example.com/healthz", ""),
    ],
)
def test_a_target_in_absolute_form_is_taken(target: str, path: str, query: str) -> None:
    """RFC 9112 §3.2.2: a server accepts it, although only a proxy's clients send it."""
    made = environ(f"GET {target} HTTP/1.1\nHost: x")
    assert (made["PATH_INFO"], made["QUERY_STRING"]) == (path, query)


def test_the_addresses_of_a_unix_socket_are_texts() -> None:
    """The client's is empty."""
    made = environ("GET / HTTP/1.1", Transport("/run/tokensvc.sock", ""))
    assert (made["SERVER_NAME"], made["REMOTE_ADDR"]) == ("/run/tokensvc.sock", "")


@pytest.mark.parametrize(
    ("head", "is_kept"),
    [
        ("GET / HTTP/1.1", True),
        ("GET / HTTP/1.1\nConnection: close", False),
        ("GET / HTTP/1.1\nConnection: Upgrade, close", False),
        ("GET / HTTP/1.1\nConnection: close\nConnection: keep-alive", False),
        ("GET / HTTP/1.0\nConnection: keep-alive", False),
        ("CONNECT a:1 HTTP/1.1", False),
    ],
)
def test_a_connection_is_kept_where_http_1_1_allows_it(head: str, *, is_kept: bool) -> None:
    """A client of HTTP/1.0 gets one response for each connection."""
    parser = FieldParser()
    parser.feed(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    assert keeps_connection(parser) is is_kept


def test_a_response_is_one_text() -> None:
    """With its head, and the body unless there is none."""
    response = Response(200, [("A", "b"), ("Content-Length", "2")], [b"h", b"i"])
    head = b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n" + DATE.encode()
    assert bytes_of(response, DATE, closes=False, is_head=False) == head + b"\r\n\r\nhi"
    assert bytes_of(response, DATE, closes=False, is_head=True) == head + b"\r\n\r\n"
    closing = bytes_of(Response(204, [], [b"x"]), DATE, closes=True, is_head=False)
    assert closing.endswith(b"GMT\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("text", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "\r\n"])
def test_a_line_break_in_a_field_is_refused(text: str) -> None:
    """In a name or a value: it would add a field or a response."""
    for field in (("A", text), (text, "b")):
        with pytest.raises(ValueError, match="line break"):
            bytes_of(Response(200, [field], []), DATE, closes=False, is_head=False)


def test_the_date_has_the_form_of_http() -> None:
    """RFC 9110 §5.6.7."""
    assert re.fullmatch(r"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", DateField().now())
