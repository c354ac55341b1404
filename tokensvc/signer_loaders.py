"""Builds what loads signers from the custody of the settings, for workers and commands alike.

A key pair stays in the custody in which it was made. While `custody.former_url` is set, each
private key is loaded from the one of the two that its handle names.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from tokensvc.arns import Region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.clock import Clock
from tokensvc.errors import SettingsInvalid
from tokensvc.keyring.custody.file_signers import FileSigners
from tokensvc.keyring.custody.handles import SignersByHandle
from tokensvc.keyring.custody.kms_signers import KmsSigners
from tokensvc.keyring.custody.secret_signers import SecretSigners
from tokensvc.keyring.signers import SignerLoader
from tokensvc.settings import Settings
from tokensvc.settings.custody_secrets import key_encryption_secrets
from tokensvc.settings.model import CustodySettings


def build_signer_loaders(
    settings: Settings, clients: AwsClients, clock: Clock
) -> Mapping[Region, SignerLoader]:
    """The loader of each region. One for files has the private keys of all regions.

    Raises:
        SettingsInvalid: when a URL has another scheme, or the secret can't be used.
    """
    custody, regions = settings.custody, settings.ivs.regions
    if custody.is_in_aws:
        return {region: build_signer_loader(custody, region, clients, clock) for region in regions}
    return dict.fromkeys(regions, build_signer_loader(custody, regions[0], clients, clock))


def build_signer_loader(
    settings: CustodySettings, region: Region, clients: AwsClients, clock: Clock
) -> SignerLoader:
    """Loads signers of that region's private keys from the custodies of the settings.

    Raises:
        SettingsInvalid: when a URL has another scheme, or the secret can't be used.
    """
    loaders = {
        scheme_of_url(url): _loader_at(url, settings, region, clients, clock)
        for url in settings.urls
    }
    if settings.former_url is None:
        return loaders[scheme_of_url(settings.url)]
    return SignersByHandle(loaders)


def scheme_of_url(url: str) -> str:
    """The scheme of a custody's URL."""
    return url.partition(":")[0]


def unknown_custody(url: str) -> SettingsInvalid:
    """The error for a custody that does not exist."""
    return SettingsInvalid(
        f"custody.url has an unknown scheme: {scheme_of_url(url)!r}.",
        hint="Set custody.url to file:FOLDER, secretsmanager:PREFIX or kms:ALIAS_PREFIX.",
    )


def custody_terms(settings: Settings) -> AwsTerms:
    """The terms of the calls to a custody in AWS, for which requests wait in their threads.

    A call that fails is made again, but not one that hangs: it ends within about 3 s.
    """
    return AwsTerms(
        read_timeout_seconds=2.0,
        max_attempts=2,
        patience_seconds=2.0,
        pool_size=max(10, settings.service.threads),
    )


def _loader_at(
    url: str, settings: CustodySettings, region: Region, clients: AwsClients, clock: Clock
) -> SignerLoader:
    match scheme_of_url(url):
        case "file":
            folder = Path(url.removeprefix("file:"))
            secret, previous_secret = key_encryption_secrets(settings, folder)
            return FileSigners(folder, secret, previous_secret=previous_secret)
        case "secretsmanager":
            return SecretSigners(partial(clients.secrets_manager, region), region, clock)
        case "kms":
            return KmsSigners(partial(clients.kms, region), region, clock)
        case _:
            raise unknown_custody(url)
