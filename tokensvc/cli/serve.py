"""`tokensvc serve`: check the start, then run gunicorn."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import click

from tokensvc import web
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.serve_check import run_checks
from tokensvc.settings import config_file
from tokensvc.settings.loading import CONFIG_VARIABLE

# glibc gives each thread an arena of its own; the few threads of a worker can share two.
_MEMORY = {"MALLOC_ARENA_MAX": "2"}


@click.command(short_help="Start the service, or check that it can start.")
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

    --check tests the settings, the address, the state, the custody and, for each region, the
    active key pair and the AWS credentials. It calls no operation of IVS, and of other services of
    AWS only what the service itself needs. The exit status is 1 if a check fails.
    """
    # Loaded before gunicorn starts, so that a mistake is reported once, without a traceback.
    _ = invocation.settings
    if only_check:
        run_checks(invocation)
        return
    path = config_file(invocation.config, invocation.environment)
    named = {} if path is None else {CONFIG_VARIABLE: str(path)}
    _exec_gunicorn({**_MEMORY, **_without_ignored(invocation.environment), **named})


def _without_ignored(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The variables without the one that some platforms set, and `service.workers` replaces."""
    # gunicorn reads it before any configuration, and fails if it is not a number.
    return {name: value for name, value in environment.items() if name != "WEB_CONCURRENCY"}


def _exec_gunicorn(environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by gunicorn, so that signals and the exit status are gunicorn's."""
    # A path, not a module: gunicorn runs a file again when it reloads.
    config = Path(web.__file__).with_name("gunicorn_conf.py")
    command = (sys.executable, "-m", "gunicorn", "--config", str(config))
    os.execve(sys.executable, command, dict(environment))  # noqa: S606 # Our own interpreter, no shell.
