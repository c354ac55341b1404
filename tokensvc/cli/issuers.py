"""`tokensvc issuers`: the keys of identity providers, and fetching them now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from tokensvc.access.oidc.kept_keys import FailedFetch, FetchedKeys, failed_fetches, kept_keys
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
    """List the issuers, with the keys that a worker has fetched last and their age.

    If fetches have failed since then, it shows the last failure. The keys are used all the same,
    until they are too old.
    """
    kept, failed = kept_keys(invocation.state), failed_fetches(invocation.state)
    now = invocation.clock.now()
    rows = [
        _Row(name, issuer, _of_issuer(issuer, kept.get(name)), failed.get(name), now)
        for name, issuer in invocation.settings.issuers.items()
    ]
    if as_json:
        print_json([row.members() for row in rows])
        return
    head = ("NAME", "ISSUER", "KEYS", "FETCHED", "AGE", "STATE")
    print_table(head, [row.cells() for row in rows])
    for row in rows:
        if (failure := row.failure) is not None:
            say(f"{row.name}: a fetch by {failure.by} failed. {failure.detail}")


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


@dataclass(frozen=True, slots=True)
class _Row:
    """An issuer of the settings, its kept keys and its last failed fetch, at a time."""

    name: str
    issuer: IssuerSettings
    keys: FetchedKeys | None
    last_failure: FailedFetch | None
    now: float

    @property
    def failure(self) -> FailedFetch | None:
        """The last failed fetch, if none has succeeded since then."""
        failure = self.last_failure
        is_over = failure is None or (self.keys is not None and self.keys.fetched_at > failure.at)
        return None if is_over else failure

    @property
    def age_seconds(self) -> int | None:
        return None if self.keys is None else round(max(0.0, self.now - self.keys.fetched_at))

    @property
    def is_usable(self) -> bool:
        max_age_seconds = self.issuer.keys_max_age_seconds
        return self.keys is not None and self.now - self.keys.fetched_at <= max_age_seconds

    @property
    def state(self) -> str:
        failed = "" if self.failure is None else f", failed at {rfc3339(self.failure.at)}"
        if self.keys is None:
            return f"not fetched{failed}"
        return f"{'usable' if self.is_usable else 'too old'}{failed}"

    def cells(self) -> Sequence[str]:
        """The cells of the table."""
        keys = self.keys
        if keys is None:
            return (self.name, self.issuer.issuer, "-", "-", "-", self.state)
        return (
            self.name,
            self.issuer.issuer,
            ", ".join(key.key_id or key.thumbprint for key in keys.keys.keys),
            rfc3339(keys.fetched_at),
            f"{self.age_seconds} s",
            self.state,
        )

    def members(self) -> Mapping[str, object]:
        """The members that programs see."""
        keys, failure = self.keys, self.failure
        return {
            "name": self.name,
            "issuer": self.issuer.issuer,
            "key_ids": [] if keys is None else [key.key_id for key in keys.keys.keys],
            "fetched_at": keys and rfc3339(keys.fetched_at),
            "age_seconds": self.age_seconds,
            "usable": self.is_usable,
            "failure": failure
            and {"at": rfc3339(failure.at), "by": failure.by, "detail": failure.detail},
        }


def _of_issuer(issuer: IssuerSettings, keys: FetchedKeys | None) -> FetchedKeys | None:
    """The kept keys, unless they are those of another issuer that had the same name."""
    return keys if keys is not None and keys.issuer == issuer.issuer else None
