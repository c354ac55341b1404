"""How gunicorn serves the service: its configuration file, which `tokensvc serve` names.

gunicorn runs this file again at SIGHUP. It registers it as the module `__config__`.

Only the master reads the settings, at the start and at SIGHUP: a worker that replaces a lost one
has the same settings as the other workers, even if the file has changed since. SIGHUP changes
nothing if a start with the new settings would fail. Each worker creates the application after its
fork, so that no two workers share a thread, a socket or a database. They share the memory of what
the master has loaded.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gunicorn.glogging import Logger

from tokensvc.web import preloading

preloading.import_without_awscrt("tokensvc.web.wsgi", "uvloop", "encodings.idna")

from tokensvc import aws
from tokensvc.errors import TokensvcError
from tokensvc.line_targets import line_target
from tokensvc.settings import load_settings
from tokensvc.telemetry import metric_files
from tokensvc.telemetry.log_lines import json_line, line_of
from tokensvc.telemetry.log_output import LogOutput
from tokensvc.telemetry.logs import JsonLines, TextLines, configure_logging
from tokensvc.telemetry.otel_extra import require_otel
from tokensvc.web import master, wsgi
from tokensvc.web.access_log import AccessLog
from tokensvc.web.cors import Cors
from tokensvc.web.front import ConnectionTerms, Front
from tokensvc.web.tracing import RequestSpans

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokensvc.telemetry.traces import Traces

CHECK = (sys.executable, "-m", "tokensvc", "serve", "--check")
LONGEST_CHECK_SECONDS = 60.0
STOP_MARGIN_SECONDS = 5.0  # What a worker needs to end after its last request.
STANDARD_ERROR = 2
_TEMPORARY = Path(tempfile.gettempdir())
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 # gunicorn creates a private file there.

try:
    _settings = load_settings(None, os.environ)
    if _settings.tracing.endpoint is not None:
        require_otel()
except TokensvcError as exc:
    _problems = (f"  {problem.field}: {problem.message}" for problem in exc.problems)
    sys.exit("\n".join([exc.detail, *_problems, exc.hint]))
_service = _settings.service
_terms = ConnectionTerms(drain_seconds=_service.drain_seconds)

wsgi_app = "__config__:app()"
bind = _service.address
workers = _service.workers

# An event loop reads whole requests, so that a slow client delays only itself.
worker_class = "tokensvc.web.worker.Worker"
asgi_loop = "uvloop"  # With the plain loop, one worker accepts all connections.
worker_connections = 800  # for each worker, so that the usual 1,024 descriptors suffice
keepalive = 75  # seconds; usual balancers keep a connection idle for 60

timeout = 30  # seconds without a heartbeat after which a worker is replaced
# Seconds that a stopping worker gets. Usually it needs only the drain.
graceful_timeout = math.ceil(
    _terms.drain_seconds + _terms.longest_request_seconds + STOP_MARGIN_SECONDS
)
# Heartbeats are written to memory: a slow disk must not look like a dead worker.
worker_tmp_dir = str(MEMORY_FOLDER) if MEMORY_FOLDER.is_dir() else None

limit_request_line = 2_048  # bytes; all our paths are short, and bodies have their own limit
limit_request_fields = 64
limit_request_field_size = 8_190

# The service is not administered through a socket.
control_socket_disable = True

loglevel = _service.log_level
_line_of = line_of(_service.log_format, os.environ, is_terminal=os.isatty(STANDARD_ERROR))
accesslog = None  # `access_log` writes it.
_access_log_levels = {"debug", "info"}


def app() -> Front:
    """The application for the settings that the master has read; called in each worker."""
    preloading.give_awscrt_to_botocore()
    metrics = _metrics()
    traces = _traces()
    output = _configure_logging()
    access_log = AccessLog(
        output,
        _service.trusted_proxies,
        with_probes=_service.log_level == "debug",
        line_of=_line_of,
        call_soon=_call_soon,
    )
    return Front(
        wsgi.Application(_settings, metrics=metrics, traces=traces),
        threads=_service.threads,
        terms=_terms,
        access_log=access_log if _service.log_level in _access_log_levels else None,
        meter=None if metrics is None else metrics.meter,
        cors=Cors(_settings.cors.allowed_origins) if _settings.cors.allowed_origins else None,
        spans=None if traces is None else RequestSpans(traces),
    )


def _call_soon(function: Callable[[], None]) -> None:
    """Let the event loop of this worker call the function, behind the answers of this turn."""
    asyncio.get_running_loop().call_soon(function)


def _metrics() -> wsgi.Metrics | None:
    """The metrics of this worker, if the settings have a port for them."""
    if _settings.metrics.port is None:
        return None
    # In a worker only: it imports prometheus_client, which opens this process's files.
    from tokensvc.web.metrics import WorkerMetrics

    return WorkerMetrics(_settings.metrics)


def _traces() -> Traces | None:
    """The traces of this worker, if the settings have a collector for them."""
    endpoint = _settings.tracing.endpoint
    if endpoint is None:
        return None
    # In a worker only: it needs an extra, and starts a thread.
    from tokensvc.telemetry.traces import Traces

    return Traces(
        endpoint,
        sample_ratio=_settings.tracing.sample_ratio,
        service_name=_settings.tracing.service_name,
    )


def on_starting(server: Any) -> None:
    """Prepare the master, before it starts workers."""
    master.on_starting(server)
    region = _settings.ivs.regions[0]
    aws.load_descriptions(region)
    if _settings.state.url.startswith("dynamodb:"):
        aws.load_descriptions(region, "dynamodb")


def on_reload(server: Any) -> None:
    """Prepare the master to replace all workers."""
    master.on_reload(server)
    _configure_logging()


def _configure_logging() -> LogOutput:
    """Log gunicorn's lines like all others: redacted, as JSON or text, on standard error.

    The output belongs to this process: a worker must not write what its master has kept.
    """
    output = LogOutput(line_target(STANDARD_ERROR), line_of=_line_of)
    formatter = JsonLines() if _line_of is json_line else TextLines(_line_of)
    configure_logging(_service.log_level.upper(), output, formatter)
    logger = logging.getLogger("gunicorn.error")
    logger.handlers.clear()
    logger.propagate = True
    return output


class logger_class(Logger):  # type: ignore[misc] # noqa: N801 # gunicorn ships no types; the setting's name.
    """gunicorn's logger, whose lines are like all others from the first one on."""

    def setup(self, cfg: Any) -> None:
        """Configure it for these settings of gunicorn."""
        super().setup(cfg)
        _configure_logging()


def pre_fork(server: Any, worker: Any) -> None:
    """Prepare a worker, before its fork."""
    master.pre_fork(server, worker)
    if _settings.metrics.port is not None and metric_files.FOLDER_VARIABLE not in os.environ:
        folder = metric_files.create_folder(MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else _TEMPORARY)
        os.environ[metric_files.FOLDER_VARIABLE] = str(folder)
    preloading.freeze()


def on_exit(_server: Any) -> None:
    """Remove what the master has made."""
    folder = os.environ.get(metric_files.FOLDER_VARIABLE)
    if folder is not None:
        metric_files.remove_folder(Path(folder))


def when_ready(server: Any) -> None:
    """Check the settings before each reload: gunicorn stops when a reload fails."""
    reload = server.handle_hup

    def reload_if_valid() -> None:
        if failures := _failed_checks():
            server.log.error(
                "The settings were not reloaded, and the service continues with the previous"
                " settings: %s",
                failures,
            )
        else:
            reload()

    server.handle_hup = reload_if_valid


def _failed_checks() -> str:
    """The output of the check if it fails, else ""."""
    try:
        # A separate process, because the check opens the state.
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
        return f"`tokensvc serve --check` did not finish ({type(exc).__name__})."
    return check.stdout.strip() if check.returncode else ""
