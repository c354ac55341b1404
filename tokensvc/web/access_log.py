"""The access log: one line for each request, with the client's address and the request ID."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pydantic_core import to_json

from tokensvc.clock import rfc3339
from tokensvc.telemetry.log_output import LogOutput
from tokensvc.telemetry.logs import redact

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PROBES: Final = frozenset({"/healthz", "/readyz"})
_LOGGER_NAME: Final = "tokensvc.access"
_LONGEST_PATH: Final = 256
_OK: Final = 200


class AccessLog:
    """Writes access lines.

    They contain paths only, because a query string, a referrer or another header may contain a
    token. Probes that succeed are left out, unless all requests are asked for.
    """

    def __init__(
        self,
        output: LogOutput,
        client_address_of: Callable[[WSGIEnvironment], str],
        *,
        with_probes: bool,
    ) -> None:
        self._output = output
        self._client_address_of = client_address_of
        self._with_probes = with_probes

    def write(
        self,
        environ: WSGIEnvironment,
        status: int,
        size_bytes: int,
        request_id: str | None,
        duration_seconds: float,
    ) -> None:
        """Write the line of a request that was answered."""
        path = environ["PATH_INFO"]
        if path in PROBES and status == _OK and not self._with_probes:
            return
        shown = redact(path[:_LONGEST_PATH])
        method = environ["REQUEST_METHOD"]
        members = {
            "at": rfc3339(time.time()),
            "level": "info",
            "logger": _LOGGER_NAME,
            "message": f"{method} {shown} {status}",
            "method": method,
            "path": shown,
            "status": status,
            "bytes": size_bytes,
            "duration_ms": round(duration_seconds * 1_000, 1),
            "client_address": self._client_address_of(environ),
            "request_id": request_id,
        }
        self._output.write(to_json(members) + b"\n")
