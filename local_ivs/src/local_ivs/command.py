"""The command `local-ivs`: check the start, then become gunicorn."""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from local_ivs.config import LocalIvsConfig
from local_ivs.database import Database
from local_ivs.errors import LocalIvsError
from local_ivs.listening import MAX_PORT, WaitingClock, inherited, listen

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

DEFAULT_DATA = "local-ivs"
DEFAULT_PORT = 8001


@click.command(name="local-ivs")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for its state. It is created if it does not exist. Also set by the variable"
    f" LOCAL_IVS_DATA. Default: {DEFAULT_DATA}.",
)
@click.option(
    "--port",
    type=click.IntRange(1, MAX_PORT),
    help=f"Port on 127.0.0.1. Default: {DEFAULT_PORT}.",
)
@click.option(
    "--throttle/--no-throttle",
    default=None,
    help="Enforce the request rates that IVS documents. Also set by the variable"
    " LOCAL_IVS_THROTTLE. Default: on.",
)
@click.option(
    "--effect-delay-seconds",
    type=click.FloatRange(0, 3600),
    help="Time until the import or delete of a key pair takes effect at the playback edge. Also set"
    " by the variable LOCAL_IVS_EFFECT_DELAY_SECONDS. Default: 0.",
)
@click.option(
    "--listen-fd",
    type=click.IntRange(0),
    help="File descriptor of a TCP socket that the calling program has bound to a port of"
    " 127.0.0.1. It replaces --port.",
)
@click.version_option(package_name="local-ivs")
@click.pass_obj
def local_ivs(
    clock: WaitingClock,
    *,
    data: Path | None,
    port: int | None,
    throttle: bool | None,
    effect_delay_seconds: float | None,
    listen_fd: int | None,
) -> None:
    """Start Local IVS, an Amazon IVS on 127.0.0.1 for development and tests.

    To use it from an AWS SDK, set AWS_ENDPOINT_URL_IVS=http://127.0.0.1:PORT and any credentials.
    An option takes precedence over its variable. SIGTERM and Ctrl-C stop it gracefully.
    """
    if port is not None and listen_fd is not None:
        raise click.UsageError("Use --port or --listen-fd, not both.")
    environment = _environment(data, effect_delay_seconds, throttle=throttle)
    try:
        listener = _listener(port or DEFAULT_PORT, listen_fd, clock)
        with listener:
            _require_usable(environment)
            host, port = listener.getsockname()
            click.echo(f"Local IVS: AWS_ENDPOINT_URL_IVS=http://{host}:{port}", err=True)
            _exec_gunicorn(listener, environment)
    except LocalIvsError as error:
        raise click.ClickException(str(error)) from error


def main() -> None:
    """Run the command with the arguments of this process."""
    local_ivs(obj=time, prog_name="local-ivs")


def _environment(
    data: Path | None, effect_delay_seconds: float | None, *, throttle: bool | None
) -> Mapping[str, str]:
    """This process's variables, with the options that were given."""
    environment = {"LOCAL_IVS_DATA": DEFAULT_DATA, **os.environ}
    if data is not None:
        environment["LOCAL_IVS_DATA"] = str(data)
    if throttle is not None:
        environment["LOCAL_IVS_THROTTLE"] = "on" if throttle else "off"
    if effect_delay_seconds is not None:
        environment["LOCAL_IVS_EFFECT_DELAY_SECONDS"] = str(effect_delay_seconds)
    return environment


def _listener(port: int, descriptor: int | None, clock: WaitingClock) -> socket.socket:
    if descriptor is None:
        return listen(port, clock)
    try:
        return inherited(descriptor)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--listen-fd'") from error


def _require_usable(environment: Mapping[str, str]) -> None:
    """Check the variables and the state file.

    Under gunicorn, such an error would be only in responses and in the log.

    Raises:
        ConfigError: variables are invalid; the message names all of them.
        DatabaseUnusableError: the state file can't be used.
    """
    database = Database(LocalIvsConfig.from_environment(environment).state_file)
    with closing(database), database.reading():
        pass


def _exec_gunicorn(listener: socket.socket, environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by gunicorn, so that signals and the exit status are gunicorn's."""
    listener.set_inheritable(True)
    command = (
        *(sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}"),
        # Without --config, gunicorn would read a gunicorn.conf.py in the current folder.
        *("--config", "python:local_ivs.gunicorn_conf"),
    )
    os.execve(sys.executable, command, dict(environment))  # noqa: S606 - Our own interpreter, no shell.
