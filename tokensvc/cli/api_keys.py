"""`tokensvc api-keys`: create, list, confirm and revoke the API keys of backends."""

from __future__ import annotations

import click

from tokensvc.access import api_keys as access
from tokensvc.access.api_keys import ApiKeys
from tokensvc.cli import changing
from tokensvc.cli.changing import confirm_list, yes_option
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import json_option, print_json, print_table, say
from tokensvc.clock import rfc3339
from tokensvc.state.base import NEW, Version
from tokensvc.state.schema import written_schema


@click.group(name="api-keys")
def api_keys() -> None:
    """Manage the API keys that backends authenticate with."""


@api_keys.command()
@click.argument("name")
@click.option(
    "--grant",
    "grants",
    multiple=True,
    required=True,
    metavar="GRANT",
    help="Grant for the key: a section [grants.GRANT] of the settings. Repeat for several.",
)
@pass_invocation
def create(invocation: Invocation, name: str, grants: tuple[str, ...]) -> None:
    """Create the API key NAME and print it. It can't be shown again."""
    invocation.require_grants(grants)
    invocation.state.create()
    stored, version = _load(invocation)
    updated, text = access.create(stored, name=name, grants=grants, now=invocation.clock.now())
    _save(invocation, updated, replacing=version)
    click.echo(text)
    say("Copy the key now. Only a hash of it is stored, so it can't be shown again.")


@api_keys.command(name="list")
@json_option
@pass_invocation
def list_keys(invocation: Invocation, *, as_json: bool) -> None:
    """List the API keys, without their secrets, which are not stored."""
    stored = _load(invocation)[0].keys
    if as_json:
        print_json(
            [
                {
                    "key_id": key.key_id,
                    "name": key.name,
                    "grants": key.grants,
                    "created_at": rfc3339(key.created_at),
                    "needs_confirmation": key.needs_confirmation,
                }
                for key in stored
            ]
        )
        return
    print_table(
        ("KEY", "NAME", "GRANTS", "CREATED", "STATE"),
        [
            (
                key.key_id,
                key.name,
                ", ".join(key.grants),
                rfc3339(key.created_at),
                "needs confirmation" if key.needs_confirmation else "enabled",
            )
            for key in stored
        ],
    )


@api_keys.command()
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@yes_option
@pass_invocation
def confirm(invocation: Invocation, keys: tuple[str, ...], *, yes: bool) -> None:
    """Enable API keys again after a restore from a backup, by their IDs or names.

    A backup has the keys of its time, so a key that was revoked later is in it too. Confirm only
    keys that you know to be in use, and revoke the others. Running workers apply this within
    seconds.
    """
    stored, version = _load(invocation)
    confirmed = [stored.find(key) for key in keys]
    confirm_list(
        "Clients that use these API keys will get playback URLs again:",
        (f"{key.key_id} {key.name}, created {rfc3339(key.created_at)}" for key in confirmed),
        yes=yes,
    )
    _save(invocation, access.confirm(stored, confirmed), replacing=version)
    left = len(access.confirm(stored, confirmed).unconfirmed)
    say(f"Confirmed: {len(confirmed)}. Still to be confirmed or revoked: {left}.")


@api_keys.command()
@click.argument("key", metavar="KEY")
@yes_option
@pass_invocation
def revoke(invocation: Invocation, key: str, *, yes: bool) -> None:
    """Revoke an API key, by its ID or name. Clients that use it are refused from then on.

    Running workers apply this within seconds. Playback URLs that were issued to the key stay valid
    until they expire.
    """
    stored, version = _load(invocation)
    remaining = access.revoke(stored, key)
    changing.confirm(f"Clients that use the API key {key} will be refused. Revoke it?", yes=yes)
    _save(invocation, remaining, replacing=version)
    settings = invocation.settings
    say(
        f"Revoked. Workers apply this within {settings.rotation.state_refresh_seconds} s. A worker "
        "that can't read the state refuses every API key after"
        f" {settings.state.access_max_age_seconds} s."
    )


def _load(invocation: Invocation) -> tuple[ApiKeys, Version]:
    """The keys, and the version that the next save must replace."""
    document = invocation.state.load(access.DOCUMENT_NAME)
    return ApiKeys.decode(document), NEW if document is None else document.version


def _save(invocation: Invocation, keys: ApiKeys, *, replacing: Version) -> None:
    body = keys.encode(written_schema(invocation.state))
    invocation.state.save(access.DOCUMENT_NAME, body, replacing=replacing)
