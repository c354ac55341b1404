"""Examples in the help of commands, all in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import click

EXAMPLES: Final[Mapping[str, Sequence[str]]] = {
    "init": ("tokensvc init --account-id 123456789012 --region us-west-2",),
    "serve": ("tokensvc serve", "tokensvc serve --check"),
    "keys list": ("tokensvc keys list", "tokensvc keys list --region us-west-2 --json"),
    "keys adopt": ("tokensvc keys adopt --private-key key.pem --arn $ARN",),
    "keys rotate": ("tokensvc keys rotate --plan", 'tokensvc keys rotate --reason "quarterly"'),
    "keys reconcile": (
        "tokensvc keys reconcile",
        "tokensvc keys reconcile --rotate-after 30d --watch",
    ),
    "keys revoke": (
        "tokensvc keys revoke k5164d6304f6c",
        "tokensvc keys revoke --all --from-audit audit.log",
    ),
    "api-keys create": (
        "tokensvc api-keys create website --grant web",
        "tokensvc api-keys create moderators --grant web --scope moderate --expires-after 90d",
    ),
    "api-keys rotate": (
        "tokensvc api-keys rotate website",
        "tokensvc api-keys rotate website --overlap 0",
    ),
    "grants explain": ("tokensvc grants explain --as website --channel demo --viewer-id viewer-7",),
    "tokens sign": ("tokensvc tokens sign demo --viewer-id viewer-7 --ttl-seconds 60",),
    "tokens inspect": (
        "tokensvc tokens inspect < token.txt",
        "tokensvc tokens inspect --origin https://www.example.com --ask-ivs < url.txt",
    ),
    "channels create": (
        "tokensvc channels create demo",
        "tokensvc channels create demo --latency-mode LOW --tag team=video",
    ),
    "channels protect": ("tokensvc channels protect demo --stop",),
    "state backup": ("tokensvc state backup tokensvc-backup.json",),
    "state copy": ("tokensvc state copy sqlite:keys/state.sqlite3 dynamodb:us-west-2/tokensvc",),
}
"""By the words that call the command."""


def add_examples(group: click.Group, path: str = "") -> None:
    """Let the help of each command of the group end with its examples."""
    for name, command in group.commands.items():
        called = f"{path} {name}".lstrip()
        if isinstance(command, click.Group):
            add_examples(command, called)
        elif examples := EXAMPLES.get(called):
            # click does not fold the lines of a paragraph that begins with \b.
            command.epilog = "\n".join(["\b", "Examples:", *(f"  {line}" for line in examples)])
