"""The values of settings about HTTP that need a rule of their own."""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import SplitResult, urlsplit

from tokensvc.net import Network, is_loopback, is_path_prefix


def parse_network(value: Any) -> Network:
    """A network such as 10.0.0.0/8, or one address.

    Raises:
        ValueError: the text is not a network, or the network contains every address.
    """
    try:
        network = ipaddress.ip_network(str(value))
    except ValueError as exc:
        raise ValueError(
            f"{value!r} is not a network. Write an address, or a network such as 10.0.0.0/8 whose"
            " address has no bits after the prefix."
        ) from exc
    if network.prefixlen == 0:
        raise ValueError(f"{value!r} contains every client. Name only networks of proxies.")
    return network


def check_header_name(value: str) -> str:
    """The name of a header of a request.

    Raises:
        ValueError: it is not a name that the server passes on.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", value, re.ASCII):
        raise ValueError("The name of a header has letters, digits and -, and no other character.")
    if value.lower() in {"authorization", "content-length", "content-type", "host"}:
        raise ValueError(f"{value} is a header with another meaning. Use one of its own.")
    return value


def check_root_path(value: str) -> str:
    """The path prefix without a final slash.

    Raises:
        ValueError: it is not a path of plain segments.
    """
    path = value.rstrip("/")
    if path and not is_path_prefix(path):
        raise ValueError(
            "A path prefix begins with /, and has letters, digits, and -._~ between slashes."
        )
    return path


def check_receiver_url(value: str) -> str:
    """The URL of a receiver of signed messages: https, except for loopback.

    Raises:
        ValueError: it is not one. The message does not repeat the URL, which may contain a secret.
    """
    parts = _checked_url(value)
    if not parts.hostname or parts.scheme not in {"https", "http"}:
        raise ValueError("The value must be a URL that begins with https://.")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("The URL must begin with https://. Only a loopback host may have http://.")
    return value


def check_collector_url(value: str) -> str:
    """The URL of a collector of traces, with the usual path if it has none.

    Raises:
        ValueError: it is not one.
    """
    parts = _checked_url(value)
    if not parts.hostname or parts.scheme not in {"https", "http"}:
        raise ValueError("The value must be a URL that begins with https:// or http://.")
    if parts.query:
        raise ValueError("The URL must have no query.")
    return value if parts.path.rstrip("/") else f"{value.rstrip('/')}/v1/traces"


def _checked_url(value: str) -> SplitResult:
    """The parts of a URL without a user name and a fragment. Raises ValueError."""
    try:
        parts = urlsplit(value)
        _ = parts.hostname, parts.port
    except ValueError as exc:
        raise ValueError("The value is not a URL.") from exc
    if parts.username is not None or parts.fragment:
        raise ValueError("The URL must have neither a user name nor a fragment.")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("The URL must be ASCII text without white space.")
    return parts
