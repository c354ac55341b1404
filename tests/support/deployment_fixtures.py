"""Fixtures: a deployment that tests share, and one for a single test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployment import Deployment, deployment_in


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment with an active key pair, a standby and a live private channel."""
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        deployment_in(tmp_path_factory.mktemp("shared"), monkeypatch) as deployment,
    ):
        yield deployment


@pytest.fixture
def deployment(shared: Deployment) -> Deployment:
    """The shared deployment, for a test that changes only the audit log, which is emptied."""
    shared.audit.events.clear()
    return shared


@pytest.fixture
def own_deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """A separate deployment, for a test that moves the clock or breaks something."""
    with deployment_in(tmp_path, monkeypatch) as deployment:
        yield deployment
