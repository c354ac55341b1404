"""`tokensvc grants`: show what the settings allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from tokensvc.access import api_keys
from tokensvc.access.api_keys import ApiKeys
from tokensvc.access.callers import Caller, Identity, caller_id_of_user
from tokensvc.access.countries import country_in
from tokensvc.access.explaining import Explanation, GrantUse, explain
from tokensvc.access.oidc.callers import scopes_of
from tokensvc.access.requests import PlaybackRequest
from tokensvc.arns import ChannelArn
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import json_option, print_json, print_table
from tokensvc.cli.params import CONFIGURED_CHANNEL, complete_issuer
from tokensvc.settings.grants import claim_value
from tokensvc.settings.viewer_id_secrets import viewer_ids_of
from tokensvc.token.claims import Resolution

_OWN_VIEWER_ID = "own"
"""Stands for the viewer ID of a user whose subject is not given."""


@click.group()
def grants() -> None:
    """Show what the grants in the settings allow."""


def _claims(
    _context: click.Context, _parameter: click.Parameter, texts: Sequence[str]
) -> dict[str, object]:
    """The claims of several NAME=VALUE. Raises click.BadParameter."""
    claims: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE.")
        claims[name] = claim_value(value)
    return claims


def _country(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    if text is not None and country_in(text) is None:
        raise click.BadParameter(f"{text!r} is not a country code of ISO 3166-1 alpha-2.")
    return text


@grants.command(name="explain")
@click.option("--as", "key", metavar="KEY", help="The API key of the caller: its ID or name.")
@click.option(
    "--issuer",
    metavar="NAME",
    shell_complete=complete_issuer,
    help="The issuer of the caller's token: [issuers.NAME].",
)
@click.option(
    "--claim",
    "claims",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_claims,
    help="A claim of that token. The value is JSON where it is valid JSON. Can be repeated.",
)
@click.option("--channel", required=True, type=CONFIGURED_CHANNEL, help="A name, or an ARN.")
@click.option(
    "--country",
    callback=_country,
    metavar="CODE",
    help="The viewer's country, as a trusted proxy names it, or a backend. Default: not known.",
)
@click.option("--ttl-seconds", type=click.IntRange(min=1), help="The requested lifetime.")
@click.option("--viewer-id", help="The requested viewer ID.")
@click.option("--origin", "origins", multiple=True, help="A requested origin. Can be repeated.")
@click.option("--single-use", is_flag=True, help="The request is for single use.")
@click.option(
    "--maximum-resolution",
    type=click.Choice([one.value for one in Resolution]),
    help="The requested resolution.",
)
@json_option
@pass_invocation
def explain_(  # noqa: PLR0913 # One parameter for each option.
    invocation: Invocation,
    *,
    key: str | None,
    issuer: str | None,
    claims: dict[str, object],
    channel: ChannelArn,
    country: str | None,
    ttl_seconds: int | None,
    viewer_id: str | None,
    origins: tuple[str, ...],
    single_use: bool,
    maximum_resolution: str | None,
    as_json: bool,
) -> None:
    """Show step by step what a caller gets for a request, and which grant limits it.

    The caller has an API key, or a token of an issuer with the given claims; `--claim sub=SUBJECT`
    shows the viewer ID of that user. Bans and the entitlement hook are not asked.

    The exit status is 1 if the request is refused. Calls no operation of IVS.
    """
    settings = invocation.settings
    explanation = explain(
        settings.grants_by_name(),
        caller := _caller(invocation, key, issuer, claims),
        channel,
        PlaybackRequest(
            channel=str(channel),
            ttl_seconds=ttl_seconds,
            viewer_id=viewer_id,
            allowed_origins=origins,
            single_use=single_use,
            maximum_resolution=Resolution(maximum_resolution) if maximum_resolution else None,
        ),
        settings.playback_limits(),
        now=invocation.clock.now(),
        country=country,
    )
    if as_json:
        print_json(_document(explanation, caller, channel))
    else:
        _print(explanation, caller, channel)
    if explanation.refusal is not None:
        raise click.exceptions.Exit(1)


def _caller(
    invocation: Invocation, key: str | None, issuer: str | None, claims: Mapping[str, object]
) -> Caller:
    if (key is None) == (issuer is None):
        raise click.UsageError("Name the caller by either --as or --issuer.")
    if key is not None:
        if claims:
            raise click.UsageError("An API key has no claims. Use --claim with --issuer.")
        found = ApiKeys.decode(invocation.state.load(api_keys.DOCUMENT_NAME)).find(key)
        return Caller(found.key_id, found.name, found.grants, found.scopes)
    settings = invocation.settings
    if issuer not in settings.issuers:
        known = ", ".join(settings.issuers) or "none. Add a section [issuers.NAME]"
        raise click.BadParameter(
            f"The settings have no issuer {issuer!r}. Configured issuers: {known}.",
            param_hint="--issuer",
        )
    terms = settings.issuers[issuer].terms(issuer)
    subject = claims.get("sub")
    viewer_ids = (
        viewer_ids_of(settings.viewer_ids).of(terms.issuer, subject)
        if isinstance(subject, str)
        else (_OWN_VIEWER_ID,)
    )
    identity = Identity(terms.issuer, str(subject), viewer_ids, {"iss": terms.issuer, **claims})
    caller_id = caller_id_of_user(issuer, viewer_ids[0])
    return Caller(caller_id, issuer, terms.grants, scopes_of(claims, terms), identity)


def _document(explanation: Explanation, caller: Caller, channel: ChannelArn) -> dict[str, Any]:
    return {
        "caller": {"key_id": caller.caller_id, "name": caller.name},
        "channel_arn": str(channel),
        "grants": [_row(use) for use in explanation.uses],
        "steps": [step.members() for step in explanation.steps],
        **_decision(explanation),
    }


def _row(use: GrantUse) -> dict[str, Any]:
    grant = use.grant if use.applies == "yes" else None
    return {
        "name": use.name,
        "applies": use.applies,
        "unmet": list(use.unmet),
        "max_ttl_seconds": grant and grant.max_ttl_seconds,
        "allowed_origins": grant and list(grant.allowed_origins),
        "maximum_resolution": grant and grant.maximum_resolution,
        "viewer_id": grant and grant.viewer_id,
        "countries": grant and (grant.countries and sorted(grant.countries)),
        "max_watch_seconds": grant and grant.max_watch_seconds,
    }


def _decision(explanation: Explanation) -> dict[str, Any]:
    refusal, granted, options = explanation.refusal, explanation.granted, explanation.options
    if refusal is not None or granted is None or options is None:
        return {
            "decision": "refused",
            "code": refusal and refusal.code,
            "rule": refusal and refusal.rule,
            "detail": refusal and refusal.detail,
            "hint": refusal and refusal.hint,
        }
    return {
        "decision": "granted",
        "grant": granted.grant.name,
        "viewer_id": granted.request.viewer_id,
        "country": granted.country,
        "ttl_seconds": options.ttl_seconds,
        "allowed_origins": list(options.allowed_origins),
        "strict_origin_enforcement": options.strict_origin_enforcement,
        "single_use": options.single_use,
        "maximum_resolution": options.maximum_resolution,
    }


def _print(explanation: Explanation, caller: Caller, channel: ChannelArn) -> None:
    click.echo(f"{caller.name} ({caller.caller_id}) requests {channel}.")
    print_table(
        (
            "GRANT",
            "APPLIES",
            "NOT MET",
            "MAX TTL",
            "ORIGINS",
            "RESOLUTION",
            "VIEWER ID",
            "COUNTRIES",
            "MAX WATCH",
        ),
        [tuple(_shown(value) for value in _row(use).values()) for use in explanation.uses],
    )
    print_table(
        ("STEP", "RESULT", ""),
        [tuple(step.members().values()) for step in explanation.steps],
    )
    if explanation.refusal is not None:
        click.echo(f"Refused ({explanation.refusal.code}, rule {explanation.refusal.rule}).")
        click.echo(explanation.refusal.hint)
    elif explanation.granted is not None:
        click.echo(f"Granted under {explanation.granted.grant.name}.")


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "-"
    return "-" if value is None else str(value)
