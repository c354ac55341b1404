"""The WSGI entry point of Local IVS; the command `local-ivs` runs it under gunicorn.

It must run as one process with many threads: the request rates and the list of recent requests are
in memory. Everything else is in the folder that `LOCAL_IVS_DATA` names.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from local_ivs.app import create_app
from local_ivs.config import LocalIvsConfig

if TYPE_CHECKING:
    from flask import Flask


def app_from_environment() -> Flask:
    """The application, configured by `LOCAL_IVS_*` (see `LocalIvsConfig.from_environment`).

    Raises:
        ConfigError: variables are missing or invalid; the message names all of them.
    """
    return create_app(LocalIvsConfig.from_environment(os.environ))
