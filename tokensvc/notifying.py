"""Builds what reports the runs of `keys reconcile` from the settings."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tokensvc.clock import Clock
from tokensvc.errors import SettingsInvalid
from tokensvc.keyring.lookup import ReadRing
from tokensvc.keyring.reporting.record import RecordStore
from tokensvc.keyring.reporting.reporter import OnState, Reporter, ignore_notification
from tokensvc.settings import Settings
from tokensvc.state.base import State
from tokensvc.webhooks import Receiver, load_webhook_secrets


def build_reporter(  # Each is a part of the deployment.
    settings: Settings,
    state: State,
    read_ring: ReadRing,
    clock: Clock,
    *,
    by: str,
    is_scheduled: bool,
    on_state: OnState = ignore_notification,
) -> Reporter:
    """Reports the runs of a command or job of `by`, which is a schedule if `is_scheduled`."""
    has_receiver = settings.notify.webhook_url is not None
    return Reporter(
        RecordStore(state),
        read_ring,
        clock,
        by,
        is_scheduled=is_scheduled,
        open_receiver=partial(build_receiver, settings, clock) if has_receiver else None,
        on_state=on_state,
    )


def build_receiver(settings: Settings, clock: Clock) -> Receiver:
    """The receiver of notifications, with the secrets as they are now.

    Raises:
        SettingsInvalid: when the settings name none, or a secret can't be used.
    """
    notify = settings.notify
    secret = notify.webhook_secret_file or notify.webhook_secret
    if notify.webhook_url is None or secret is None:
        raise SettingsInvalid(
            "The settings name no webhook.",
            hint="Set notify.webhook_url and notify.webhook_secret_file.",
        )
    source = secret if isinstance(secret, Path) else secret.get_secret_value()
    return Receiver(notify.webhook_url, load_webhook_secrets(source), clock)
