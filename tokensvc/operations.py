"""Builds the objects that change keys from the settings: for commands and scheduled jobs only.

What serves requests never imports this module (rule 11).
"""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

from tokensvc.arns import Region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.clock import Clock
from tokensvc.ivs.channels import get_channel
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.keyring.effects import Steps
from tokensvc.keyring.ring_document import RingStore
from tokensvc.keyring.rotator import Binding, Rotator
from tokensvc.playback.canary import EdgeCanary
from tokensvc.service import build_custody, build_state
from tokensvc.settings import Settings
from tokensvc.settings.rules import is_loopback

# For commands, which should wait and retry: IVS allows 3 to 5 calls a second of most operations
# (IVS: service-quotas).
COMMAND_TERMS = AwsTerms(read_timeout_seconds=10.0, max_attempts=8)


def build_command_clients() -> AwsClients:
    """AWS clients for commands: long timeouts and many retries."""
    return AwsClients(COMMAND_TERMS)


def build_rotator(
    settings: Settings, region: Region, clock: Clock, *, by: str, clients: AwsClients
) -> Rotator:
    """The rotator of that region's key pairs. Its changes are recorded under the name `by`.

    A region that the settings no longer name is decommissioned.

    Raises:
        SettingsInvalid: when the state, the custody or the secret of the settings can't be used.
        IvsUnavailable: when the AWS configuration or credentials are invalid.
    """
    key_pairs = IvsKeyPairs(clients, region)
    canary_channel = settings.canary_channel(region)
    canary = None
    if canary_channel is not None:
        canary = EdgeCanary(canary_channel, partial(get_channel, clients), clock)
    return Rotator(
        RingStore(build_state(settings.state.url, clock), region),
        Steps(build_custody(settings.custody, clock), key_pairs, clock, by, canary),
        binding=Binding(region, settings.ivs.account_id, bound_endpoint(key_pairs.endpoint)),
        terms=settings.rotation_terms(),
        keep_standby=settings.rotation.keep_standby,
        decommissioning=region not in settings.ivs.regions,
    )


def bound_endpoint(endpoint_url: str) -> str:
    """The endpoint to which a ring is bound. A loopback endpoint is reduced to its scheme.

    Local IVS keeps its key pairs when it is started on another port, so its ring must stay valid.
    """
    parts = urlsplit(endpoint_url)
    if parts.hostname and is_loopback(parts.hostname):
        return f"{parts.scheme}://loopback"
    return endpoint_url
