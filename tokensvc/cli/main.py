"""The command `tokensvc`: its groups, and how it ends.

Exit status 0 means done, 1 failed and 2 wrongly used. What is wrong, and the way out, is said on
standard error.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from tokensvc.cli.api_keys import api_keys
from tokensvc.cli.channels import channels
from tokensvc.cli.demo.command import demo
from tokensvc.cli.init import init
from tokensvc.cli.invocation import Invocation
from tokensvc.cli.keys import keys
from tokensvc.cli.output import Refused
from tokensvc.cli.serve import local_ivs, serve
from tokensvc.cli.stream_keys import stream_keys
from tokensvc.cli.streams import streams
from tokensvc.cli.tags import tags
from tokensvc.cli.tokens import tokens
from tokensvc.clock import SystemClock
from tokensvc.errors import TokensvcError
from tokensvc.telemetry.logs import configure_logging


class _Tokensvc(click.Group):
    """The top of the command: the one place where our errors become an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TokensvcError as exc:
            raise Refused(exc) from exc


@click.group(cls=_Tokensvc, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The settings file; else TOKENSVC_CONFIG names it, else it is ./tokensvc.toml.",
)
@click.version_option(package_name="tokensvc")
@click.pass_context
def cli(context: click.Context, config: Path | None) -> None:
    """Playback authorization for Amazon IVS private channels.

    AWS credentials, regions and endpoints are found the AWS way.
    """
    configure_logging("WARNING", sys.stderr, json=False)
    resources = context.with_resource(ExitStack())
    # A test hands its own clock in as the context's object.
    context.obj = Invocation(config, os.environ, context.obj or SystemClock(), resources)


for _command in (
    init,
    serve,
    keys,
    api_keys,
    tokens,
    channels,
    stream_keys,
    streams,
    tags,
    local_ivs,
    demo,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command; what Python raises beyond our own errors is a fault of ours, shown whole."""
    cli(prog_name="tokensvc")
