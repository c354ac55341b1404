"""`tokensvc api-keys`: the keys that backends prove themselves with."""

from __future__ import annotations

import click

from tokensvc.access import api_keys as access
from tokensvc.access.api_keys import ApiKeys
from tokensvc.cli.invocation import Invocation, pass_invocation
from tokensvc.cli.output import json_option, print_json, print_table, say
from tokensvc.clock import rfc3339
from tokensvc.state.base import NEW


@click.group(name="api-keys")
def api_keys() -> None:
    """API keys: how a backend proves who it is."""


@api_keys.command()
@click.argument("name")
@click.option(
    "--grant",
    "grants",
    multiple=True,
    required=True,
    metavar="GRANT",
    help="A grant of the settings, [grants.GRANT]; give the option again for more.",
)
@pass_invocation
def create(invocation: Invocation, name: str, grants: tuple[str, ...]) -> None:
    """Make the API key NAME and print it: the only time that it is shown."""
    configured = invocation.settings.grants
    if unknown := [grant for grant in grants if grant not in configured]:
        known = ", ".join(configured) or "none; add a section [grants.NAME]"
        raise click.BadParameter(
            f"The settings have no grant {unknown[0]!r}. They have: {known}.",
            param_hint="--grant",
        )
    document = invocation.state.load(access.DOCUMENT_NAME)
    kept, text = access.create(
        ApiKeys.decode(document), name=name, grants=grants, now=invocation.clock.now()
    )
    version = NEW if document is None else document.version
    invocation.state.save(access.DOCUMENT_NAME, kept.encode(), replacing=version)
    click.echo(text)
    say("Keep it now: only a hash of it is stored, so it can't be shown again.")


@api_keys.command(name="list")
@json_option
@pass_invocation
def list_keys(invocation: Invocation, *, as_json: bool) -> None:
    """List the API keys; their secrets are not stored."""
    kept = ApiKeys.decode(invocation.state.load(access.DOCUMENT_NAME)).keys
    if as_json:
        print_json(
            [
                {
                    "key_id": key.key_id,
                    "name": key.name,
                    "grants": key.grants,
                    "created_at": rfc3339(key.created_at),
                }
                for key in kept
            ]
        )
        return
    print_table(
        ("KEY", "NAME", "GRANTS", "CREATED"),
        [(key.key_id, key.name, ", ".join(key.grants), rfc3339(key.created_at)) for key in kept],
    )
