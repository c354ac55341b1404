"""`tokensvc serve --check`: check what a start and the first request need, without serving."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from functools import partial

import click

from tokensvc.access import api_keys
from tokensvc.access.api_keys import ApiKeys
from tokensvc.access.oidc.fetching import KeySource
from tokensvc.arns import Region
from tokensvc.aws import endpoint_of
from tokensvc.cli.context import Invocation
from tokensvc.cli.viewers import recorded_viewer_ids
from tokensvc.errors import IssuerUnavailable, SettingsInvalid, TokensvcError
from tokensvc.keyring.checks.examination import unusable_private_keys
from tokensvc.keyring.emergency import signing_pair
from tokensvc.keyring.ring_document import ring_missing
from tokensvc.settings import Settings, config_file
from tokensvc.settings.issuers import IssuerSettings
from tokensvc.settings.model import ServiceSettings
from tokensvc.telemetry.otel_extra import require_otel

Check = Callable[[], str]
"""Returns a description of what it checked; raises TokensvcError when the check fails."""


def run_checks(invocation: Invocation) -> None:
    """Run every check and print a line for each.

    Raises:
        SettingsInvalid: when the settings are wrong; then nothing else is checked.
        click.exceptions.Exit: with status 1 when a check fails.
    """
    _ = invocation.settings
    # A list, so that every check runs and every failure is printed.
    passed = [_run_check(name, check) for name, check in _checks(invocation)]
    if not all(passed):
        raise click.exceptions.Exit(1)


def _run_check(name: str, check: Check) -> bool:
    """Print the result of the check. Returns whether it passed."""
    try:
        description = check()
    except TokensvcError as exc:
        click.echo(f"FAILED  {name}: {exc}")
        return False
    click.echo(f"ok      {name}: {description}")
    return True


def _checks(invocation: Invocation) -> Iterator[tuple[str, Check]]:
    settings = invocation.settings
    yield "settings", partial(_settings, invocation)
    yield "address", partial(_address, settings.service)
    if settings.tracing.endpoint is not None:
        yield "tracing", partial(_tracing, settings.tracing.endpoint)
    yield "state", partial(_state, invocation)
    # One in AWS is checked with its key pairs: the role of a worker can't list what is in it.
    if not settings.custody.is_in_aws:
        yield "custody", partial(_custody, invocation)
    for region in settings.ivs.regions:
        yield f"key pair of {region}", partial(_key_pair, invocation, region)
        yield f"AWS in {region}", partial(_aws, invocation, region)
    if settings.viewer_country.header is not None:
        yield "viewer country", partial(_viewer_country, settings)
    if settings.issuers:
        yield "viewer IDs", partial(_viewer_ids, invocation)
    for name, issuer in settings.issuers.items():
        yield f"issuer {name}", partial(_issuer, name, issuer)


def _settings(invocation: Invocation) -> str:
    path = config_file(invocation.config, invocation.environment)
    return "environment variables only" if path is None else str(path)


def _address(service: ServiceSettings) -> str:
    """Bind to the address as gunicorn does, without listening: that disturbs no running service."""
    family = socket.AF_INET6 if ":" in service.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((service.host, service.port))
    except (OSError, ValueError) as exc:  # ValueError: not even the form of a host name.
        if isinstance(exc, OSError) and exc.errno == errno.EADDRINUSE:
            return f"{service.address} is in use, by this service if it runs"
        raise SettingsInvalid(
            f"The service can't listen on {service.address}"
            f" ({getattr(exc, 'strerror', None) or 'not a host name'}).",
            hint="Set service.host to an address of this machine, such as 127.0.0.1 or 0.0.0.0, and"
            " service.port to a port that this user may use.",
        ) from exc
    return f"{service.address} is free"


def _tracing(endpoint: str) -> str:
    require_otel()
    return f"to {endpoint}"


def _state(invocation: Invocation) -> str:
    keys = ApiKeys.decode(invocation.state.load(api_keys.DOCUMENT_NAME)).keys
    return f"{invocation.settings.state.url}, with {_count(len(keys), 'API key', 'API keys')}"


def _custody(invocation: Invocation) -> str:
    """A custody of files has the private keys of all regions."""
    key_ids = invocation.custody(invocation.settings.ivs.regions[0]).key_ids()
    private_keys = _count(len(key_ids), "private key", "private keys")
    return f"{' and '.join(invocation.settings.custody.urls)}, with {private_keys}"


def _key_pair(invocation: Invocation, region: Region) -> str:
    ring = invocation.ring(region)
    if ring is None:
        raise ring_missing(region)
    active = signing_pair(ring)
    unusable = dict(unusable_private_keys(invocation.custody(region), ring))
    if (failure := unusable.pop(active.key_id, None)) is not None:
        raise failure
    # A start does not need the other keys. `tokensvc keys doctor` reports the errors.
    others = "".join(f"; the private key of {key_id} can't be used" for key_id in unusable)
    return f"{active.key_id} is active{others}"


def _aws(invocation: Invocation, region: Region) -> str:
    return f"credentials for {endpoint_of(invocation.clients.ivs(region))}"


def _viewer_ids(invocation: Invocation) -> str:
    fingerprints = recorded_viewer_ids(invocation).fingerprints
    return f"under {_count(len(fingerprints), 'secret', 'secrets')}"


def _issuer(name: str, issuer: IssuerSettings) -> str:
    """A service starts without the keys, and fetches them when it can."""
    source = KeySource(name, issuer.issuer, issuer.jwks_url, ca_file=issuer.ca_file)
    try:
        keys = source.fetch()
    except IssuerUnavailable as exc:
        return f"not available now. {exc}"
    return f"{issuer.issuer}, with {_count(len(keys.keys), 'usable key', 'usable keys')}"


def _viewer_country(settings: Settings) -> str:
    settings.viewer_country.client_countries(settings.service.trusted_proxies)
    proxies = ", ".join(map(str, settings.service.trusted_proxies))
    return f"{settings.viewer_country.header}, from {proxies}"


def _count(number: int, singular: str, plural: str) -> str:
    return f"{number} {singular if number == 1 else plural}"
