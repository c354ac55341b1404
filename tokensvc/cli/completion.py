"""`tokensvc completion`: what a shell needs to complete commands, options and names."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

_VARIABLE: Final = "_TOKENSVC_COMPLETE"
"""The environment variable by which the shell asks the program."""


@click.command(short_help="Print what a shell needs to complete commands.")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what lets a SHELL complete commands, options and configured names.

    For bash, add this line to ~/.bashrc: eval "$(tokensvc completion bash)". For zsh, the same in
    ~/.zshrc. For fish, run: tokensvc completion fish > ~/.config/fish/completions/tokensvc.fish
    """
    made = get_completion_class(shell)
    if made is None:  # The choices are those that click has.
        raise click.UsageError(f"click has no completion for {shell}.")
    source = made(context.find_root().command, {}, "tokensvc", _VARIABLE).source()
    # click's script for fish cuts each description at its first comma.
    click.echo(source.replace('string split ","', 'string split --max 1 ","'))
