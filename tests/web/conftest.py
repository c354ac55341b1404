"""Fixtures: deployments of real parts."""

from __future__ import annotations

from tests.support.deployment_fixtures import deployment, own_deployment, shared

__all__ = ["deployment", "own_deployment", "shared"]
