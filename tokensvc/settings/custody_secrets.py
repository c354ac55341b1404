"""Reads the key-encryption secrets that the settings name."""

from __future__ import annotations

from pathlib import Path

from tokensvc.errors import SettingsInvalid
from tokensvc.keyring.custody.secret import load_key_encryption_secret
from tokensvc.settings.model import CustodySettings


def key_encryption_secrets(
    settings: CustodySettings, keys_folder: Path
) -> tuple[bytes, bytes | None]:
    """The key-encryption secret, and the previous one if it is set.

    Raises:
        SettingsInvalid: when a secret is missing or can't be used.
    """
    return (
        _key_encryption_secret(settings, keys_folder),
        _previous_key_encryption_secret(settings, keys_folder),
    )


def _key_encryption_secret(settings: CustodySettings, keys_folder: Path) -> bytes:
    if settings.key_encryption_secret is not None:
        return load_key_encryption_secret(settings.key_encryption_secret.get_secret_value())
    if settings.key_encryption_secret_file is not None:
        return load_key_encryption_secret(
            settings.key_encryption_secret_file, keys_folder=keys_folder
        )
    raise SettingsInvalid(
        "No key-encryption secret is set, but custody.url is file:FOLDER.",
        hint="Create one with `(umask 077; openssl rand -base64 32 > FILE)` and set"
        " custody.key_encryption_secret_file to FILE.",
    )


def _previous_key_encryption_secret(settings: CustodySettings, keys_folder: Path) -> bytes | None:
    if settings.previous_key_encryption_secret is not None:
        text = settings.previous_key_encryption_secret.get_secret_value()
        return load_key_encryption_secret(text)
    if settings.previous_key_encryption_secret_file is not None:
        file = settings.previous_key_encryption_secret_file
        return load_key_encryption_secret(file, keys_folder=keys_folder)
    return None
