"""HTTP/1.1 as bytes: requests become WSGI environs, and responses become bytes.

gunicorn's parser decides what is valid HTTP. Nothing here reads or writes a socket.
"""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from gunicorn.asgi import parser as gunicorn_parser
from gunicorn.asgi.parser import PythonProtocol

from tokensvc.web.bodies import WHOLE_BODY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_BODY_BYTES: Final = 1024 * 1024
"""The largest body of any route. A larger one is cut off, and its route refuses it."""

RECEIVED_AT: Final = "tokensvc.received_at"
"""The environ key with the time when the head was received, in monotonic seconds."""

DRAINING: Final = "tokensvc.draining"
"""The environ key that is true while the service stops."""

# RFC 9110 §5.6.2 and §5.5.
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_REQUEST_LINE: Final = re.compile(rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS) (/[!-~]*) HTTP/1\.1\r\n")
_FIELDS: Final = re.compile(rb"(?:%b:[^%b]*\r\n)+" % (_TOKEN.pattern, _CONTROL.pattern[1:-1]))
# Names with an underscore are left out: `X_Request_Id` would stand for X-Request-Id, and a proxy
# that removes the latter from a client's request does not know the former.
_AMBIGUOUS: Final = b"_"
_HTTP_1_1: Final = (1, 1)


class FieldParser(PythonProtocol):  # type: ignore[misc] # gunicorn ships no types.
    """gunicorn's parser, with a short way for what nearly every client sends.

    It checks a header field as a whole, which gunicorn does byte by byte.
    """

    def _parse_request_line(self) -> bool:
        """Read the line at once, if it is here as a whole and nothing about it is unusual."""
        line = _REQUEST_LINE.match(self._buffer)
        if line is None or line.end() > self._limit_request_line:
            return bool(super()._parse_request_line())
        self.method, self.path = line.groups()
        self.http_version = _HTTP_1_1
        self._empty_line_skipped = True
        self._scan_from = 0
        del self._buffer[: line.end()]
        self._state = "headers"
        return True

    def _parse_headers(self) -> bool:
        """Read all fields at once, if the whole head is here and nothing about it is unusual."""
        end = self._buffer.find(b"\r\n\r\n") + len(b"\r\n")
        head = bytes(self._buffer[:end])
        is_new = self._scan_from == 0 and not self._headers_list
        if not is_new or end > self._limit_request_field_size or not _FIELDS.fullmatch(head):
            return bool(super()._parse_headers())
        lines = head.split(b"\r\n")[:-1]
        if len(lines) > self._limit_request_fields:
            return bool(super()._parse_headers())
        self._header_count = len(lines)  # Trailer fields count too.
        for line in lines:
            name, _, value = line.partition(b":")
            self._headers_list.append((name.lower(), value.strip(b" \t")))
        del self._buffer[: end + len(b"\r\n")]
        self._finalize_headers()
        return True

    def read_so_far(self) -> Sequence[tuple[bytes, bytes]]:
        """The header fields that were read of a head which is not whole."""
        fields: Sequence[tuple[bytes, bytes]] = self._headers_list
        return fields

    def _is_valid_token(self, data: bytes) -> bool:
        return _TOKEN.fullmatch(data) is not None

    def _has_invalid_header_chars(self, value: bytes) -> bool:
        return _CONTROL.search(value) is not None


def status_of_refusal(error: Exception) -> HTTPStatus:
    """The status of the answer to a request that the parser refuses with this error."""
    match error:
        case gunicorn_parser.LimitRequestLine():
            return HTTPStatus.REQUEST_URI_TOO_LONG
        case gunicorn_parser.LimitRequestHeaders():
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        case gunicorn_parser.UnsupportedTransferCoding():
            return HTTPStatus.NOT_IMPLEMENTED
    return HTTPStatus.BAD_REQUEST


def environ_of_connection(transport: Any) -> WSGIEnvironment:
    """The members of the environ that all requests of one connection have (PEP 3333)."""
    server = transport.get_extra_info("sockname")
    client = transport.get_extra_info("peername")
    # The address of a UNIX socket is a text.
    host, port = server[:2] if isinstance(server, tuple) else (server or "", "")
    return {
        "SCRIPT_NAME": "",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "REMOTE_ADDR": client[0] if isinstance(client, tuple) else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def environ_of(
    request: FieldParser, body: bytes, of_connection: WSGIEnvironment
) -> WSGIEnvironment:
    """The WSGI environ of a parsed request with its whole body (PEP 3333).

    `SCRIPT_NAME` is empty whatever the client sends.
    """
    target: bytes = request.path
    if not target.startswith(b"/"):
        target = _path_of_absolute_form(target)
    path, _, query = target.partition(b"?")
    major, minor = request.http_version
    environ: WSGIEnvironment = {
        **of_connection,
        "REQUEST_METHOD": request.method.decode("ascii"),
        "PATH_INFO": (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{major}.{minor}",
        "wsgi.input": io.BytesIO(body),
        WHOLE_BODY: body,
    }
    for name, raw_value in request.headers:
        if _AMBIGUOUS not in name:
            key, value = _environ_key(name), raw_value.decode("latin-1")
            # RFC 9110 §5.3: repeated fields are one list.
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def _path_of_absolute_form(target: bytes) -> bytes:
    """The path and the query of `http://host/path?query` (RFC 9112 §3.2.2)."""
    _, separator, rest = target.partition(b"://")
    if not separator:
        return target
    authority = re.split(rb"[/?]", rest, maxsplit=1)[0]
    path = rest[len(authority) :]
    return path if path.startswith(b"/") else b"/" + path


@lru_cache(maxsize=256)
def _environ_key(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"


def check_transfer_coding(request: FieldParser) -> None:
    """Refuse every coding but `chunked`. gunicorn's parser also takes `gzip`, and decodes nothing.

    Raises:
        UnsupportedTransferCoding: when the body has another coding (RFC 9112 §6.1).
    """
    if not request.is_chunked:
        return
    for name, value in request.headers:
        if name == b"transfer-encoding" and value.lower() not in {b"chunked", b""}:
            raise gunicorn_parser.UnsupportedTransferCoding(value.decode("latin-1"))


def keeps_connection(request: FieldParser) -> bool:
    """Whether the client may send another request after this one."""
    # RFC 9110 §9.3.6: what follows a CONNECT is no request.
    is_kept = request.should_keep_alive and request.method != b"CONNECT"
    if not is_kept or request.http_version < _HTTP_1_1:
        return False
    # Repeated fields are one list, of which gunicorn's parser takes the last part only.
    for name, value in request.headers:
        if name == b"connection" and b"close" in value.lower():
            return False
    return True


def expects_continue(request: FieldParser) -> bool:
    """Whether the client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1)."""
    is_expected = any(
        name == b"expect" and value.lower() == b"100-continue" for name, value in request.headers
    )
    return bool(is_expected and request.http_version >= _HTTP_1_1)


@dataclass(frozen=True, slots=True)
class Response:
    """A response.

    Attributes:
        status: the HTTP status.
        headers: the header fields.
        parts: the body: a list, or an iterator that makes it part by part.
    """

    status: int
    headers: list[tuple[str, str]]
    parts: Iterable[bytes]


class DateField:
    """The field `Date`, which is made again each second."""

    def __init__(self) -> None:
        self._made_at = 0
        self._text = ""

    def now(self) -> str:
        """The field for this second (RFC 9110 §6.6.1)."""
        second = int(time.time())
        if second != self._made_at:
            self._made_at, self._text = second, f"Date: {formatdate(second, usegmt=True)}"
        return self._text


def bytes_of(response: Response, date: str, *, closes: bool, is_head: bool) -> bytes:
    """The bytes of a whole response.

    Args:
        response: its parts are a list.
        date: the field `Date`.
        closes: whether the connection is closed afterwards.
        is_head: whether it answers a HEAD, and has no body.

    Raises:
        ValueError: when a header field has a line break, which would add a field or a response.
    """
    lines = [_STATUS_LINES[response.status], *map(": ".join, response.headers), date]
    if closes:
        lines.append("Connection: close")
    head = "\r\n".join([*lines, "", ""])
    if head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1:
        raise ValueError("A header field has a line break.")
    has_body = not is_head and response.status not in _WITHOUT_BODY
    return b"".join([head.encode("latin-1"), *(response.parts if has_body else ())])


_WITHOUT_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_STATUS_LINES: Final[Mapping[int, str]] = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus
}
