"""The configuration of the example backend, from environment variables."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit


class ConfigurationInvalid(Exception):
    """An environment variable of the example backend is missing or can't be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the example backend needs.

    Attributes:
        service_url: the base URL of tokensvc, such as `http://127.0.0.1:8000`.
        api_key: the API key of this backend. It never leaves the backend.
        channel: the private channel that plays: a name in tokensvc's settings, or an ARN.
        other_channel: another private channel. The page shows that its token is refused.
        moderator_key: the API key with which this backend kicks and bans viewers.
        issuer_url: the identity provider at which viewers sign in.
        edge_url: scheme, host and port of the playback URLs, such as `http://127.0.0.1:8001`. The
            page may connect to this origin and its own only.

    Raises:
        ConfigurationInvalid: `service_url`, `edge_url` or `issuer_url` is not on loopback.
    """

    service_url: str
    api_key: str = field(repr=False)
    channel: str
    other_channel: str
    edge_url: str
    moderator_key: str = field(repr=False)
    issuer_url: str

    def __post_init__(self) -> None:
        # The page gives playback URLs to anyone who can open it, so it must never play a real
        # channel.
        for variable, url in (
            ("DEMO_SERVICE_URL", self.service_url),
            ("DEMO_EDGE_URL", self.edge_url),
            ("DEMO_ISSUER_URL", self.issuer_url),
        ):
            if not is_on_loopback(url):
                message = f"{variable} is {url!r}. Set it to a URL on 127.0.0.1."
                raise ConfigurationInvalid(message)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the configuration in these environment variables.

        Each API key is in the file that DEMO_API_KEY_FILE or DEMO_MODERATOR_KEY_FILE names, or in
        DEMO_API_KEY or DEMO_MODERATOR_KEY.

        Raises:
            ConfigurationInvalid: a variable is missing or can't be used.
        """
        return cls(
            service_url=_required(environment, "DEMO_SERVICE_URL").rstrip("/"),
            api_key=_api_key(environment, "DEMO_API_KEY"),
            channel=_required(environment, "DEMO_CHANNEL"),
            other_channel=_required(environment, "DEMO_OTHER_CHANNEL"),
            edge_url=_required(environment, "DEMO_EDGE_URL").rstrip("/"),
            moderator_key=_api_key(environment, "DEMO_MODERATOR_KEY"),
            issuer_url=_required(environment, "DEMO_ISSUER_URL").rstrip("/"),
        )


def is_on_loopback(url: str) -> bool:
    """Whether the host of the URL is a loopback address (127.0.0.0/8 or ::1) or `localhost`."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _api_key(environment: Mapping[str, str], variable: str) -> str:
    file = environment.get(f"{variable}_FILE")
    if file is None:
        return _required(environment, variable)
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as exc:
        message = f"The file in {variable}_FILE can't be read: {file} ({exc.strerror})."
        raise ConfigurationInvalid(message) from exc


def _required(environment: Mapping[str, str], variable: str) -> str:
    value = environment.get(variable, "")
    if not value:
        message = f"The environment variable {variable} is not set."
        raise ConfigurationInvalid(message)
    return value
