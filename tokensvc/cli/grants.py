"""`tokensvc grants`: show what the settings allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from tokensvc.access import api_keys
from tokensvc.access import grants as access
from tokensvc.access.api_keys import ApiKeys
from tokensvc.access.callers import Caller
from tokensvc.access.grants import Grant, Limits
from tokensvc.access.requests import PlaybackRequest
from tokensvc.arns import ChannelArn
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import json_option, print_json, print_table
from tokensvc.cli.params import CONFIGURED_CHANNEL
from tokensvc.errors import TokensvcError
from tokensvc.token.claims import PlaybackOptions, Resolution


@click.group()
def grants() -> None:
    """Show what the grants in the settings allow."""


@grants.command()
@click.option("--as", "key", required=True, metavar="KEY", help="The API key: its ID or name.")
@click.option("--channel", required=True, type=CONFIGURED_CHANNEL, help="A name, or an ARN.")
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
def explain(  # noqa: PLR0913 # One parameter for each option.
    invocation: Invocation,
    *,
    key: str,
    channel: ChannelArn,
    ttl_seconds: int | None,
    viewer_id: str | None,
    origins: tuple[str, ...],
    single_use: bool,
    maximum_resolution: str | None,
    as_json: bool,
) -> None:
    """Show step by step what an API key gets for a request, and which grant limits it.

    The exit status is 1 if the request is refused. Calls no operation of IVS.
    """
    settings = invocation.settings
    found = ApiKeys.decode(invocation.state.load(api_keys.DOCUMENT_NAME)).find(key)
    caller = Caller(found.key_id, found.name, found.grants, found.scopes)
    request = PlaybackRequest(
        channel=str(channel),
        ttl_seconds=ttl_seconds,
        viewer_id=viewer_id,
        allowed_origins=origins,
        single_use=single_use,
        maximum_resolution=Resolution(maximum_resolution) if maximum_resolution else None,
    )
    configured = settings.grants_by_name()
    rows = [_row(name, configured.get(name), channel) for name in caller.grants]
    decision = _decision(configured, caller, channel, request, settings.playback_limits())
    if as_json:
        print_json(
            {
                "caller": {"key_id": caller.caller_id, "name": caller.name},
                "channel_arn": str(channel),
                "grants": rows,
                **decision,
            }
        )
    else:
        click.echo(f"{caller.name} ({caller.caller_id}) requests {channel}.")
        print_table(
            ("GRANT", "APPLIES", "MAX TTL", "ORIGINS", "RESOLUTION", "VIEWER ID"),
            [tuple(_shown(value) for value in row.values()) for row in rows],
        )
        click.echo(_sentence(decision))
    if decision["decision"] == "refused":
        raise click.exceptions.Exit(1)


def _row(name: str, grant: Grant | None, channel: ChannelArn) -> dict[str, Any]:
    if grant is None:
        return _members(name, "not in the settings", None)
    if not grant.covers(channel):
        return _members(name, "for other channels", None)
    return _members(name, "yes", grant)


def _members(name: str, applies: str, grant: Grant | None) -> dict[str, Any]:
    return {
        "name": name,
        "applies": applies,
        "max_ttl_seconds": grant and grant.max_ttl_seconds,
        "allowed_origins": grant and list(grant.allowed_origins),
        "maximum_resolution": grant and grant.maximum_resolution,
        "viewer_id": grant and grant.viewer_id,
    }


def _decision(
    configured: Mapping[str, Grant],
    caller: Caller,
    channel: ChannelArn,
    request: PlaybackRequest,
    limits: Limits,
) -> dict[str, Any]:
    try:
        grant = access.scope(configured, caller, channel)
        granted = access.decide(grant, caller, request, limits)
    except TokensvcError as exc:
        return {"decision": "refused", "code": exc.code, "detail": exc.detail, "hint": exc.hint}
    # The ring may lower it further, which needs IVS's region to have one.
    options = granted.options(limits.max_ttl_seconds)
    return {"decision": "granted", "grant": grant.name, **_options(options)}


def _options(options: PlaybackOptions) -> dict[str, Any]:
    return {
        "ttl_seconds": options.ttl_seconds,
        "allowed_origins": list(options.allowed_origins),
        "maximum_resolution": options.maximum_resolution,
    }


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "any"
    return "-" if value is None else str(value)


def _sentence(decision: Mapping[str, Any]) -> str:
    if decision["decision"] == "refused":
        return f"Refused ({decision['code']}): {decision['detail']}\n{decision['hint']}"
    resolution = decision["maximum_resolution"] or "any"
    return (
        f"Granted under {decision['grant']}: a lifetime of {decision['ttl_seconds']} s,"
        f" origins: {_shown(decision['allowed_origins'])}, resolution: {resolution}."
    )
