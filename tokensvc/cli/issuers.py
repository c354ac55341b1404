"""`tokensvc issuers`: the keys of identity providers, and fetching them now."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tokensvc.access.oidc.kept_keys import FetchedKeys, kept_keys
from tokensvc.access.oidc.refreshes import request_refresh
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import json_option, print_json, print_table, say
from tokensvc.clock import rfc3339
from tokensvc.settings.issuers import IssuerSettings


@click.group(short_help="Show and refresh the keys of identity providers.")
def issuers() -> None:
    """Show the keys of the issuers whose tokens authenticate callers, or fetch them now."""


@issuers.command(name="list")
@json_option
@pass_invocation
def list_issuers(invocation: Invocation, *, as_json: bool) -> None:
    """List the issuers, with the keys that a worker has fetched last and their age."""
    kept = kept_keys(invocation.state)
    now = invocation.clock.now()
    rows = [
        (name, issuer, _of_issuer(issuer, kept.get(name)))
        for name, issuer in invocation.settings.issuers.items()
    ]
    if as_json:
        print_json(
            [
                {
                    "name": name,
                    "issuer": issuer.issuer,
                    "key_ids": [] if keys is None else [key.key_id for key in keys.keys.keys],
                    "fetched_at": keys and rfc3339(keys.fetched_at),
                    "age_seconds": keys and round(max(0.0, now - keys.fetched_at)),
                    "usable": _is_usable(issuer, keys, now),
                }
                for name, issuer, keys in rows
            ]
        )
        return
    print_table(
        ("NAME", "ISSUER", "KEYS", "FETCHED", "STATE"),
        [
            (
                name,
                issuer.issuer,
                "-" if keys is None else ", ".join(_shown_ids(keys)),
                "-" if keys is None else rfc3339(keys.fetched_at),
                _state_of(issuer, keys, now),
            )
            for name, issuer, keys in rows
        ],
    )


@issuers.command()
@click.argument("name", required=False)
@pass_invocation
def refresh(invocation: Invocation, name: str | None) -> None:
    """Let every worker fetch the keys of the issuer NAME now, or of all issuers.

    Use it when an issuer has removed a compromised key. Tokens that were signed with a key which is
    not published any more are refused from then on. If an issuer does not answer, its last keys
    stay in use until they are too old.
    """
    configured = invocation.settings.issuers
    if name is not None and name not in configured:
        known = ", ".join(configured) or "none. Add a section [issuers.NAME]"
        raise click.BadParameter(
            f"The settings have no issuer {name!r}. Configured issuers: {known}.",
            param_hint="NAME",
        )
    names = list(configured) if name is None else [name]
    if not names:
        say("No issuer is configured.")
        return
    request_refresh(invocation.state, names)
    seconds = invocation.settings.rotation.state_refresh_seconds
    say(
        f"Requested for {', '.join(names)}. Workers fetch the keys within {seconds} s;"
        " `tokensvc issuers list` shows when."
    )


def _of_issuer(issuer: IssuerSettings, keys: FetchedKeys | None) -> FetchedKeys | None:
    """The kept keys, unless they are those of another issuer that had the same name."""
    return keys if keys is not None and keys.issuer == issuer.issuer else None


def _shown_ids(keys: FetchedKeys) -> Sequence[str]:
    return [key.key_id or key.thumbprint for key in keys.keys.keys]


def _is_usable(issuer: IssuerSettings, keys: FetchedKeys | None, now: float) -> bool:
    return keys is not None and now - keys.fetched_at <= issuer.keys_max_age_seconds


def _state_of(issuer: IssuerSettings, keys: FetchedKeys | None, now: float) -> str:
    if keys is None:
        return "not fetched"
    return "usable" if _is_usable(issuer, keys, now) else "too old"
