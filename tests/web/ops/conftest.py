"""A service with the operator's page. Its routes are Flask's, so one application is enough."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from tokensvc.service import Service
from tokensvc.web.app import create_app


@pytest.fixture
def application() -> Callable[[Service], Flask]:
    """The application as it is served."""
    return create_app
