"""The command `tokensvc demo`, which `make run` runs."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import click

from tokensvc.cli.demo.folder import CHANNEL, DemoFolder, without_aws_and_settings
from tokensvc.cli.demo.preparing import prepare
from tokensvc.cli.demo.processes import Server, running
from tokensvc.cli.invocation import Invocation, pass_invocation
from tokensvc.cli.listening import listen
from tokensvc.cli.serve import local_ivs_arguments, local_ivs_environment, service_arguments
from tokensvc.clock import Clock
from tokensvc.operations import build_command_clients

_CHECK_INTERVAL_SECONDS = 0.2
_PORT = click.IntRange(0, 65_535)


@click.command()
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
@pass_invocation
def demo(invocation: Invocation, folder: Path, port: int, local_ivs_port: int) -> None:
    """Start Local IVS and the service with a private channel to watch. Ctrl-C stops both.

    Needs no AWS account. The folder keeps the channel, the keys and the API key, and the next start
    uses them again.
    """
    # On SIGTERM, and when the terminal closes, stop the servers as Ctrl-C does.
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            _run(DemoFolder(folder.absolute()), (port, local_ivs_port), invocation.clock, stack)
    except KeyboardInterrupt:
        click.echo("\nThe demo has stopped.")


def _run(folder: DemoFolder, ports: tuple[int, int], clock: Clock, stack: ExitStack) -> None:
    stack.enter_context(folder.locked())
    port, local_ivs_port = ports
    local_ivs_listener = stack.enter_context(
        listen(local_ivs_port, "LOCAL_IVS_PORT={} make run", clock)
    )
    service_listener = stack.enter_context(listen(port, "PORT={} make run", clock))
    # From here on, this process also uses the demo's Local IVS only, and never AWS.
    environment = without_aws_and_settings(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    local_ivs = stack.enter_context(
        running(
            "Local IVS",
            local_ivs_arguments(),
            listener=local_ivs_listener,
            environment=local_ivs_environment(environment, folder.local_ivs, throttle=False),
            log=folder.log("local-ivs"),
        )
    )
    os.environ.update(folder.variables(local_ivs.url))
    local_ivs.wait_until_ready("/healthz", clock)
    service_port = service_listener.getsockname()[1]
    with closing(build_command_clients()) as clients:
        api_key = prepare(folder, local_ivs.url, service_port, clients, clock)
    service = stack.enter_context(
        running(
            "The service",
            service_arguments(),
            listener=service_listener,
            environment=os.environ,
            log=folder.log("service"),
        )
    )
    service.wait_until_ready("/readyz", clock)
    folder.write(folder.environment, _export_lines(folder, local_ivs))
    # Ignore Ctrl-C while the servers stop: a second one would leave a server running.
    stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
    click.echo(_welcome(folder, service, api_key))
    while True:
        for server in (local_ivs, service):
            server.require_alive()
        clock.sleep(_CHECK_INTERVAL_SECONDS)


def _export_lines(folder: DemoFolder, local_ivs: Server) -> str:
    bin_folder = shlex.quote(str(Path(sys.executable).parent))
    variables = folder.variables(local_ivs.url).items()
    lines = [f"export PATH={bin_folder}:$PATH"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables]
    return "".join(f"{line}\n" for line in lines)


def _welcome(folder: DemoFolder, service: Server, api_key: str) -> str:
    curl = shlex.join(
        [
            *("curl", "-sS", f"{service.url}/v1/playback-urls"),
            *("-H", f"Authorization: Bearer {api_key}"),
            *("-H", "Content-Type: application/json"),
            *("-d", f'{{"channel": "{CHANNEL}"}}'),
        ]
    )
    return f"""
A private channel is live. It plays only with a signed playback URL.

  Watch it:            {service.url}/demo

  Request a signed playback URL:

{curl}

  Manage its keys:     . {shlex.quote(str(folder.environment))} && tokensvc keys list
  Logs:                {folder.log("service")} and {folder.log("local-ivs")}

Press Ctrl-C to stop. The next start uses the same channel and keys, from {folder.path}.
"""
