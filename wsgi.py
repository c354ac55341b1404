"""The service as a WSGI application, for gunicorn: `gunicorn 'wsgi:app()'`."""

from __future__ import annotations

import os
import sys

from flask import Blueprint, Flask

from tokensvc.access.callers import Caller
from tokensvc.audit import JsonLinesAudit
from tokensvc.aws import endpoint_of
from tokensvc.bootstrap import Service, build_service
from tokensvc.clock import SystemClock
from tokensvc.settings import Settings, load_settings
from tokensvc.web.app import create_app
from tokensvc.web.demo.blueprint import create_blueprint
from tokensvc.web.demo.urls import Demo


def app(settings: Settings | None = None) -> Flask:
    """The application for these settings; without settings, for those of the environment.

    The service is in `extensions["tokensvc"]`; `gunicorn.conf.py` starts it in each worker. The
    audit is written to standard output, one JSON line for each decision.
    """
    settings = settings or load_settings(None, os.environ)
    service = build_service(settings, SystemClock(), JsonLinesAudit(sys.stdout))
    application = create_app(service, demo=_player_page(settings, service))
    application.extensions["tokensvc"] = service
    return application


def _player_page(settings: Settings, service: Service) -> Blueprint | None:
    if settings.demo is None:
        return None
    channel_arn = settings.channels[settings.demo.channel]
    demo = Demo(
        issuer=service.issuer,
        caller=Caller("demo", "player page", (settings.demo.grant,)),
        view=service.rings[channel_arn.region],
        clock=service.clock,
        channel_arn=channel_arn,
        other_channel_arn=settings.channels[settings.demo.other_channel],
        edge_origin=endpoint_of(service.clients.ivs(channel_arn.region)),
    )
    return create_blueprint(demo)
