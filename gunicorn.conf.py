"""Lets `gunicorn` serve in this folder like `tokensvc serve`: tokensvc/web/gunicorn_conf.py."""

import runpy

globals().update(runpy.run_module("tokensvc.web.gunicorn_conf"))
