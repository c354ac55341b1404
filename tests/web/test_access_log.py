"""The access log: what a line contains, and what it never contains."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tokensvc.telemetry.log_lines import LineOf, json_line, text_line
from tokensvc.telemetry.log_output import LogOutput
from tokensvc.web.access_log import AccessLog

PROXY = ipaddress.ip_network("192.0.2.0/24")
SECRET = "9f8e7d6c" * 8


@dataclass
class Lines:
    """A target that keeps its lines."""

    lines: list[bytes] = field(default_factory=list)

    def write(self, line: bytes) -> None:
        """Append the line."""
        self.lines.append(line)

    def wait(self, seconds: float) -> None:
        """Return at once."""

    def close(self) -> None:
        """Do nothing."""


def lines_of(
    environ: dict[str, Any], status: int = 200, *, with_probes: bool = False
) -> list[dict[str, Any]]:
    """The lines that are written for this request."""
    return [json.loads(line) for line in written(environ, status, with_probes=with_probes)]


def written(
    environ: dict[str, Any],
    status: int = 200,
    *,
    with_probes: bool = False,
    line_of: LineOf = json_line,
) -> list[bytes]:
    """The lines as they are written."""
    target = Lines()
    log = AccessLog(LogOutput(target), [PROXY], with_probes=with_probes, line_of=line_of)
    log.write(
        {
            "REQUEST_METHOD": "GET",
            "REMOTE_ADDR": "198.51.100.7",
            "HTTP_X_REQUEST_ID": "r-1",
            **environ,
        },
        status,
        size_bytes=12,
        duration_seconds=0.01234,
    )
    return target.lines


def test_a_path_adds_no_member_to_a_line_of_text() -> None:
    """Blanks in it are shown as a client sends them."""
    path = "/x 200 client_address=203.0.113.1"
    (line,) = written({"PATH_INFO": path}, 404, line_of=text_line)
    words = line.decode().split()
    assert "/x%20200%20client_address=203.0.113.1" in words
    addresses = [word for word in words if word.startswith("client_address=")]
    assert addresses == ["client_address=198.51.100.7"]


def test_a_line_identifies_the_request_and_its_client() -> None:
    """Every member, apart from the time."""
    (line,) = lines_of({"PATH_INFO": "/v1/playback-urls", "REQUEST_METHOD": "POST"}, 403)
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "tokensvc.access",
        "message": "POST /v1/playback-urls 403",
        "method": "POST",
        "path": "/v1/playback-urls",
        "status": 403,
        "bytes": 12,
        "duration_ms": 12.3,
        "client_address": "198.51.100.7",
        "request_id": "r-1",
    }


def test_a_line_for_people_has_the_same_in_one_line() -> None:
    """What the message says already is not repeated."""
    (line,) = written(
        {"PATH_INFO": "/v1/playback-urls", "REQUEST_METHOD": "POST"}, 403, line_of=text_line
    )
    at, _, rest = line.decode().partition(" ")
    assert at.endswith("Z")
    assert rest == (
        "info    tokensvc.access: POST /v1/playback-urls 403 bytes=12 duration_ms=12.3"
        " client_address=198.51.100.7 request_id=r-1\n"
    )


def test_the_address_is_the_one_that_a_trusted_proxy_names() -> None:
    """Any other client may write what it wants into the header."""
    forwarded = {"PATH_INFO": "/", "HTTP_X_FORWARDED_FOR": "203.0.113.9"}
    (direct,) = lines_of(forwarded)
    (proxied,) = lines_of({**forwarded, "REMOTE_ADDR": "192.0.2.5"})
    assert direct["client_address"] == "198.51.100.7"
    assert proxied["client_address"] == "203.0.113.9"


def test_a_secret_in_a_path_and_a_query_string_are_not_logged() -> None:
    """A client may send its API key or a token in the wrong place."""
    (line,) = lines_of({"PATH_INFO": f"/v1/tsk_0123456789ab_{SECRET}", "QUERY_STRING": "token=x"})
    assert SECRET not in json.dumps(line)
    assert "token=x" not in json.dumps(line)


def test_a_path_is_shown_as_text_and_cut() -> None:
    """PEP 3333 gives its bytes as Latin-1 characters; not all bytes are UTF-8."""
    (line,) = lines_of({"PATH_INFO": "/é".encode().decode("latin-1") + "\xff" + "z" * 500})
    assert line["path"] == "/é\ufffd" + "z" * 253


def test_probes_are_logged_when_they_fail_or_when_all_lines_are_wanted() -> None:
    """They come every few seconds from every balancer."""
    assert lines_of({"PATH_INFO": "/healthz"}) == []
    assert lines_of({"PATH_INFO": "/readyz"}) == []
    assert [line["status"] for line in lines_of({"PATH_INFO": "/readyz"}, 503)] == [503]
    assert len(lines_of({"PATH_INFO": "/healthz"}, with_probes=True)) == 1


def test_what_is_no_valid_request_has_a_line_with_the_address_and_the_status() -> None:
    """An operator finds out why a client gets 400. Nothing that it sent is repeated."""
    target = Lines()
    log = AccessLog(LogOutput(target), [PROXY], with_probes=False)
    log.write_refusal("198.51.100.7", 400, size_bytes=165, request_id="r-2")
    (line,) = (json.loads(line) for line in target.lines)
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "tokensvc.access",
        "message": "not a whole valid request 400",
        "method": None,
        "path": None,
        "status": 400,
        "bytes": 165,
        "duration_ms": None,
        "client_address": "198.51.100.7",
        "request_id": "r-2",
    }


def test_the_lines_of_one_turn_of_the_loop_are_written_together() -> None:
    """The loop calls once for them, and again for those of a later turn."""
    target = Lines()
    due: list[Callable[[], None]] = []
    log = AccessLog(LogOutput(target), [PROXY], with_probes=False, call_soon=due.append)
    for request_id in ("r-1", "r-2"):
        log.write_refusal("198.51.100.7", 400, size_bytes=165, request_id=request_id)
    assert target.lines == []

    (write,) = due
    write()
    log.write_refusal("198.51.100.7", 400, size_bytes=165, request_id="r-3")
    assert len(due) == 2
    due[1]()
    written_ids = [
        [json.loads(line)["request_id"] for line in lines.splitlines()] for lines in target.lines
    ]
    assert written_ids == [["r-1", "r-2"], ["r-3"]]
