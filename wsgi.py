"""The service as a WSGI application, for gunicorn: `gunicorn 'wsgi:app()'`."""

from __future__ import annotations

import os
import sys

from flask import Flask

from tokensvc.audit import JsonLinesAudit
from tokensvc.bootstrap import build_app
from tokensvc.clock import SystemClock
from tokensvc.settings import load_settings


def app() -> Flask:
    """The application of the environment's settings; `gunicorn.conf.py` starts its service.

    Its audit goes to standard output, a JSON line for each decision.
    """
    settings = load_settings(None, os.environ)
    return build_app(settings, SystemClock(), JsonLinesAudit(sys.stdout))
