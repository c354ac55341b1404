"""The access log: one line for each request, with the client's address and the request ID."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from tokensvc.clock import rfc3339
from tokensvc.net import Network
from tokensvc.redaction import redact
from tokensvc.spans import Span
from tokensvc.telemetry.log_lines import LineOf, json_line
from tokensvc.telemetry.log_output import LogOutput
from tokensvc.web.headers import request_id_of
from tokensvc.web.proxies import client_address_of
from tokensvc.web.tracing import SPAN

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PROBES: Final = frozenset({"/healthz", "/readyz"})
_LOGGER_NAME: Final = "tokensvc.access"
_LONGEST_PATH: Final = 256


@lru_cache(maxsize=64)
def _shown(path: str) -> str:
    # PEP 3333: the bytes of the path as Latin-1 characters.
    return redact(path.encode("latin-1").decode(errors="replace"))[:_LONGEST_PATH]


def _trace_of(environ: WSGIEnvironment) -> Mapping[str, str]:
    """The ID of the trace to which the request belongs, if requests are traced."""
    span: Span | None = environ.get(SPAN)
    return {} if span is None else {"trace_id": span.trace_id}


def _at_once(function: Callable[[], None]) -> None:
    """Call the function, where there is no event loop to call it soon."""
    function()


class AccessLog:
    """Writes access lines.

    They contain paths only, because a query string, a referrer or another header may contain a
    token. Probes that succeed are left out, unless all requests are asked for.

    Lines are written together, when `call_soon` calls: an event loop does so once per turn. Not for
    several threads.
    """

    def __init__(
        self,
        output: LogOutput,
        trusted_proxies: Collection[Network],
        *,
        with_probes: bool,
        line_of: LineOf = json_line,
        call_soon: Callable[[Callable[[], None]], object] = _at_once,
    ) -> None:
        self._output = output
        self._call_soon = call_soon
        self._will_write = False
        self._trusted_proxies = trusted_proxies
        self._with_probes = with_probes
        self._line_of = line_of

    def write(
        self,
        environ: WSGIEnvironment,
        status: int,
        *,
        size_bytes: int,
        duration_seconds: float,
    ) -> None:
        """Write the line of a request that was answered."""
        path = environ["PATH_INFO"]
        if path in PROBES and status == HTTPStatus.OK and not self._with_probes:
            return
        shown = _shown(path)
        method = environ["REQUEST_METHOD"]
        without_blanks = shown.replace(" ", "%20")  # In text, members follow behind blanks.
        self._write(
            f"{method} {without_blanks} {status}",
            {
                "method": method,
                "path": shown,
                "status": status,
                "bytes": size_bytes,
                "duration_ms": round(duration_seconds * 1_000, 1),
                "client_address": client_address_of(environ, self._trusted_proxies),
                "request_id": request_id_of(environ),
                **_trace_of(environ),
            },
        )

    def write_refusal(
        self, peer_address: str, status: int, *, size_bytes: int, request_id: str
    ) -> None:
        """Write the line of what the server refused because it is not a whole valid request.

        Of what the client sent it has a valid request ID at most: its address is that of the
        connection.
        """
        self._write(
            f"not a whole valid request {status}",
            {
                "method": None,
                "path": None,
                "status": status,
                "bytes": size_bytes,
                "duration_ms": None,
                "client_address": peer_address,
                "request_id": request_id,
            },
        )

    def _write(self, message: str, members: Mapping[str, object]) -> None:
        line = {
            "at": rfc3339(time.time()),
            "level": "info",
            "logger": _LOGGER_NAME,
            "message": message,
            **members,
        }
        self._output.keep(self._line_of(line))
        if not self._will_write:
            self._will_write = True
            self._call_soon(self._write_kept)

    def _write_kept(self) -> None:
        self._will_write = False
        self._output.write_kept()
