"""The player page `/demo` and its backend `POST /demo/playback-urls`, for loopback only."""

from __future__ import annotations

from flask import Blueprint

from tokensvc.web.demo.urls import Demo


def create_blueprint(demo: Demo) -> Blueprint:
    """The page and its backend, to be registered without a prefix, in demo mode only.

    Raises:
        SettingsInvalid: when `demo.edge_origin` is not on loopback.
    """
    raise NotImplementedError(demo)
