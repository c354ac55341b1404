"""How gunicorn serves Local IVS: the counterpart of the service's `gunicorn.conf.py`."""

from __future__ import annotations

import os
import sys
from typing import Any

from tokensvc.localivs.config import LocalIvsConfig
from tokensvc.localivs.errors import ConfigError

wsgi_app = "tokensvc.localivs.wsgi:app_from_environment()"

# One process: Local IVS counts request rates and the latest requests in memory.
workers = 1
worker_class = "gthread"
threads = 32  # players wait for segments, and faults on request are slow on purpose
# A player asks every 2 s, and must not find the connection being closed at that very moment.
keepalive = 75  # seconds
graceful_timeout = 2  # seconds; a player asks again anyway
control_socket_disable = True


def on_starting(server: Any) -> None:  # noqa: ARG001 # gunicorn calls it by position.
    """Tell in one line what is wrong with the settings, before a worker fails by them."""
    try:
        LocalIvsConfig.from_environment(os.environ)
    except ConfigError as error:
        sys.exit(str(error))
