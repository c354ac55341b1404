"""The rules about what decides who may ask for what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokensvc.errors import Problem
from tokensvc.ivs.limits import MAX_STRICT_ORIGINS
from tokensvc.settings.grants import GrantSettings
from tokensvc.settings.model import CustodySettings, ServiceSettings
from tokensvc.settings.viewer_country import ViewerCountrySettings
from tokensvc.settings.viewer_ids import ViewerIdSettings


def viewer_id_rules(sections: Mapping[str, Any], folder: Path) -> Iterator[Problem]:
    """Every rule that the viewer ID secrets break.

    Args:
        sections: the sections that are valid by themselves, by name.
        folder: the folder of relative paths.
    """
    match sections:
        case {"viewer_ids": ViewerIdSettings() as viewer_ids}:
            if viewer_ids.secret is not None and viewer_ids.secret_file is not None:
                yield Problem(
                    "viewer_ids.secret_file",
                    "one_secret",
                    "The viewer ID secrets are set in two ways. Unset either this or"
                    " TOKENSVC_VIEWER_IDS__SECRET.",
                )
    match sections:
        case {
            "viewer_ids": ViewerIdSettings(secret_file=Path() as file),
            "custody": CustodySettings(files_url=str() as url),
        }:
            keys_folder = (folder / url.removeprefix("file:")).resolve()
            if (folder / file).resolve().is_relative_to(keys_folder):
                yield Problem(
                    "viewer_ids.secret_file",
                    "secret_beside_keys",
                    f"The secret is in {keys_folder}, the folder of the private keys and the state."
                    " A copy of that folder would then show who a viewer is. Move the"
                    " secret to another folder.",
                )


def viewer_country_rules(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """Every rule that the header with the country breaks."""
    match sections:
        case {"viewer_country": ViewerCountrySettings() as section}:
            yield from _header_rules(section)
            match sections:
                case {"service": ServiceSettings(trusted_proxies=())} if section.header:
                    yield Problem(
                        "service.trusted_proxies",
                        "missing",
                        "The header viewer_country.header counts only from these proxies. Name the"
                        " network of the proxy that adds it.",
                    )
            match sections:
                case {"grants": dict() as grants} if section.header is None:
                    for name, grant in grants.items():
                        yield from _rules_without_header(f"grants.{name}", grant)


def _header_rules(section: ViewerCountrySettings) -> Iterator[Problem]:
    secrets = sum(secret is not None for secret in (section.secret_file, section.secret))
    if section.header is None and section.secret_header is None and not secrets:
        return
    if section.header is None:
        yield Problem(
            "viewer_country.header", "missing", "Name the header in which the country is."
        )
    if section.secret_header is None:
        yield Problem(
            "viewer_country.secret_header",
            "missing",
            "Name the header with the secret. Without it, any client of the same CDN could send a"
            " country.",
        )
    elif section.header is not None and section.header.lower() == section.secret_header.lower():
        yield Problem(
            "viewer_country.secret_header",
            "same_header",
            "The country and the secret must be in two headers.",
        )
    if secrets != 1:
        yield Problem(
            "viewer_country.secret_file",
            "one_secret",
            "Exactly one secret is required. Set either this or TOKENSVC_VIEWER_COUNTRY__SECRET.",
        )


def _rules_without_header(field: str, grant: GrantSettings) -> Iterator[Problem]:
    if grant.viewer_id == "from-identity" and grant.countries and grant.unknown_country == "refuse":
        yield Problem(
            f"{field}.countries",
            "no_country_header",
            "This grant is only for viewers with a token of their own, whose country is not known"
            " without viewer_country.header: it would refuse everyone. Set that, or remove this.",
        )


def grant_rules(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """Every rule between the settings of one grant that a grant breaks."""
    match sections:
        case {"grants": dict() as grants}:
            for name, grant in grants.items():
                yield from _rules_of_grant(f"grants.{name}", grant)


def _rules_of_grant(field: str, grant: GrantSettings) -> Iterator[Problem]:
    if grant.viewer_id == "from-identity" and grant.acts_for_viewers:
        yield Problem(
            f"{field}.acts_for_viewers",
            "contradicts_viewer_id",
            "A caller that acts for viewers has no viewer ID of its own. Remove this, or set"
            " viewer_id to required.",
        )
    if grant.strict_origin_enforcement and len(grant.allowed_origins) > MAX_STRICT_ORIGINS:
        yield Problem(
            f"{field}.allowed_origins",
            "too_many_strict_origins",
            f"With strict_origin_enforcement, IVS accepts at most {MAX_STRICT_ORIGINS} origins."
            " Remove some, or use a pattern such as https://*.example.com.",
        )
