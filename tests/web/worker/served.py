"""A gunicorn configuration and a small application for the tests of the worker.

The environment variable TERMS holds the `ConnectionTerms` as JSON.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tokensvc.errors import StateUnavailable
from tokensvc.waiting import may_wait
from tokensvc.web.front import OVERLOADED, ConnectionTerms, Front

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LARGE_BYTES = 8 * 1024 * 1024

bind = "127.0.0.1:0"
workers = 1
worker_class = "tokensvc.web.worker.Worker"
asgi_loop = "uvloop"
wsgi_app = "__config__:app()"
control_socket_disable = True
keepalive = 1
graceful_timeout = 5
limit_request_line = 200
limit_request_fields = 10
worker_connections = int(os.environ.get("CONNECTIONS", "200"))


class Application:
    """Answers with the size of the body; some paths wait, or answer with much."""

    def start(self) -> None:
        """Fail if the environment says so."""
        if "FAIL" in os.environ:
            raise StateUnavailable("The state can't be read.")

    def close(self) -> None:
        """Nothing was started."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        status, body = "200 OK", b""
        if OVERLOADED in environ:
            status = "503 Service Unavailable"
        elif environ["PATH_INFO"] == "/large":
            body = b"x" * LARGE_BYTES
        elif environ["PATH_INFO"] == "/wait":
            may_wait()
            time.sleep(float(environ["QUERY_STRING"]))
            body = b"waited"
        else:
            body = str(len(environ["wsgi.input"].read())).encode()
        start_response(status, [("Content-Length", str(len(body)))])
        return [body]


def app() -> Front:
    """The application behind the front, with the terms of the test."""
    return Front(Application(), threads=1, terms=ConnectionTerms(**json.loads(os.environ["TERMS"])))
