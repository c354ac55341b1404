"""The rules between the settings of the entitlement hook, and those of what signs messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tokensvc.errors import Problem
from tokensvc.settings.entitlement import EntitlementSettings
from tokensvc.settings.grants import GrantSettings


def entitlement_rules(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """The rules that the sections break. A section that is missing is not checked."""
    match sections:
        case {"entitlement": EntitlementSettings() as hook}:
            yield from one_secret(
                hook.url, (hook.secret_file, hook.secret), "entitlement.url", "entitlement.secret"
            )
    match sections:
        case {"entitlement": EntitlementSettings() as hook, "grants": dict() as grants}:
            yield from _grants_that_ask(hook, grants)


def one_secret(
    url: str | None, secrets: Sequence[object], url_setting: str, secret_setting: str
) -> Iterator[Problem]:
    """The rules for a URL that gets signed messages: exactly one secret, and none without a URL.

    Args:
        url: the URL.
        secrets: the secret's file and the secret itself.
        url_setting: the name of the setting with the URL.
        secret_setting: the name of the setting with the secret itself.
    """
    given = sum(secret is not None for secret in secrets)
    if url is not None and given != 1:
        variable = "TOKENSVC_" + secret_setting.replace(".", "__").upper()
        yield Problem(
            f"{secret_setting}_file",
            "one_secret",
            "Exactly one webhook secret is required, because the receiver verifies the signature."
            f" Set either this or {variable}.",
        )
    if url is None and given:
        yield Problem(
            url_setting,
            "missing",
            "A webhook secret is set, but no URL. Set this, or unset the secret.",
        )


def _grants_that_ask(
    hook: EntitlementSettings, grants: Mapping[str, GrantSettings]
) -> Iterator[Problem]:
    asking = [name for name, grant in grants.items() if grant.entitlement]
    if hook.url is None:
        for name in asking:
            yield Problem(
                f"grants.{name}.entitlement",
                "no_entitlement_url",
                "The grant asks the entitlement hook, but there is none. Set entitlement.url, or"
                " set this to false.",
            )
    elif not asking:
        yield Problem(
            "entitlement.url",
            "no_grant_asks",
            "No grant asks this hook, so it would refuse nothing. Set entitlement = true in the"
            " grants whose requests it decides, or unset the URL.",
        )
