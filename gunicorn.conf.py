"""How gunicorn serves the service: `tokensvc serve`, or `gunicorn` in this folder.

Settings are read at the start and at SIGHUP, by the master alone: a worker that takes a lost one's
place has the same as its siblings, whatever the file says by then. SIGHUP changes nothing unless a
start would succeed. Each worker makes the application after its fork, so that no request is lost,
and no worker shares a thread, a socket or a database with another.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from flask import Flask

from tokensvc.errors import TokensvcError
from tokensvc.settings import load_settings
from tokensvc.telemetry.logs import configure_logging

CHECK = (sys.executable, "-m", "tokensvc", "serve", "--check")
LONGEST_CHECK_SECONDS = 60.0
WORKER_BOOT_ERROR = 3  # gunicorn ends, rather than trying for ever, when a worker ends with this.
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 # gunicorn makes a private file there.

try:
    _settings = load_settings(None, os.environ)
except TokensvcError as exc:
    _problems = (f"  {problem.field}: {problem.message}" for problem in exc.problems)
    sys.exit("\n".join([exc.detail, *_problems, exc.hint]))
_service = _settings.service

wsgi_app = f"{__name__}:app()"
pythonpath = str(Path(__file__).parent)
bind = _service.address
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


def app() -> Flask:
    """The application of the settings that the master has read, made in each worker."""
    import wsgi  # Importable once gunicorn has set `pythonpath`.

    return wsgi.app(_settings)


def on_starting(server: Any) -> None:  # noqa: ARG001 # gunicorn calls it by position.
    """Let gunicorn's lines go the way of all the others: JSON on standard error, redacted."""
    configure_logging(_service.log_level.upper(), sys.stderr, json=True)
    for name in ("gunicorn.error", "gunicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


on_reload = on_starting


def when_ready(server: Any) -> None:
    """Look before each reload: gunicorn has no way back from one that fails, and would end."""
    reload = server.handle_hup

    def reload_if_it_will_do() -> None:
        if wrong := _what_would_fail():
            server.log.error(
                "The settings are not read again, and all goes on as before: %s", wrong
            )
        else:
            reload()

    server.handle_hup = reload_if_it_will_do


def _what_would_fail() -> str:
    """What the check finds to be wrong, in a process of its own: it opens the state."""
    try:
        check = subprocess.run(  # noqa: S603 # Our own interpreter and command.
            CHECK,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST_CHECK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return f"they could not be checked ({type(exc).__name__})."
    return check.stdout.strip() if check.returncode else ""


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
