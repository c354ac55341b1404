"""The processes of the demo: how each is started, servers on a port that is already bound."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager

from demo.launcher.folder import DemoFolder
from demo.launcher.processes import Server, running

_GUNICORN = (sys.executable, "-m", "gunicorn")


def local_ivs(
    folder: DemoFolder, listener: socket.socket, environment: Mapping[str, str]
) -> AbstractContextManager[Server]:
    """Run Local IVS, with its data in the folder and without request rates."""
    options = ("--listen-fd", str(listener.fileno()), "--data", str(folder.local_ivs))
    return running(
        "Local IVS",
        (sys.executable, "-m", "local_ivs", *options, "--no-throttle"),
        listener=listener,
        environment=environment,
        log=folder.log("local-ivs"),
    )


def moto(
    folder: DemoFolder, listener: socket.socket, environment: Mapping[str, str]
) -> AbstractContextManager[Server]:
    """Run moto's server, whose data is in its memory."""
    program = ("-m", "demo.launcher.moto_server", str(listener.fileno()))
    return running(
        "moto",
        (sys.executable, *program),
        listener=listener,
        environment=environment,
        log=folder.log("moto"),
    )


def issuer(
    folder: DemoFolder, listener: socket.socket, environment: Mapping[str, str]
) -> AbstractContextManager[Server]:
    """Run the identity provider, which forgets everything when it ends."""
    program = ("-m", "demo.launcher.issuer", str(listener.fileno()))
    return running(
        "The identity provider",
        (sys.executable, *program),
        listener=listener,
        # Its OAuth library refuses http:// otherwise.
        environment={**environment, "AUTHLIB_INSECURE_TRANSPORT": "1"},
        log=folder.log("issuer"),
    )


def end_due(folder: DemoFolder, environment: Mapping[str, str]) -> AbstractContextManager[Server]:
    """Run what ends sessions that are due; it has no port."""
    return running(
        "tokensvc viewers end-due",
        (sys.executable, "-m", "tokensvc", "viewers", "end-due", "--watch"),
        environment=environment,
        log=folder.log("end-due"),
    )


def service(
    folder: DemoFolder,
    listener: socket.socket,
    environment: Mapping[str, str],
    *,
    name: str = "service",
) -> AbstractContextManager[Server]:
    """Run the service as `tokensvc serve` does; `name` is that of its log."""
    bind = f"--bind fd://{listener.fileno()} --graceful-timeout 2"
    return running(
        "The service",
        (sys.executable, "-m", "tokensvc", "serve"),
        listener=listener,
        environment={**environment, "GUNICORN_CMD_ARGS": bind},
        log=folder.log(name),
    )


def backend(
    folder: DemoFolder, listener: socket.socket, environment: Mapping[str, str]
) -> AbstractContextManager[Server]:
    """Run the example backend."""
    bind = ("--bind", f"fd://{listener.fileno()}")
    return running(
        "The example backend",
        (*_GUNICORN, "--config", "python:demo.gunicorn_conf", *bind),
        listener=listener,
        environment=environment,
        log=folder.log("backend"),
    )
