"""The rules between an issuer and the other settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tokensvc.errors import Problem
from tokensvc.settings.issuers import IssuerSettings
from tokensvc.settings.viewer_ids import ViewerIdSettings


def issuer_rules(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """Every rule that the issuers break. A section that is missing is not checked."""
    issuers: Mapping[str, IssuerSettings] = sections.get("issuers", {})
    for name, issuer in issuers.items():
        yield from _ages(name, issuer)
        yield from _grants(name, issuer, sections)
    yield from _repeated(issuers)
    match sections:
        case {"viewer_ids": ViewerIdSettings(secret=None, secret_file=None)} if issuers:
            yield Problem(
                "viewer_ids.secret_file",
                "missing",
                "Issuers are configured, but no secret for the viewer IDs of their callers. Create"
                " one with `(umask 077; openssl rand -base64 32 > FILE)` and set this to FILE.",
            )


def _ages(name: str, issuer: IssuerSettings) -> Iterator[Problem]:
    refresh, max_age = issuer.keys_refresh_seconds, issuer.keys_max_age_seconds
    if 2 * refresh > max_age:
        yield Problem(
            f"issuers.{name}.keys_refresh_seconds",
            "refresh_interval_too_long",
            f"{refresh} is too long: with a keys_max_age_seconds of {max_age}, one failed fetch"
            f" would refuse every caller of this issuer. Lower it to {max_age // 2} or less.",
        )


def _grants(name: str, issuer: IssuerSettings, sections: Mapping[str, Any]) -> Iterator[Problem]:
    configured = sections.get("grants")
    if configured is None:
        return
    for grant in issuer.grants:
        if grant not in configured:
            yield Problem(
                f"issuers.{name}.grants",
                "unknown_grant",
                f"{grant!r} is not a grant. Add a section [grants.{grant}], or correct the name.",
            )


def _repeated(issuers: Mapping[str, IssuerSettings]) -> Iterator[Problem]:
    names: dict[str, str] = {}
    for name, issuer in issuers.items():
        first = names.setdefault(issuer.issuer, name)
        if first != name:
            yield Problem(
                f"issuers.{name}.issuer",
                "repeated_issuer",
                f"The section [issuers.{first}] has the same issuer. Join the two sections:"
                " audience may be a list.",
            )
