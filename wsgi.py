"""Lets any WSGI server serve `wsgi:app()` in this folder; see `tokensvc/web/wsgi.py`."""

from tokensvc.web.wsgi import app

__all__ = ["app"]
