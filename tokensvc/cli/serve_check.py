"""`tokensvc serve --check`: what a start and the first request need, looked at without serving."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import urlsplit

import click

from tokensvc.access import api_keys
from tokensvc.access.api_keys import ApiKeys
from tokensvc.arns import Region
from tokensvc.aws import endpoint_of
from tokensvc.bootstrap import build_custody
from tokensvc.cli.invocation import Invocation
from tokensvc.errors import SettingsInvalid, TokensvcError
from tokensvc.keyring.doctor.examination import unusable_private_keys
from tokensvc.keyring.store import RingStore, no_ring_yet
from tokensvc.settings import config_file
from tokensvc.settings.rules import is_loopback

Look = Callable[[], str]
"""Says what was found; raises TokensvcError when that won't do."""


def check(invocation: Invocation) -> None:
    """Print a line for each thing that is looked at.

    Raises:
        SettingsInvalid: when there are no settings to look at anything with.
        click.exceptions.Exit: with status 1 when something won't do.
    """
    _ = invocation.settings
    # A list, as all are looked at: all that is wrong is told at once.
    will_do = [_told(what, look) for what, look in _looks(invocation)]
    if not all(will_do):
        raise click.exceptions.Exit(1)


def _told(what: str, look: Look) -> bool:
    """Whether it will do."""
    try:
        found = look()
    except TokensvcError as exc:
        click.echo(f"FAILED  {what}: {exc}")
        return False
    click.echo(f"ok      {what}: {found}")
    return True


def _looks(invocation: Invocation) -> Iterator[tuple[str, Look]]:
    settings = invocation.settings
    yield "settings", partial(_settings, invocation)
    yield "state", partial(_state, invocation)
    yield "custody", partial(_custody, invocation)
    for region in settings.ivs.regions:
        yield f"key pair of {region}", partial(_key_pair, invocation, region)
        yield f"AWS in {region}", partial(_aws, invocation, region)
    if settings.demo is not None:
        region = settings.channels[settings.demo.channel].region
        yield "player page", partial(_player_page, invocation, region)


def _settings(invocation: Invocation) -> str:
    path = config_file(invocation.config, invocation.environment)
    return "the environment alone" if path is None else str(path)


def _state(invocation: Invocation) -> str:
    keys = ApiKeys.decode(invocation.state.load(api_keys.DOCUMENT_NAME)).keys
    return f"{invocation.settings.state.url}, with {_count(len(keys), 'API key', 'API keys')}"


def _custody(invocation: Invocation) -> str:
    key_ids = build_custody(invocation.settings.custody, invocation.clock).key_ids()
    held = _count(len(key_ids), "private half", "private halves")
    return f"{invocation.settings.custody.url}, with {held}"


def _key_pair(invocation: Invocation, region: Region) -> str:
    stored = RingStore(invocation.state, region).load()
    if stored is None:
        raise no_ring_yet(region)
    active = stored.ring.require_active()
    custody = build_custody(invocation.settings.custody, invocation.clock)
    unusable = dict(unusable_private_keys(custody, stored.ring))
    if (failure := unusable.pop(active.key_id, None)) is not None:
        raise failure
    # What only the next switch needs stops no start: `tokensvc keys doctor` says more.
    others = "".join(f"; {key_id} can't be used here yet" for key_id in unusable)
    return f"{active.key_id} signs{others}"


def _aws(invocation: Invocation, region: Region) -> str:
    return f"credentials for {endpoint_of(invocation.clients.ivs(region))}"


def _player_page(invocation: Invocation, region: Region) -> str:
    endpoint = endpoint_of(invocation.clients.ivs(region))
    if not is_loopback(urlsplit(endpoint).hostname or ""):
        raise SettingsInvalid(
            f"The demo plays from loopback only, which {endpoint} is not.",
            hint="Set AWS_ENDPOINT_URL_IVS to a Local IVS, or leave [demo] out.",
        )
    return f"plays from {endpoint}"


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
