"""Deployments as fixtures: one to share, and one of one's own to break."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployment import Deployment, deployment_in


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Real parts, with an active key pair, a standby and a live private channel."""
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        deployment_in(tmp_path_factory.mktemp("shared"), monkeypatch) as deployment,
    ):
        yield deployment


@pytest.fixture
def deployment(shared: Deployment) -> Deployment:
    """Those parts, for a test that changes nothing but the audit, which begins empty."""
    shared.audit.events.clear()
    return shared


@pytest.fixture
def own_deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """Parts of its own, for a test that moves the clock or breaks something."""
    with deployment_in(tmp_path, monkeypatch) as deployment:
        yield deployment
