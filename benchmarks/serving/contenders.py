"""The servers that are compared, and how each is started on loopback with the same workers."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving.deployment import Deployment, check
from benchmarks.serving.failure import BenchmarkFailed
from demo.launcher.ports import listen
from demo.launcher.processes import Server, running
from tokensvc.clock import SystemClock

WORKERS = 2
JSONWEBTOKEN = "jsonwebtoken@9.0.3"
OURS = "tokensvc"
OURS_WITHOUT_ACCESS_LOG = "tokensvc, log_level = warning: no access log"
OURS_THROUGH_FLASK = "tokensvc through Flask's view"
PASTED = "pasted Flask signer: PEM and GetChannel per request"
FLASK_PYJWT = "Flask, gunicorn sync, PyJWT with a key object"
NODE = "Node cluster, jsonwebtoken with a key object"
GO = "Go net/http, crypto/ecdsa"
_FOLDER = Path(__file__).parent
_GUNICORN = (sys.executable, "-m", "gunicorn")
_INSTALL_SECONDS = 120.0
_BUILD_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Contender:
    """A server and how it is started.

    Attributes:
        name: its name in the results.
        command: the program, by its absolute path, and its arguments.
        variables: its own environment variables.
        is_audited: whether it logs a line for each granted URL.
    """

    name: str
    command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    is_audited: bool = False

    def running(self, made: Deployment, listener: socket.socket) -> AbstractContextManager[Server]:
        """Run the server on that listener until the block ends."""
        bind = f"--bind fd://{listener.fileno()}"
        return running(
            self.name,
            self.command,
            listener=listener,
            environment={
                **made.variables,
                "BENCH_LISTENER": str(listener.fileno()),
                "BENCH_WORKERS": str(WORKERS),
                "GUNICORN_CMD_ARGS": f"{bind} --workers {WORKERS} --graceful-timeout 2",
                **self.variables,
            },
            log=made.folder.log(re.sub(r"[^a-z0-9]+", "-", self.name.lower())),
        )


@contextmanager
def service_with_one_worker(made: Deployment) -> Iterator[Server]:
    """The service as `tokensvc serve` runs it, with one worker, whose token verifies.

    Raises:
        BenchmarkFailed, TokensvcError: it does not start, or its token is not valid.
    """
    clock = SystemClock()
    listener = listen(0, "PORT", clock)
    arguments = f"--bind fd://{listener.fileno()} --workers 1 --graceful-timeout 2"
    with running(
        OURS,
        (sys.executable, "-m", "tokensvc", "serve"),
        listener=listener,
        environment={**made.variables, "GUNICORN_CMD_ARGS": arguments},
        log=made.folder.log("service"),
    ) as server:
        check(server, made, clock)
        yield server


def python_contenders() -> Sequence[Contender]:
    """The servers that need only the Python environment of the project."""
    serve = (sys.executable, "-m", "tokensvc", "serve")
    warning = {"TOKENSVC_SERVICE__LOG_LEVEL": "warning"}
    # Without --config, gunicorn would read gunicorn.conf.py in the current folder.
    through_flask = (*_GUNICORN, "--config", "python:benchmarks.serving.flask_view_conf")
    sync = (*_GUNICORN, "--config", "python:benchmarks.serving.sync_conf")
    return (
        Contender(OURS, serve, is_audited=True),
        Contender(OURS_WITHOUT_ACCESS_LOG, serve, warning, is_audited=True),
        Contender(OURS_THROUGH_FLASK, through_flask, is_audited=True),
        Contender(PASTED, (*sync, "benchmarks.serving.pasted_signer:app")),
        Contender(FLASK_PYJWT, (*sync, "benchmarks.serving.flask_pyjwt:app")),
    )


def node_contender(folder: Path) -> Contender:
    """Node's cluster, with its package installed in that folder by npm.

    Raises:
        BenchmarkFailed: Node or npm is missing, or npm can't install the package.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise BenchmarkFailed("Node is skipped: node or npm is not installed.")
    folder.mkdir()
    options = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder))
    if _status((npm, "install", *options, JSONWEBTOKEN), _INSTALL_SECONDS) != 0:
        raise BenchmarkFailed(f"Node is skipped: npm can't install {JSONWEBTOKEN}.")
    modules = {"NODE_PATH": str(folder / "node_modules")}
    return Contender(NODE, (node, str(_FOLDER / "node_cluster.js")), modules)


def go_contender(folder: Path) -> Contender:
    """The Go server, built in that folder.

    Raises:
        BenchmarkFailed: Go is missing, or can't build the server.
    """
    go = shutil.which("go")
    if go is None:
        raise BenchmarkFailed("Go is skipped: go is not installed.")
    folder.mkdir()
    program = folder / "go_server"
    command = (go, "build", "-o", str(program), str(_FOLDER / "go_server.go"))
    variables = {"GOCACHE": str(folder / "cache"), "GOPATH": str(folder / "path"), "GOFLAGS": ""}
    if _status(command, _BUILD_SECONDS, variables) != 0:
        raise BenchmarkFailed("Go is skipped: go can't build the server.")
    return Contender(GO, (str(program),), {"GOMAXPROCS": str(WORKERS)})


def _status(
    command: Sequence[str], seconds: float, variables: Mapping[str, str] | None = None
) -> int | None:
    """The exit status of the command, or None if it takes longer."""
    try:
        return subprocess.run(  # noqa: S603 # Programs from PATH with our own arguments, no shell.
            command,
            env={**os.environ, **(variables or {})},
            capture_output=True,
            timeout=seconds,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return None
