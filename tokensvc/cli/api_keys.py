"""`tokensvc api-keys`: the keys that backends prove themselves with."""

from __future__ import annotations

import click

from tokensvc.access import api_keys as access
from tokensvc.access.api_keys import ApiKeys
from tokensvc.cli.changing import confirm, yes_option
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
        names = ", ".join(configured) or "none; add a section [grants.NAME]"
        raise click.BadParameter(
            f"The settings have no grant {unknown[0]!r}. They have: {names}.",
            param_hint="--grant",
        )
    known, version = _load(invocation)
    kept, text = access.create(known, name=name, grants=grants, now=invocation.clock.now())
    _save(invocation, kept, replacing=version)
    click.echo(text)
    say("Keep it now: only a hash of it is stored, so it can't be shown again.")


@api_keys.command(name="list")
@json_option
@pass_invocation
def list_keys(invocation: Invocation, *, as_json: bool) -> None:
    """List the API keys; their secrets are not stored."""
    kept = _load(invocation)[0].keys
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


@api_keys.command()
@click.argument("key", metavar="KEY")
@yes_option
@pass_invocation
def revoke(invocation: Invocation, key: str, *, yes: bool) -> None:
    """Withdraw the API key of that ID or name: nobody is let in by it any more.

    Running workers follow within seconds. URLs that it was given play until they expire.
    """
    known, version = _load(invocation)
    left = access.revoke(known, key)
    confirm(f"Whoever has the API key {key} is refused from now on. Revoke it?", yes=yes)
    _save(invocation, left, replacing=version)
    rotation = invocation.settings.rotation
    say(
        f"Revoked. Workers follow within {rotation.state_refresh_seconds} s; one that can't read "
        f"the state lets nobody in after {rotation.view_max_age_seconds} s."
    )


def _load(invocation: Invocation) -> tuple[ApiKeys, int]:
    """The keys, and the version that a replacing save must name."""
    document = invocation.state.load(access.DOCUMENT_NAME)
    return ApiKeys.decode(document), NEW if document is None else document.version


def _save(invocation: Invocation, keys: ApiKeys, *, replacing: int) -> None:
    invocation.state.save(access.DOCUMENT_NAME, keys.encode(), replacing=replacing)
