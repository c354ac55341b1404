"""`tokensvc api-keys`: create, list, rotate, confirm and revoke the API keys of backends."""

from __future__ import annotations

import click

from tokensvc.access import api_keys as access
from tokensvc.access.api_key_uses import last_used
from tokensvc.access.api_keys import ApiKey, ApiKeys
from tokensvc.access.callers import SCOPES, Scope
from tokensvc.cli import changing
from tokensvc.cli.changing import confirm_list, yes_option
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import json_option, print_json, print_table, say
from tokensvc.cli.params import DURATION, DURATION_OR_ZERO, complete_grant
from tokensvc.clock import rfc3339
from tokensvc.state.base import NEW, Version
from tokensvc.state.schema import written_schema

_COPY_NOW = "Copy the key now. Only a hash of it is stored, so it can't be shown again."


def _accepted_from(invocation: Invocation) -> str:
    seconds = invocation.settings.rotation.state_refresh_seconds
    return f"Running workers accept it within {seconds} s."


@click.group(name="api-keys")
def api_keys() -> None:
    """Manage the API keys that backends authenticate with."""


@api_keys.command()
@click.argument("name")
@click.option(
    "--grant",
    "grants",
    multiple=True,
    shell_complete=complete_grant,
    metavar="GRANT",
    help="Grant for the key: a section [grants.GRANT] of the settings. Repeat for several.",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=access.MINT_ONLY,
    show_default=True,
    help="What the key may do: mint playback URLs, moderate viewers on the channels of its grants,"
    " or operate: read keys and inspect tokens. Repeat for several.",
)
@click.option(
    "--expires-after",
    "lifetime_seconds",
    type=DURATION,
    help="Refuse the key after that time, such as 90d. By default it does not expire.",
)
@pass_invocation
def create(
    invocation: Invocation,
    name: str,
    grants: tuple[str, ...],
    scopes: tuple[Scope, ...],
    lifetime_seconds: int | None,
) -> None:
    """Create the API key NAME and print it. It can't be shown again."""
    invocation.require_grants(grants)
    invocation.state.create()
    stored, version = _load(invocation)
    now = invocation.clock.now()
    updated, text = access.create(
        stored,
        name=name,
        grants=grants,
        now=now,
        scopes=tuple(scope for scope in SCOPES if scope in scopes),
        expires_at=None if lifetime_seconds is None else now + lifetime_seconds,
    )
    _save(invocation, updated, replacing=version)
    click.echo(text)
    say(_COPY_NOW)
    say(_accepted_from(invocation))


@api_keys.command()
@click.argument("key", metavar="KEY")
@click.option(
    "--overlap",
    "overlap_seconds",
    type=DURATION_OR_ZERO,
    default="1d",
    show_default=True,
    help="How long the secret that it has now stays valid; 0 if it leaked.",
)
@yes_option
@pass_invocation
def rotate(invocation: Invocation, key: str, overlap_seconds: int, *, yes: bool) -> None:
    """Give an API key a new secret, by its ID or name, and print it. It can't be shown again.

    The key keeps its ID, its name and its grants. For the overlap both secrets are valid, so that
    its clients can change one after another. A secret from an earlier rotation ends now.
    """
    stored, version = _load(invocation)
    found = stored.find(key)
    now = invocation.clock.now()
    is_third = found.previous is not None and now < found.previous.valid_until
    if is_third or overlap_seconds == 0:
        which = "the secret before the last rotation" if overlap_seconds else "every earlier secret"
        changing.confirm(f"Clients that use {which} of {key} will be refused. Rotate?", yes=yes)
    updated, text = access.rotate(stored, found, now=now, overlap_seconds=overlap_seconds)
    _save(invocation, updated, replacing=version)
    click.echo(text)
    say(_COPY_NOW)
    say(_accepted_from(invocation))
    if overlap_seconds:
        say(f"The previous secret is valid until {rfc3339(now + overlap_seconds)}.")


@api_keys.command(name="list")
@json_option
@pass_invocation
def list_keys(invocation: Invocation, *, as_json: bool) -> None:
    """List the API keys, without their secrets, which are not stored."""
    stored = _load(invocation)[0].keys
    used = last_used(invocation.state)
    now = invocation.clock.now()
    if as_json:
        print_json(
            [
                {
                    "key_id": key.key_id,
                    "name": key.name,
                    "grants": key.grants,
                    "scopes": key.scopes,
                    "created_at": rfc3339(key.created_at),
                    "expires_at": key.expires_at and rfc3339(key.expires_at),
                    "previous_valid_until": key.previous and rfc3339(key.previous.valid_until),
                    "last_used_on": used.get(key.key_id),
                    "needs_confirmation": key.needs_confirmation,
                }
                for key in stored
            ]
        )
        return
    print_table(
        ("KEY", "NAME", "SCOPES", "GRANTS", "CREATED", "LAST USED", "STATE"),
        [
            (
                key.key_id,
                key.name,
                ", ".join(key.scopes),
                ", ".join(key.grants),
                rfc3339(key.created_at),
                used.get(key.key_id, "-"),
                _state_of(key, now),
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


def _state_of(key: ApiKey, now: float) -> str:
    if key.needs_confirmation:
        return "needs confirmation"
    if key.is_expired(now):
        return "expired"
    parts = ["enabled"]
    if key.expires_at is not None:
        parts.append(f"until {rfc3339(key.expires_at)}")
    if key.previous is not None and now < key.previous.valid_until:
        parts.append(f"(previous secret until {rfc3339(key.previous.valid_until)})")
    return " ".join(parts)


def _load(invocation: Invocation) -> tuple[ApiKeys, Version]:
    """The keys, and the version that the next save must replace."""
    document = invocation.state.load(access.DOCUMENT_NAME)
    return ApiKeys.decode(document), NEW if document is None else document.version


def _save(invocation: Invocation, keys: ApiKeys, *, replacing: Version) -> None:
    body = keys.encode(written_schema(invocation.state))
    invocation.state.save(access.DOCUMENT_NAME, body, replacing=replacing)
