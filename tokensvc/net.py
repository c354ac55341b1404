"""Addresses: what reverse proxies change about a request, and which hosts are this machine."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Segments of plain characters; a segment of dots only would mean another path.
_PATH_PREFIX = re.compile(r"(?:/(?!\.+(?:/|\Z))[A-Za-z0-9._~-]+)+", re.ASCII)
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_address(peer: str, forwarded_for: str, trusted: Collection[Network]) -> str:
    """The address of the client that sent a request.

    >>> proxies = [ipaddress.ip_network("10.0.0.0/8")]
    >>> client_address("10.0.0.9", "192.0.2.66, 198.51.100.7, 10.0.0.5", proxies)
    '198.51.100.7'

    It is the last hop that is not a trusted proxy: what stands left of it in X-Forwarded-For may
    be written by the client itself.

    Args:
        peer: the address at the other end of the connection.
        forwarded_for: the value of X-Forwarded-For, "" if the request has none. A proxy appends
            the address of its own peer; a port after the address is ignored.
        trusted: the networks of the proxies. Of other peers the header is ignored.
    """
    client = peer
    hops = forwarded_for.split(",") if trusted else []
    while is_in(client, trusted) and hops:
        address = _parse_hop(hops.pop().strip())
        if address is None:
            break
        client = str(address)
    return client


def is_in(address: str, networks: Collection[Network]) -> bool:
    """Whether the address is in one of the networks; False for a text that is not an address."""
    if not networks:
        return False
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in networks)


def is_path_prefix(text: str) -> bool:
    """Whether the text is a path prefix such as `/api/video`, without a final slash.

    >>> is_path_prefix("/api/video"), is_path_prefix("/api/../video")
    (True, False)
    """
    return _PATH_PREFIX.fullmatch(text) is not None


def is_loopback(host: str) -> bool:
    """Whether the host is a loopback address: 127.0.0.0/8, ::1 or `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_loopback_url(url: str) -> bool:
    """Whether the host of the URL is a loopback address: a stand-in for AWS, such as Local IVS."""
    host = urlsplit(url).hostname
    return host is not None and is_loopback(host)


def _parse_hop(text: str) -> _Address | None:
    """An address as proxies write it: `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[…]:443`."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return _parse(text)


def _parse(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A socket for both versions shows an IPv4 peer as ::ffff:192.0.2.1.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
