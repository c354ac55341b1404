"""`make run-aws`: two services that share their state and keys in AWS, on this machine alone.

moto's server stands in for DynamoDB, Secrets Manager and STS, and Local IVS for Amazon IVS. moto
keeps everything in memory, so each start begins with an empty folder.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import click

from demo.launcher import servers
from demo.launcher.folder import IN_AWS, DemoFolder, clean_environment
from demo.launcher.ports import listen
from demo.launcher.preparing import prepare
from demo.launcher.welcome import export_lines, request_line
from tokensvc.aws import AwsClients
from tokensvc.cli.output import CommandFailed
from tokensvc.clock import Clock, SystemClock
from tokensvc.errors import TokensvcError
from tokensvc.operations import COMMAND_TERMS
from tokensvc.telemetry.logs import PlainLines, configure_logging

_CHECK_INTERVAL_SECONDS = 0.2
_PORTS = {"PORT": 8000, "SECOND_PORT": 8010, "LOCAL_IVS_PORT": 8001, "MOTO_PORT": 8003}
_SERVICES = (
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_ENDPOINT_URL_STS",
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def run_aws() -> None:
    """Start moto's server, Local IVS and two services. Ctrl-C stops all of them.

    Needs no AWS account and no containers. The variables PORT, SECOND_PORT, LOCAL_IVS_PORT and
    MOTO_PORT choose other ports; 0 means any free port.
    """
    configure_logging("WARNING", sys.stderr, PlainLines())
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="tokensvc-aws-") as path, ExitStack() as stack:
            _run(DemoFolder(Path(path), IN_AWS), SystemClock(), stack)
    except KeyboardInterrupt:
        click.echo("\nAll servers have stopped.")
    except TokensvcError as exc:
        raise CommandFailed(exc) from exc


def _run(folder: DemoFolder, clock: Clock, stack: ExitStack) -> None:
    first, second, ivs_listener, moto_listener = (
        stack.enter_context(listen(int(os.environ.get(variable, port)), variable, clock))
        for variable, port in _PORTS.items()
    )
    environment = clean_environment(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    moto = stack.enter_context(servers.moto(folder, moto_listener, environment))
    local_ivs = stack.enter_context(servers.local_ivs(folder, ivs_listener, environment))
    variables = {**folder.variables(local_ivs.url), **dict.fromkeys(_SERVICES, moto.url)}
    os.environ.update(variables)
    local_ivs.wait_until_ready("/healthz", clock)
    moto.wait_until_ready("/moto-api/", clock)
    with closing(AwsClients(COMMAND_TERMS)) as clients:
        api_key = prepare(folder, local_ivs.url, first.getsockname()[1], clients, clock)
    services = [
        stack.enter_context(servers.service(folder, listener, os.environ, name=name))
        for listener, name in ((first, "first-service"), (second, "second-service"))
    ]
    for service in services:
        service.wait_until_ready("/readyz", clock)
    folder.write(folder.environment, export_lines(variables))
    stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
    click.echo(_welcome(folder, [service.url for service in services], api_key))
    while True:
        for server in (moto, local_ivs, *services):
            server.require_alive()
        clock.sleep(_CHECK_INTERVAL_SECONDS)


def _welcome(folder: DemoFolder, service_urls: list[str], api_key: str) -> str:
    requests = "\n\n".join(request_line(url, api_key) for url in service_urls)
    return f"""
Two services share their rings and API keys in DynamoDB and their private keys in Secrets Manager,
both of moto's server. Request a signed playback URL of either:

{requests}

  Rotate for both: . {shlex.quote(str(folder.environment))} && tokensvc keys rotate
  Logs: first-service.log, second-service.log, local-ivs.log and moto.log in {folder.path}

Press Ctrl-C to stop. Everything is deleted then.
"""


if __name__ == "__main__":
    run_aws(prog_name="make run-aws")
