"""The command `python -m demo`, which `make run` runs."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import click

from demo.launcher import servers
from demo.launcher.folder import DemoFolder, Users, clean_environment
from demo.launcher.ports import HOST, listen
from demo.launcher.preparing import prepare
from demo.launcher.welcome import export_lines, welcome
from tokensvc.aws import AwsClients
from tokensvc.cli.output import CommandFailed
from tokensvc.clock import Clock, SystemClock
from tokensvc.errors import TokensvcError
from tokensvc.operations import COMMAND_TERMS
from tokensvc.telemetry.logs import PlainLines, configure_logging

_CHECK_INTERVAL_SECONDS = 0.2
_PORT = click.IntRange(0, 65_535)


@dataclass(frozen=True, slots=True)
class Ports:
    """The port of each server on loopback. 0 means any free port."""

    service: int
    local_ivs: int
    backend: int
    issuer: int


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".demo"),
    show_default=True,
    help="Folder for the demo's settings, keys and state.",
)
@click.option(
    "--port",
    type=_PORT,
    envvar="PORT",
    default=8000,
    show_default=True,
    help="Port of the service. Also set by the variable PORT.",
)
@click.option(
    "--local-ivs-port",
    type=_PORT,
    envvar="LOCAL_IVS_PORT",
    default=8001,
    show_default=True,
    help="Port of Local IVS. Also set by the variable LOCAL_IVS_PORT.",
)
@click.option(
    "--demo-port",
    type=_PORT,
    envvar="DEMO_PORT",
    default=8002,
    show_default=True,
    help="Port of the example application. Also set by the variable DEMO_PORT.",
)
@click.option(
    "--issuer-port",
    type=_PORT,
    envvar="ISSUER_PORT",
    default=8003,
    show_default=True,
    help="Port of the identity provider for viewers. Also set by the variable ISSUER_PORT.",
)
def demo(folder: Path, port: int, local_ivs_port: int, demo_port: int, issuer_port: int) -> None:
    """Start Local IVS, the service and the example application. Ctrl-C stops them all.

    Needs no AWS account. The folder keeps the channel, the keys and the API key, and the next start
    uses them again.
    """
    configure_logging("WARNING", sys.stderr, PlainLines())
    # On SIGTERM, and when the terminal closes, stop the servers as Ctrl-C does.
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.default_int_handler)
    ports = Ports(port, local_ivs_port, demo_port, issuer_port)
    try:
        with ExitStack() as stack:
            _run(DemoFolder(folder.absolute()), ports, SystemClock(), stack)
    except KeyboardInterrupt:
        _report_stop()
    except TokensvcError as exc:
        raise CommandFailed(exc) from exc


def _report_stop() -> None:
    try:
        click.echo("\nThe demo has stopped.")
    except OSError:
        # The terminal was closed. Otherwise Python would fail at exit, when it flushes the text.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(folder: DemoFolder, ports: Ports, clock: Clock, stack: ExitStack) -> None:
    stack.enter_context(folder.locked())
    # All ports are bound before anything starts, so that a port in use is reported at once.
    local_ivs_listener, service_listener, backend_listener, issuer_listener = (
        stack.enter_context(listen(port, variable, clock))
        for port, variable in (
            (ports.local_ivs, "LOCAL_IVS_PORT"),
            (ports.service, "PORT"),
            (ports.backend, "DEMO_PORT"),
            (ports.issuer, "ISSUER_PORT"),
        )
    )
    # From here on, this process also uses the demo's Local IVS only, and never AWS.
    environment = clean_environment(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    local_ivs = stack.enter_context(servers.local_ivs(folder, local_ivs_listener, environment))
    os.environ.update(folder.variables(local_ivs.url))
    page_origin = f"http://{HOST}:{backend_listener.getsockname()[1]}"
    issuer = stack.enter_context(servers.issuer(folder, issuer_listener, environment))
    local_ivs.wait_until_ready("/healthz", clock)
    service_port = service_listener.getsockname()[1]
    with closing(AwsClients(COMMAND_TERMS)) as clients:
        users = Users(issuer.url, page_origin)
        api_key = prepare(folder, local_ivs.url, service_port, clients, clock, users)
    service = stack.enter_context(servers.service(folder, service_listener, os.environ))
    # The backend gets the API key and no AWS credentials, like that of any other application.
    variables = folder.backend_variables(
        service_url=service.url, local_ivs_url=local_ivs.url, issuer_url=issuer.url
    )
    backend = stack.enter_context(
        servers.backend(folder, backend_listener, {**environment, **variables})
    )
    end_due = stack.enter_context(servers.end_due(folder, os.environ))
    issuer.wait_until_ready("/.well-known/openid-configuration", clock)
    service.wait_until_ready("/readyz", clock)
    backend.wait_until_ready("/", clock)
    folder.write(folder.environment, export_lines(folder.variables(local_ivs.url)))
    # Ignore Ctrl-C while the servers stop: a second one would leave a server running.
    stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
    click.echo(welcome(folder, service_url=service.url, page_url=f"{backend.url}/", key=api_key))
    while True:
        for server in (local_ivs, issuer, service, backend, end_due):
            server.require_alive()
        clock.sleep(_CHECK_INTERVAL_SECONDS)
