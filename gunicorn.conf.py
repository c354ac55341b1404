"""How gunicorn serves the service: `tokensvc serve`, or `gunicorn` in this folder.

Each worker makes the application after its fork, so that SIGHUP reads the settings anew without a
request lost, and no worker shares a thread, a socket or a database with another.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from tokensvc.errors import TokensvcError
from tokensvc.settings import load_settings
from tokensvc.telemetry.logs import configure_logging

WORKER_BOOT_ERROR = 3  # gunicorn ends, rather than trying for ever, when a worker ends with this.
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 # gunicorn makes a private file there.

try:
    _settings = load_settings(None, os.environ)
except TokensvcError as exc:
    _problems = (f"  {problem.field}: {problem.message}" for problem in exc.problems)
    sys.exit("\n".join([exc.detail, *_problems, exc.way_out]))
_service = _settings.service

wsgi_app = "wsgi:app()"
pythonpath = str(Path(__file__).parent)
bind = f"{_service.host}:{_service.port}"
workers = _service.workers

# Threads, so that a slow client or a slow look-up in IVS holds up one request and not a worker.
worker_class = "gthread"
threads = _service.threads
# Each answer closes its connection: otherwise one worker may get all of a backend's connections
# while another idles, and a proxy may use one at the moment at which it is being closed.
keepalive = 0

timeout = 30  # seconds without a sign of life until a worker is replaced
graceful_timeout = 15  # seconds for the requests under way when a worker is to end
# The workers' signs of life are written to memory: a slow disk must not look like a dead worker.
worker_tmp_dir = str(MEMORY_FOLDER) if MEMORY_FOLDER.is_dir() else None

limit_request_line = 2_048  # bytes; no path of ours is long, and bodies have their own limit
limit_request_fields = 64
limit_request_field_size = 8_190

# Nobody administers the service through a socket.
control_socket_disable = True

# Paths only: a query string, a referrer or a header may carry a token.
accesslog = "-" if _service.log_level in {"debug", "info"} else None
access_log_format = "%(m)s %(U)s %(s)s %(B)s bytes %(M)s ms"
loglevel = _service.log_level


def on_starting(server: Any) -> None:  # noqa: ARG001 # gunicorn calls it by position.
    """Let gunicorn's lines go the way of all the others: JSON on standard error, redacted."""
    configure_logging(_service.log_level.upper(), sys.stderr, json=True)
    for name in ("gunicorn.error", "gunicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


on_reload = on_starting


def post_worker_init(worker: Any) -> None:
    """Start the service in the worker."""
    try:
        worker.wsgi.extensions["tokensvc"].start()
    except TokensvcError as exc:
        worker.log.critical("The service can't start: %s", exc)
        sys.exit(WORKER_BOOT_ERROR)


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 # gunicorn calls it by position.
    """Stop what the worker follows; a worker that failed to boot has nothing to stop."""
    application = getattr(worker, "wsgi", None)
    if application is not None:
        application.extensions["tokensvc"].close()
