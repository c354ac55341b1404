"""The values of the HTTP service's settings that need a rule of their own."""

from __future__ import annotations

import ipaddress
from typing import Any

from tokensvc.net import Network, is_path_prefix


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
