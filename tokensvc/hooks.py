"""Builds the entitlement hook from the settings."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

from tokensvc.access.entitlement import EntitlementHook
from tokensvc.access.entitlement_client import HookClient
from tokensvc.clock import Clock
from tokensvc.meter import Meter
from tokensvc.settings import Settings
from tokensvc.webhooks import load_webhook_secrets


def build_entitlement_hook(
    settings: Settings, clock: Clock, meter: Meter, resources: ExitStack
) -> EntitlementHook | None:
    """The hook that grants may ask, if the settings have one; `resources` closes it.

    Raises:
        SettingsInvalid: when its secret can't be used.
    """
    terms = settings.entitlement
    secret = terms.secret_file or terms.secret
    if terms.url is None or secret is None:
        return None
    source = secret if isinstance(secret, Path) else secret.get_secret_value()
    secrets = load_webhook_secrets(source, "entitlement.secret_file")
    client = HookClient(terms.url, secrets, clock, timeout_seconds=terms.timeout_seconds)
    hook = EntitlementHook(
        client,
        clock,
        meter,
        timeout_seconds=terms.timeout_seconds,
        cache_capacity=terms.cache_capacity,
    )
    return resources.enter_context(closing(hook))
