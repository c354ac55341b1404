"""The section `[notify]`: where it is reported what rotations did or could not do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from tokensvc.net import is_loopback
from tokensvc.settings.section import Section


def _check_webhook_url(value: str) -> str:
    """The message never repeats the URL, which may contain a secret."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise ValueError("The value is not a URL.") from exc
    if not host or parts.scheme not in {"https", "http"}:
        raise ValueError("The value must be a URL that begins with https://.")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("The URL must begin with https://. Only a loopback host may have http://.")
    if parts.username is not None or parts.fragment:
        raise ValueError("The URL must have neither a user name nor a fragment.")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("The URL must be ASCII text without white space.")
    return value


class NotifySettings(Section):
    """A webhook that gets what rotations did or could not do. docs/rotation.md lists the events."""

    webhook_url: Annotated[str, AfterValidator(_check_webhook_url)] | None = Field(
        default=None,
        description="URL to which `tokensvc keys reconcile` sends notifications, signed as Standard"
        " Webhooks has it. It begins with https://.",
        examples=["https://hooks.example.com/tokensvc"],
    )
    webhook_secret_file: Path | None = Field(
        default=None,
        description="File with the secret that signs them: whsec_ and 24 to 64 random bytes in"
        " base64. While it is changed, the file has the new and the previous secret, one per line.",
        examples=["webhook-secret"],
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="The secret itself, instead of the file. Can only be set as an environment"
        " variable.",
    )
