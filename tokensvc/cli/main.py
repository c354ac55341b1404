"""The command `tokensvc`: its groups and its exit status.

Exit status 0 means done, 1 failed and 2 wrong use. Standard error has the error and the hint.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from tokensvc import __version__
from tokensvc.cli import end_due, revoke_viewers
from tokensvc.cli.api_keys import api_keys
from tokensvc.cli.bans import bans
from tokensvc.cli.completion import completion
from tokensvc.cli.context import Invocation
from tokensvc.cli.examples import add_examples
from tokensvc.cli.grants import grants
from tokensvc.cli.init import init
from tokensvc.cli.issuers import issuers
from tokensvc.cli.ivs.channels import channels
from tokensvc.cli.ivs.stream_keys import stream_keys
from tokensvc.cli.ivs.streams import streams
from tokensvc.cli.ivs.tags import tags
from tokensvc.cli.keys import keys
from tokensvc.cli.output import CommandFailed
from tokensvc.cli.serve import serve
from tokensvc.cli.state import state
from tokensvc.cli.tokens import tokens
from tokensvc.cli.viewers import viewers
from tokensvc.clock import SystemClock
from tokensvc.errors import TokensvcError
from tokensvc.telemetry.logs import PlainLines, configure_logging


class _Tokensvc(click.Group):
    """The top-level group, which turns every TokensvcError into an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TokensvcError as exc:
            raise CommandFailed(exc) from exc


@click.group(cls=_Tokensvc, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Settings file. Default: the file in TOKENSVC_CONFIG, otherwise ./tokensvc.toml.",
)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context, config: Path | None) -> None:
    """Playback authorization for Amazon IVS private channels.

    AWS credentials, regions and endpoints are read from the standard AWS environment variables and
    configuration files.
    """
    configure_logging("WARNING", sys.stderr, PlainLines())
    if os.environ.get("NO_COLOR"):  # https://no-color.org
        context.color = False
    resources = context.with_resource(ExitStack())
    # A test passes its own clock as the context's object.
    context.obj = Invocation(config, os.environ, context.obj or SystemClock(), resources)


for _command in (
    init,
    serve,
    keys,
    api_keys,
    grants,
    bans,
    issuers,
    viewers,
    tokens,
    state,
    channels,
    stream_keys,
    streams,
    tags,
    completion,
):
    cli.add_command(_command)
for _command in (revoke_viewers.command, end_due.command):
    viewers.add_command(_command)
add_examples(cli)


def main() -> None:
    """Run the command. An exception other than TokensvcError is a bug and shows its traceback."""
    cli(prog_name="tokensvc")
