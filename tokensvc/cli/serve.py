"""`tokensvc serve` and `tokensvc local-ivs`: each becomes a gunicorn."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import click

import tokensvc
from tokensvc.cli.invocation import Invocation, pass_invocation
from tokensvc.cli.listening import HOST, listen
from tokensvc.cli.serve_check import check
from tokensvc.errors import SettingsInvalid, TokensvcError
from tokensvc.localivs.config import LocalIvsConfig
from tokensvc.localivs.database import Database
from tokensvc.localivs.errors import LocalIvsError
from tokensvc.settings import config_file
from tokensvc.settings.loading import CONFIG_VARIABLE


class LocalIvsUnusable(TokensvcError):
    """Raised when Local IVS can't start with its folder and variables; the detail tells why."""

    code = "local_ivs_unusable"
    title = "Local IVS can't start"


@click.command()
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Look at all that a start needs, print a line for each, and do not serve.",
)
@pass_invocation
def serve(invocation: Invocation, *, only_check: bool) -> None:
    """Start the service under gunicorn, at the settings' host and port.

    SIGHUP reads the settings again: new workers take over when they pass --check, and otherwise
    the service goes on as it is and logs why. SIGTERM ends it gracefully.

    The check looks at the settings, the state, the custody, and in each region at the active key
    pair and at AWS credentials, without a call to AWS. The exit status is 1 when one won't do.
    """
    # Looked at before gunicorn starts, so that mistakes are told once and in plain words.
    _ = invocation.settings
    arguments = service_arguments()
    if only_check:
        check(invocation)
        return
    path = config_file(invocation.config, invocation.environment)
    named = {} if path is None else {CONFIG_VARIABLE: str(path)}
    _become(arguments, {**invocation.environment, **named})


@click.command(name="local-ivs")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("local-ivs"),
    show_default=True,
    help="The folder that keeps its state; made when it is not there.",
)
@click.option("--port", type=click.IntRange(1, 65_535), default=8001, show_default=True)
@click.option(
    "--throttle/--no-throttle",
    default=True,
    show_default=True,
    help="Whether it holds the documented rates of IVS.",
)
@pass_invocation
def local_ivs(invocation: Invocation, data: Path, port: int, *, throttle: bool) -> None:
    """Start Local IVS alone: Amazon IVS on 127.0.0.1, for development and tests.

    Any AWS SDK uses it with AWS_ENDPOINT_URL_IVS=http://127.0.0.1:PORT and any credentials.
    """
    environment = local_ivs_environment(invocation.environment, data, throttle=throttle)
    with listen(port, "tokensvc local-ivs --port {}", invocation.clock) as listener:
        _require_local_ivs(environment)
        click.echo(f"Local IVS: AWS_ENDPOINT_URL_IVS=http://{HOST}:{port}", err=True)
        listener.set_inheritable(True)
        _become(("--bind", f"fd://{listener.fileno()}", *local_ivs_arguments()), environment)


def service_arguments() -> Sequence[str]:
    """The arguments of the gunicorn that serves the service.

    Raises:
        SettingsInvalid: when the program was installed without its gunicorn.conf.py.
    """
    home = Path(tokensvc.__file__).parents[1]
    config = home / "gunicorn.conf.py"
    if not config.exists():
        raise SettingsInvalid(
            f"There is no gunicorn.conf.py in {home}.",
            hint="Run from the project's folder, or from its container image.",
        )
    return ("--config", str(config), "--chdir", str(home))


def local_ivs_arguments() -> Sequence[str]:
    """The arguments of the gunicorn that serves Local IVS, but for where it listens."""
    # Named, as gunicorn would otherwise take the service's gunicorn.conf.py in this folder.
    return ("--config", "python:tokensvc.cli.local_ivs_gunicorn")


def local_ivs_environment(
    environment: Mapping[str, str], data: Path, *, throttle: bool
) -> Mapping[str, str]:
    """The environment of Local IVS with its state in that folder."""
    return {
        **environment,
        "LOCAL_IVS_DATA": str(data.absolute()),
        "LOCAL_IVS_THROTTLE": "on" if throttle else "off",
    }


def _require_local_ivs(environment: Mapping[str, str]) -> None:
    # Local IVS itself would only tell whoever calls it, and in gunicorn's log.
    try:
        database = Database(LocalIvsConfig.from_environment(environment).state_file)
        with closing(database), database.reading():
            pass
    except LocalIvsError as exc:
        raise LocalIvsUnusable(str(exc)) from exc


def _become(arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Go on as gunicorn, in this very process: signals and exit status are its own."""
    command = (sys.executable, "-m", "gunicorn", *arguments)
    os.execve(sys.executable, command, dict(environment))  # noqa: S606 # Our own interpreter, no shell.
