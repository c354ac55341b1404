"""`tokensvc serve` and `tokensvc local-ivs`: check the start, then run gunicorn."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import click
from local_ivs.config import LocalIvsConfig
from local_ivs.database import Database
from local_ivs.errors import LocalIvsError

from tokensvc import web
from tokensvc.cli.invocation import Invocation, pass_invocation
from tokensvc.cli.listening import HOST, listen
from tokensvc.cli.serve_check import run_checks
from tokensvc.errors import TokensvcError
from tokensvc.settings import config_file
from tokensvc.settings.loading import CONFIG_VARIABLE


class LocalIvsUnusable(TokensvcError):
    """Raised when Local IVS can't start; the detail has the reason."""

    code = "local_ivs_unusable"
    title = "Local IVS can't start"


@click.command()
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Check everything that a start needs, print one line for each check, and exit.",
)
@pass_invocation
def serve(invocation: Invocation, *, only_check: bool) -> None:
    """Start the service under gunicorn, on the host and port of the settings.

    SIGHUP reloads the settings. If they pass --check, new workers take over. Otherwise the service
    continues with the old settings and logs the reason. SIGTERM stops the service gracefully.

    --check tests the settings, the state, the custody and, for each region, the active key pair and
    the AWS credentials. It makes no call to AWS. The exit status is 1 if a check fails.
    """
    # Loaded before gunicorn starts, so that a mistake is reported once, without a traceback.
    _ = invocation.settings
    arguments = service_arguments()
    if only_check:
        run_checks(invocation)
        return
    path = config_file(invocation.config, invocation.environment)
    named = {} if path is None else {CONFIG_VARIABLE: str(path)}
    _exec_gunicorn(arguments, {**invocation.environment, **named})


@click.command(name="local-ivs")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("local-ivs"),
    show_default=True,
    help="Folder for its state. It is created if it does not exist.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=8001,
    show_default=True,
    help="Port on 127.0.0.1.",
)
@click.option(
    "--throttle/--no-throttle",
    default=True,
    show_default=True,
    help="Enforce the request rates that IVS documents.",
)
@pass_invocation
def local_ivs(invocation: Invocation, data: Path, port: int, *, throttle: bool) -> None:
    """Start only Local IVS, an Amazon IVS on 127.0.0.1 for development and tests.

    To use it from an AWS SDK, set AWS_ENDPOINT_URL_IVS=http://127.0.0.1:PORT and any credentials.
    """
    environment = local_ivs_environment(invocation.environment, data, throttle=throttle)
    with listen(port, "tokensvc local-ivs --port {}", invocation.clock) as listener:
        _require_local_ivs(environment)
        click.echo(f"Local IVS: AWS_ENDPOINT_URL_IVS=http://{HOST}:{port}", err=True)
        listener.set_inheritable(True)
        _exec_gunicorn(("--bind", f"fd://{listener.fileno()}", *local_ivs_arguments()), environment)


def service_arguments() -> Sequence[str]:
    """The gunicorn arguments of the service."""
    # A path, not a module: gunicorn runs a file again when it reloads.
    return ("--config", str(Path(web.__file__).with_name("gunicorn_conf.py")))


def local_ivs_arguments() -> Sequence[str]:
    """The gunicorn arguments of Local IVS, without its address."""
    # Without --config, gunicorn would read the service's gunicorn.conf.py in this folder.
    return ("--config", "python:tokensvc.cli.local_ivs_gunicorn")


def local_ivs_environment(
    environment: Mapping[str, str], data: Path, *, throttle: bool
) -> Mapping[str, str]:
    """The environment variables of a Local IVS with its state in that folder."""
    return {
        **environment,
        "LOCAL_IVS_DATA": str(data.absolute()),
        "LOCAL_IVS_THROTTLE": "on" if throttle else "off",
    }


def _require_local_ivs(environment: Mapping[str, str]) -> None:
    # Local IVS itself would report the error only in its answers and in gunicorn's log.
    try:
        database = Database(LocalIvsConfig.from_environment(environment).state_file)
        with closing(database), database.reading():
            pass
    except LocalIvsError as exc:
        raise LocalIvsUnusable(str(exc)) from exc


def _exec_gunicorn(arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by gunicorn, so that signals and the exit status are gunicorn's."""
    command = (sys.executable, "-m", "gunicorn", *arguments)
    os.execve(sys.executable, command, dict(environment))  # noqa: S606 # Our own interpreter, no shell.
