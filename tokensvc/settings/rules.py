"""The rules between settings. Each rule checks valid sections and yields what is wrong."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from tokensvc.access.grants import parse_channel_pattern
from tokensvc.arns import ChannelArn, Region
from tokensvc.errors import InvalidArn, Problem
from tokensvc.settings.model import (
    CustodySettings,
    DemoSettings,
    GrantSettings,
    IvsSettings,
    PlaybackSettings,
    RotationSettings,
    ServiceSettings,
    StateSettings,
)

_Sections = Mapping[str, Any]

STATE_SCHEMES = ("sqlite",)
PLANNED_STATE_SCHEMES = ("dynamodb",)
CUSTODY_SCHEMES = ("file",)
PLANNED_CUSTODY_SCHEMES = ("secretsmanager", "kms")


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
        _secret(sections, folder),
        _channels(sections),
        _grants(sections),
        _canary_channels(sections),
        _demo(sections),
    )


def is_loopback(host: str) -> bool:
    """Whether the host is a loopback address: 127.0.0.0/8, ::1 or `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
        case {"rotation": RotationSettings() as rotation} if (
            2 * rotation.state_refresh_seconds > rotation.view_max_age_seconds
        ):
            yield Problem(
                "rotation.state_refresh_seconds",
                "refresh_interval_too_long",
                f"{rotation.state_refresh_seconds} is too long: with a"
                f" rotation.view_max_age_seconds of {rotation.view_max_age_seconds}, one failed"
                " read of the state would stop signing. Lower it, or raise"
                f" rotation.view_max_age_seconds to {2 * rotation.state_refresh_seconds} or more.",
            )


def _url_schemes(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"state": StateSettings(url=url)}:
            yield from _url_scheme("state.url", url, STATE_SCHEMES, PLANNED_STATE_SCHEMES)
    match sections:
        case {"custody": CustodySettings(url=url)}:
            yield from _url_scheme("custody.url", url, CUSTODY_SCHEMES, PLANNED_CUSTODY_SCHEMES)


def _url_scheme(
    field: str, url: str, supported: tuple[str, ...], planned: tuple[str, ...]
) -> Iterator[Problem]:
    scheme, _, rest = url.partition(":")
    if scheme in supported and rest:
        return
    forms = " or ".join(f"{name}:PATH" for name in supported)
    if scheme in planned:
        message = f"This release does not support {scheme}: yet. Use {forms}."
        yield Problem(field, "not_supported_yet", message)
    else:
        message = f"{url!r} does not have a supported form. Use {forms}."
        yield Problem(field, "unknown_scheme", message)


def _secret(sections: _Sections, folder: Path) -> Iterator[Problem]:
    match sections:
        case {"custody": CustodySettings() as custody} if custody.url.startswith("file:"):
            yield from _key_encryption_secret(custody, folder)


def _key_encryption_secret(custody: CustodySettings, folder: Path) -> Iterator[Problem]:
    file, text = custody.key_encryption_secret_file, custody.key_encryption_secret
    if (file is None) == (text is None):
        yield Problem(
            "custody.key_encryption_secret_file",
            "one_secret",
            "Exactly one key-encryption secret is required, because the private keys are encrypted"
            " with it. Set either this or TOKENSVC_CUSTODY__KEY_ENCRYPTION_SECRET.",
        )
    previous_file = custody.previous_key_encryption_secret_file
    if previous_file is not None and custody.previous_key_encryption_secret is not None:
        yield Problem(
            "custody.previous_key_encryption_secret_file",
            "one_secret",
            "The previous key-encryption secret is set in two ways. Unset either this or"
            " TOKENSVC_CUSTODY__PREVIOUS_KEY_ENCRYPTION_SECRET.",
        )
    keys_folder = (folder / custody.url.removeprefix("file:")).resolve()
    for field, path in {
        "custody.key_encryption_secret_file": file,
        "custody.previous_key_encryption_secret_file": previous_file,
    }.items():
        if path is not None and (folder / path).resolve().is_relative_to(keys_folder):
            yield Problem(
                field,
                "secret_beside_keys",
                f"The secret is in {keys_folder}, the folder of the keys that are encrypted with"
                " it. A copy of the folder would contain both. Move the secret to another folder.",
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


def _channel_of_grant(field: str, channel: str, ivs: IvsSettings) -> Iterator[Problem]:
    try:
        pattern = parse_channel_pattern(channel)
    except InvalidArn:
        yield Problem(
            field,
            "unknown_channel",
            f"{channel!r} is not a channel. Use a name from [channels], the ARN of a channel, or"
            " arn:aws:ivs:REGION:ACCOUNT:channel/*.",
        )
    else:
        _, _, _, region, account_id, _ = pattern.split(":")
        yield from _region_and_account(field, region, account_id, ivs)


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


def _demo(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"demo": DemoSettings() as demo}:
            yield from _demo_names(demo, sections)
            yield from _demo_host(sections)


def _demo_names(demo: DemoSettings, sections: _Sections) -> Iterator[Problem]:
    names = {
        "channel": ("channels", demo.channel),
        "other_channel": ("channels", demo.other_channel),
        "grant": ("grants", demo.grant),
    }
    for field, (section, name) in names.items():
        if section in sections and name not in sections[section]:
            message = f"{name!r} is not in [{section}]. Use a name that is defined there."
            yield Problem(f"demo.{field}", "unknown_name", message)


def _demo_host(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"service": ServiceSettings(host=host)} if not is_loopback(host):
            yield Problem(
                "demo",
                "demo_on_loopback_only",
                "The player page gives playback URLs to anyone who can open it, and service.host is"
                f" {host}, which is not a loopback address. Set it to 127.0.0.1, or remove [demo].",
            )


def _grants_of(sections: _Sections) -> Iterable[tuple[str, GrantSettings]]:
    match sections:
        case {"grants": dict() as grants}:
            return grants.items()
        case _:
            return ()
