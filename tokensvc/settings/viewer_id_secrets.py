"""Reads the viewer ID secrets that the settings name."""

from __future__ import annotations

from tokensvc.access.viewer_ids import ViewerIds, load_viewer_id_secrets
from tokensvc.errors import SettingsInvalid
from tokensvc.settings.viewer_ids import ViewerIdSettings


def viewer_ids_of(settings: ViewerIdSettings) -> ViewerIds:
    """Computes viewer IDs under the secrets of the settings.

    Raises:
        SettingsInvalid: when no secret is set, or one is missing or can't be used.
    """
    if settings.secret is not None:
        return ViewerIds(load_viewer_id_secrets(settings.secret.get_secret_value()))
    if settings.secret_file is not None:
        return ViewerIds(load_viewer_id_secrets(settings.secret_file))
    raise SettingsInvalid(
        "No viewer ID secret is set.",
        hint="Create one with `(umask 077; openssl rand -base64 32 > FILE)` and set"
        " viewer_ids.secret_file to FILE.",
    )
