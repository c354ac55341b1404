"""A gunicorn configuration and a small application for the tests of the worker.

The environment variable TERMS holds the `ConnectionTerms` as JSON. While the file in FAULT exists,
a worker can't start: its text says where that fails. PIPE is a named pipe.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tokensvc.errors import SettingsInvalid, StateUnavailable
from tokensvc.line_targets import line_target
from tokensvc.telemetry.log_output import LogOutput
from tokensvc.waiting import may_wait
from tokensvc.web import master
from tokensvc.web.access_log import AccessLog
from tokensvc.web.front import ConnectionTerms, Front
from tokensvc.web.http1 import DRAINING
from tokensvc.web.worker import Worker

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LARGE_BYTES = 8 * 1024 * 1024

bind = f"127.0.0.1:{os.environ.get('PORT', '0')}"
workers = int(os.environ.get("WORKERS", "1"))
asgi_loop = "uvloop"
wsgi_app = "__config__:app()"
control_socket_disable = True
on_starting = master.on_starting
on_reload = master.on_reload
pre_fork = master.pre_fork
keepalive = 2
graceful_timeout = 20
limit_request_line = 200
limit_request_fields = 10
worker_connections = int(os.environ.get("CONNECTIONS", "200"))


class worker_class(Worker):  # noqa: N801 # The name that gunicorn reads.
    """The worker, with a shorter pause between two attempts to start."""

    boot_retry_seconds = 0.5


class Application:
    """Answers with the size of the body; some paths wait, or answer with something else."""

    def start(self) -> None:
        """Fail if the test says so."""
        match _fault():
            case "state":
                raise StateUnavailable("The state can't be read.")
            case "bug":
                raise ZeroDivisionError

    def close(self) -> None:
        """Nothing was started."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        body = b""
        if environ["PATH_INFO"] == "/large":
            body = b"x" * LARGE_BYTES
        elif environ["PATH_INFO"] == "/script-name":
            body = json.dumps(environ["SCRIPT_NAME"]).encode()
        elif environ["PATH_INFO"] == "/wait":
            may_wait()
            time.sleep(float(environ["QUERY_STRING"]))
            body = b"waited"
        elif environ["PATH_INFO"] == "/block":
            time.sleep(float(environ["QUERY_STRING"]))
        elif environ["PATH_INFO"] == "/block-until-closed":
            Path(os.environ["PIPE"]).read_bytes()  # The test opens and closes it.
        elif environ["PATH_INFO"] == "/bug":
            raise ZeroDivisionError
        elif environ["PATH_INFO"] == "/split":
            start_response("200 OK", [("X-Name", "a\r\nSet-Cookie: b=c"), ("Content-Length", "0")])
            return [b""]
        elif environ["PATH_INFO"] == "/process":
            body = f"{os.getpid()} {environ[DRAINING]}".encode()
        else:
            body = str(len(environ["wsgi.input"].read())).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


def app() -> Front:
    """The application behind the front, with the terms of the test."""
    if _fault() == "settings":
        raise SettingsInvalid("A setting is not valid.")
    return Front(
        Application(),
        threads=1,
        terms=ConnectionTerms(**json.loads(os.environ["TERMS"])),
        access_log=AccessLog(LogOutput(line_target(sys.stdout.fileno())), [], with_probes=False),
    )


def _fault() -> str:
    file = Path(os.environ.get("FAULT", "/nonexistent"))
    return file.read_text() if file.exists() else ""
