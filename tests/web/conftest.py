"""Fixtures: deployments of real parts. Tests run with the direct route and with Flask alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.support.deployment import Deployment, deployment_in
from tests.support.deployment_fixtures import shared
from tokensvc.service import Service
from tokensvc.web.app import create_app, create_flask_app

__all__ = ["shared"]


@pytest.fixture(params=[create_app, create_flask_app], ids=["direct", "flask"])
def application(request: pytest.FixtureRequest) -> Callable[[Service], Flask]:
    """Makes the application over a service."""
    made: Callable[[Service], Flask] = request.param
    return made


@pytest.fixture
def deployment(shared: Deployment, application: Callable[[Service], Flask]) -> Deployment:
    """The shared deployment, for a test that changes only the audit log, which is emptied."""
    shared.audit.events.clear()
    shared.create_app = application
    return shared


@pytest.fixture
def own_deployment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, application: Callable[[Service], Flask]
) -> Iterator[Deployment]:
    """A separate deployment, for a test that moves the clock or breaks something."""
    with deployment_in(tmp_path, monkeypatch) as deployment:
        deployment.create_app = application
        yield deployment
