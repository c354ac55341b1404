"""Examples in the help of commands, all in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import click

EXAMPLES: Final[Mapping[str, Sequence[str]]] = {
    "init": ("tokensvc init --account-id 123456789012 --region us-west-2",),
    "serve": ("tokensvc serve", "tokensvc serve --check"),
    "keys list": ("tokensvc keys list", "tokensvc keys list --region us-west-2 --json"),
    "keys show": ("tokensvc keys show k5164d6304f6c",),
    "keys doctor": ("tokensvc keys doctor", "tokensvc keys doctor --region us-west-2 --json"),
    "keys history": ("tokensvc keys history", "tokensvc keys history k5164d6304f6c"),
    "keys terms": ("tokensvc keys terms",),
    "keys generate": ("tokensvc keys generate --region us-west-2",),
    "keys import": ("tokensvc keys import k5164d6304f6c",),
    "keys adopt": ("tokensvc keys adopt --private-key key.pem --arn $ARN",),
    "keys rotate": ("tokensvc keys rotate --plan", 'tokensvc keys rotate --reason "quarterly"'),
    "keys rollback": ('tokensvc keys rollback --reason "players fail"',),
    "keys rewrap": ("tokensvc keys rewrap",),
    "keys test-notification": ("tokensvc keys test-notification",),
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
    "api-keys confirm": ("tokensvc api-keys confirm website",),
    "api-keys list": ("tokensvc api-keys list",),
    "api-keys revoke": ("tokensvc api-keys revoke website",),
    "bans add": (
        'tokensvc bans add viewer-7 --channel demo --for 1h --note "spam"',
        "tokensvc bans add viewer-7 --all-channels",
    ),
    "bans list": ("tokensvc bans list", "tokensvc bans list --json"),
    "bans lift": ("tokensvc bans lift $BAN",),
    "issuers list": ("tokensvc issuers list",),
    "issuers refresh": ("tokensvc issuers refresh", "tokensvc issuers refresh members"),
    "viewers id": ("tokensvc viewers id https://login.example.com/ ann",),
    "viewers record-secrets": ("tokensvc viewers record-secrets",),
    "viewers revoke": (
        "tokensvc viewers revoke demo viewer-7",
        "tokensvc viewers revoke demo viewer-7 --ban 1h",
    ),
    "viewers end-due": ("tokensvc viewers end-due", "tokensvc viewers end-due --watch"),
    "grants explain": ("tokensvc grants explain --as website --channel demo --viewer-id viewer-7",),
    "completion": ("tokensvc completion bash",),
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
    "channels list": ("tokensvc channels list", "tokensvc channels list --region us-west-2"),
    "channels show": ("tokensvc channels show demo",),
    "channels unprotect": ("tokensvc channels unprotect demo --stop",),
    "channels delete": ("tokensvc channels delete demo --stop",),
    "stream-keys list": ("tokensvc stream-keys list demo",),
    "stream-keys show": ("tokensvc stream-keys show $ARN",),
    "stream-keys create": ("tokensvc stream-keys create demo",),
    "stream-keys rotate": ("tokensvc stream-keys rotate demo",),
    "stream-keys delete": ("tokensvc stream-keys delete $ARN",),
    "streams list": ("tokensvc streams list",),
    "streams show": ("tokensvc streams show demo",),
    "streams stop": ("tokensvc streams stop demo",),
    "streams put-metadata": ("""tokensvc streams put-metadata demo '{"score": 3}'""",),
    "tags list": ("tokensvc tags list $ARN",),
    "tags add": ("tokensvc tags add $ARN team=video",),
    "tags remove": ("tokensvc tags remove $ARN team",),
    "state backup": ("tokensvc state backup tokensvc-backup.json",),
    "state restore": ("tokensvc state restore tokensvc-backup.json",),
    "state upgrade": ("tokensvc state upgrade",),
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
