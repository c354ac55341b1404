"""The host names under which Local IVS may be used.

DNS rebinding makes any web page same-origin with Local IVS, under the page's own host name. DNS
can't point an IP address, or `localhost`, elsewhere.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

USE_INSTEAD: Final = "Use http://127.0.0.1 with the port of Local IVS."


def is_local(host_url: str) -> bool:
    """Whether the host of the URL is an IP address or `localhost`."""
    try:
        host = urlsplit(host_url).hostname or ""
        ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return False
    return True
