"""gunicorn's configuration of the service, without the direct route: Flask answers every request.

Only the benchmark uses this file. The service has no such setting.
"""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING
from unittest import mock

from tokensvc.web import app as web_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from tokensvc.service import Service


def _flask_only(_service: Service, others: WSGIApplication) -> WSGIApplication:
    return others


# In this process only. It raises AttributeError if the service no longer has a direct route.
mock.patch.object(web_app, "DirectRoute", _flask_only).start()
globals().update(
    {
        name: value
        for name, value in runpy.run_module("tokensvc.web.gunicorn_conf").items()
        if not name.startswith("__")
    }
)
wsgi_app = f"{__name__}:app()"  # The `app` of the service's own configuration.
