"""gunicorn's configuration of the service, without the direct route: Flask answers every request.

Only the benchmark uses this file. The service has no such setting.
"""

from __future__ import annotations

import runpy

from tokensvc.web.app import create_flask_app
from tokensvc.web.front import Front
from tokensvc.web.wsgi import Application

_service_conf = runpy.run_module("tokensvc.web.gunicorn_conf")
globals().update(
    {name: value for name, value in _service_conf.items() if not name.startswith("__")}
)


def app() -> Front:
    """The application over Flask alone; called in each worker."""
    settings = _service_conf["_settings"]
    return Front(Application(settings, create_flask_app), threads=settings.service.threads)


wsgi_app = f"{__name__}:app()"
