"""The rules between settings. Each rule checks valid sections and yields what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from tokensvc.arns import ChannelArn, ChannelPattern, Region
from tokensvc.errors import InvalidArn, Problem, SettingsInvalid
from tokensvc.settings.access_rules import (
    grant_rules,
    viewer_country_rules,
    viewer_id_rules,
)
from tokensvc.settings.custody_rules import custody_rules
from tokensvc.settings.entitlement_rules import entitlement_rules, one_secret
from tokensvc.settings.grants import GrantSettings
from tokensvc.settings.issuer_rules import issuer_rules
from tokensvc.settings.limits import LimitsSettings
from tokensvc.settings.model import (
    CustodySettings,
    IvsSettings,
    PlaybackSettings,
    RotationSettings,
    StateSettings,
)
from tokensvc.settings.notify import NotifySettings
from tokensvc.state.dynamodb_address import TableAddress

_Sections = Mapping[str, Any]

STATE_FORMS = {"sqlite": "sqlite:FILE", "dynamodb": "dynamodb:REGION/TABLE"}


def broken_rules(sections: _Sections, folder: Path) -> Iterable[Problem]:
    """Every rule that the sections break. A section that is missing is not checked.

    Args:
        sections: the sections that are valid by themselves, by name.
        folder: the folder of relative paths.
    """
    return chain(
        _lifetimes(sections),
        _refresh_interval(sections),
        _url_schemes(sections),
        _files_of_a_fleet(sections),
        custody_rules(sections, folder),
        viewer_id_rules(sections, folder),
        _channels(sections),
        _grants(sections),
        issuer_rules(sections),
        grant_rules(sections),
        viewer_country_rules(sections),
        _canary_channels(sections),
        _webhook_secret(sections),
        _limits(sections),
        entitlement_rules(sections),
    )


def _lifetimes(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"playback": PlaybackSettings(ttl_seconds=ttl, max_ttl_seconds=longest)}:
            if ttl > longest:
                yield Problem(
                    "playback.ttl_seconds",
                    "above_max_ttl_seconds",
                    f"{ttl} is more than playback.max_ttl_seconds ({longest}). Lower it, or raise"
                    " playback.max_ttl_seconds.",
                )
            for name, grant in _grants_of(sections):
                if (grant.max_ttl_seconds or 0) > longest:
                    yield Problem(
                        f"grants.{name}.max_ttl_seconds",
                        "above_max_ttl_seconds",
                        f"{grant.max_ttl_seconds} is more than playback.max_ttl_seconds"
                        f" ({longest}), the limit for all tokens. Lower it, or raise"
                        " playback.max_ttl_seconds.",
                    )


def _refresh_interval(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"rotation": RotationSettings() as rotation}:
            interval, max_age = rotation.state_refresh_seconds, rotation.ring_max_age_seconds
            yield from _interval_against("rotation.ring_max_age_seconds", max_age, interval)
    match sections:
        case {"rotation": RotationSettings() as rotation, "state": StateSettings() as state}:
            interval, max_age = rotation.state_refresh_seconds, state.access_max_age_seconds
            yield from _interval_against("state.access_max_age_seconds", max_age, interval)


def _interval_against(name: str, max_age: int, interval: int) -> Iterator[Problem]:
    if 2 * interval > max_age:
        yield Problem(
            "rotation.state_refresh_seconds",
            "refresh_interval_too_long",
            f"{interval} is too long: with a {name} of {max_age}, one failed read of the state"
            f" would stop signing. Lower it, or raise {name} to {2 * interval} or more.",
        )


def _url_schemes(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"state": StateSettings(url=url)}:
            yield from _url_scheme("state.url", url, STATE_FORMS)
            yield from _table_address(url)


def _url_scheme(field: str, url: str, supported: Mapping[str, str]) -> Iterator[Problem]:
    scheme, _, rest = url.partition(":")
    if scheme not in supported or not rest:
        forms = " or ".join(supported.values())
        message = f"{url!r} does not have a supported form. Use {forms}."
        yield Problem(field, "unknown_scheme", message)


def _table_address(url: str) -> Iterator[Problem]:
    scheme, _, rest = url.partition(":")
    if scheme == "dynamodb" and rest:
        try:
            TableAddress.parse(rest)
        except SettingsInvalid as exc:
            yield Problem("state.url", "table_address", str(exc))


def _files_of_a_fleet(sections: _Sections) -> Iterator[Problem]:
    """A worker on another machine would not find the private key that the shared ring names."""
    match sections:
        case {"state": StateSettings(url=state), "custody": CustodySettings() as custody} if (
            state.startswith("dynamodb:")
            and custody.url.startswith("file:")
            and not custody.single_host
        ):
            yield Problem(
                "custody.url",
                "files_of_a_fleet",
                "The state is in DynamoDB, for several machines, but the private keys are in files"
                " of this one. Set custody.url to secretsmanager:PREFIX or kms:ALIAS_PREFIX. Or, if"
                " every process runs on this machine, set custody.single_host to true.",
            )


def _webhook_secret(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"notify": NotifySettings() as notify}:
            yield from one_secret(
                notify.webhook_url,
                (notify.webhook_secret_file, notify.webhook_secret),
                "notify.webhook_url",
                "notify.webhook_secret",
            )


def _limits(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"limits": LimitsSettings(caller_burst=burst, caller_per_second=None)} if burst:
            yield Problem(
                "limits.caller_per_second",
                "missing",
                "limits.caller_burst is set, but there is no limit that it belongs to. Set this, or"
                " unset limits.caller_burst.",
            )


def _channels(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"ivs": IvsSettings() as ivs, "channels": dict() as channels}:
            for name, arn in channels.items():
                yield from _region_and_account(f"channels.{name}", arn.region, arn.account_id, ivs)


def _grants(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"ivs": IvsSettings() as ivs, "channels": dict() as channels}:
            for name, grant in _grants_of(sections):
                for channel in grant.channels:
                    if channel not in channels:
                        yield from _channel_of_grant(f"grants.{name}.channels", channel, ivs)


def _channel_of_grant(
    field: str, channel: ChannelPattern | str, ivs: IvsSettings
) -> Iterator[Problem]:
    if isinstance(channel, ChannelPattern):
        yield from _region_and_account(field, channel.region, channel.account_id, ivs)
    else:
        yield Problem(
            field,
            "unknown_channel",
            f"{channel!r} is not a channel. Use a name from [channels], the ARN of a channel, or"
            " arn:aws:ivs:REGION:ACCOUNT:channel/*.",
        )


def _canary_channels(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {
            "ivs": IvsSettings() as ivs,
            "channels": dict() as channels,
            "rotation": RotationSettings(canary_channels=canary_channels),
        }:
            field = "rotation.canary_channels"
            regions: set[Region] = set()
            for text in canary_channels:
                try:
                    arn = channels.get(text) or ChannelArn.parse(text)
                except InvalidArn:
                    yield Problem(
                        field,
                        "unknown_channel",
                        f"{text!r} is not a channel. Use a name from [channels] or the ARN of a"
                        " channel.",
                    )
                    continue
                yield from _region_and_account(field, arn.region, arn.account_id, ivs)
                if arn.region in regions:
                    yield Problem(
                        field,
                        "one_per_region",
                        f"The region {arn.region} has more than one canary channel. Name only one.",
                    )
                regions.add(arn.region)


def _region_and_account(
    field: str, region: str, account_id: str, ivs: IvsSettings
) -> Iterator[Problem]:
    if region not in ivs.regions:
        yield Problem(
            field,
            "other_region",
            f"The region {region} is not in ivs.regions. Add it there, or use a channel in one of"
            " those regions.",
        )
    if account_id != ivs.account_id:
        yield Problem(
            field,
            "other_account",
            f"The channel is in account {account_id}, but ivs.account_id is {ivs.account_id}. Use a"
            " channel in that account.",
        )


def _grants_of(sections: _Sections) -> Iterable[tuple[str, GrantSettings]]:
    match sections:
        case {"grants": dict() as grants}:
            return grants.items()
        case _:
            return ()
