"""Local IVS for a WSGI server, as `tokensvc local-ivs` starts it under gunicorn.

It has to be one process with many threads: the request rates and the list of last requests are kept
in memory, everything else in the folder that `LOCAL_IVS_DATA` names.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tokensvc.localivs.app import create_app
from tokensvc.localivs.config import LocalIvsConfig

if TYPE_CHECKING:
    from flask import Flask


def app_from_environment() -> Flask:
    """The application with the settings of `LOCAL_IVS_*` (see `LocalIvsConfig.from_environment`).

    Raises:
        ConfigError: names every variable that is missing or makes no sense.
    """
    return create_app(LocalIvsConfig.from_environment(os.environ))
