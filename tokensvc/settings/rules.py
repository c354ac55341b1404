"""The rules between settings: each looks at the sections that hold, and tells what does not fit."""

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
STATE_SCHEMES_TO_COME = ("dynamodb",)
CUSTODY_SCHEMES = ("file",)
CUSTODY_SCHEMES_TO_COME = ("secretsmanager", "kms")


def broken_rules(sections: _Sections, folder: Path) -> Iterable[Problem]:
    """Every rule that the sections break; a section that is missing is not looked at.

    Args:
        sections: the sections that hold by themselves, by name.
        folder: what relative paths are relative to.
    """
    return chain(
        _lifetimes(sections),
        _refreshing(sections),
        _schemes(sections),
        _secret(sections, folder),
        _channels(sections),
        _grants(sections),
        _canaries(sections),
        _demo(sections),
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that host: 127.0.0.0/8, ::1 or `localhost`."""
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
                    f"{ttl} is more than playback.max_ttl_seconds, which is {longest}.",
                )
            for name, grant in _grants_of(sections):
                if (grant.max_ttl_seconds or 0) > longest:
                    yield Problem(
                        f"grants.{name}.max_ttl_seconds",
                        "above_max_ttl_seconds",
                        f"{grant.max_ttl_seconds} is more than playback.max_ttl_seconds, which is"
                        f" {longest}: no token may live longer.",
                    )


def _refreshing(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"rotation": RotationSettings() as rotation} if (
            2 * rotation.state_refresh_seconds > rotation.view_max_age_seconds
        ):
            yield Problem(
                "rotation.state_refresh_seconds",
                "refreshed_too_seldom",
                f"{rotation.state_refresh_seconds} is more than half of"
                f" rotation.view_max_age_seconds ({rotation.view_max_age_seconds}): one failed"
                " look at the state would stop the signing.",
            )


def _schemes(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"state": StateSettings(url=url)}:
            yield from _scheme("state.url", url, STATE_SCHEMES, STATE_SCHEMES_TO_COME)
    match sections:
        case {"custody": CustodySettings(url=url)}:
            yield from _scheme("custody.url", url, CUSTODY_SCHEMES, CUSTODY_SCHEMES_TO_COME)


def _scheme(
    field: str, url: str, served: tuple[str, ...], to_come: tuple[str, ...]
) -> Iterator[Problem]:
    scheme, _, rest = url.partition(":")
    if scheme in served and rest:
        return
    usable = " or ".join(f"{name}:PATH" for name in served)
    if scheme in to_come:
        yield Problem(
            field, "not_yet", f"{scheme}: is not served yet by this version. Use {usable}."
        )
    else:
        yield Problem(field, "unknown_scheme", f"{url!r} is not of the form {usable}.")


def _secret(sections: _Sections, folder: Path) -> Iterator[Problem]:
    match sections:
        case {"custody": CustodySettings() as custody} if custody.url.startswith("file:"):
            yield from _secret_of_files(custody, folder)


def _secret_of_files(custody: CustodySettings, folder: Path) -> Iterator[Problem]:
    file, text = custody.key_encryption_secret_file, custody.key_encryption_secret
    if (file is None) == (text is None):
        yield Problem(
            "custody.key_encryption_secret_file",
            "one_secret",
            "Set either this or TOKENSVC_CUSTODY__KEY_ENCRYPTION_SECRET, and not both: the"
            " private keys are encrypted under it.",
        )
    previous_file = custody.previous_key_encryption_secret_file
    if previous_file is not None and custody.previous_key_encryption_secret is not None:
        yield Problem(
            "custody.previous_key_encryption_secret_file",
            "one_secret",
            "Set either this or TOKENSVC_CUSTODY__PREVIOUS_KEY_ENCRYPTION_SECRET, and not both.",
        )
    keys = (folder / custody.url.removeprefix("file:")).resolve()
    for field, path in {
        "custody.key_encryption_secret_file": file,
        "custody.previous_key_encryption_secret_file": previous_file,
    }.items():
        if path is not None and (folder / path).resolve().is_relative_to(keys):
            yield Problem(
                field,
                "secret_beside_keys",
                f"It lies in {keys}, beside the keys that it encrypts: whoever copies the folder"
                " has both. Move it elsewhere.",
            )


def _channels(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"ivs": IvsSettings() as ivs, "channels": dict() as channels}:
            for name, arn in channels.items():
                yield from _elsewhere(f"channels.{name}", arn.region, arn.account_id, ivs)


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
            f"{channel!r} is no name from [channels], no channel's ARN, and not of the form"
            " arn:aws:ivs:REGION:ACCOUNT:channel/*.",
        )
    else:
        _, _, _, region, account_id, _ = pattern.split(":")
        yield from _elsewhere(field, region, account_id, ivs)


def _canaries(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {
            "ivs": IvsSettings() as ivs,
            "channels": dict() as channels,
            "rotation": RotationSettings(canary_channels=canaries),
        }:
            regions: set[Region] = set()
            for text in canaries:
                try:
                    arn = channels.get(text) or ChannelArn.parse(text)
                except InvalidArn:
                    yield Problem(
                        "rotation.canary_channels",
                        "unknown_channel",
                        f"{text!r} is no name from [channels] and no channel's ARN.",
                    )
                    continue
                yield from _elsewhere("rotation.canary_channels", arn.region, arn.account_id, ivs)
                if arn.region in regions:
                    yield Problem(
                        "rotation.canary_channels",
                        "one_for_each_region",
                        f"There are several of {arn.region}; one is asked.",
                    )
                regions.add(arn.region)


def _elsewhere(field: str, region: str, account_id: str, ivs: IvsSettings) -> Iterator[Problem]:
    if region not in ivs.regions:
        yield Problem(
            field, "other_region", f"The region {region} is not among those of ivs.regions."
        )
    if account_id != ivs.account_id:
        yield Problem(
            field,
            "other_account",
            f"The account {account_id} is not {ivs.account_id}, which ivs.account_id names.",
        )


def _demo(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"demo": DemoSettings() as demo}:
            yield from _demo_names(demo, sections)
            yield from _demo_host(sections)


def _demo_names(demo: DemoSettings, sections: _Sections) -> Iterator[Problem]:
    named = {
        "channel": ("channels", demo.channel),
        "other_channel": ("channels", demo.other_channel),
        "grant": ("grants", demo.grant),
    }
    for field, (section, name) in named.items():
        if section in sections and name not in sections[section]:
            yield Problem(f"demo.{field}", "unknown_name", f"Name one from [{section}].")


def _demo_host(sections: _Sections) -> Iterator[Problem]:
    match sections:
        case {"service": ServiceSettings(host=host)} if not is_loopback(host):
            yield Problem(
                "demo",
                "demo_on_loopback_only",
                f"The player page hands out playback URLs to whoever opens it, and service.host is"
                f" {host}. Use 127.0.0.1, or leave [demo] out.",
            )


def _grants_of(sections: _Sections) -> Iterable[tuple[str, GrantSettings]]:
    match sections:
        case {"grants": dict() as grants}:
            return grants.items()
        case _:
            return ()
