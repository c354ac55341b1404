"""One running example application for all its tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.demo.site import DemoSite, running_demo_site

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoSite]:
    """The example application with real parts, and its own Local IVS."""
    with running_demo_site(tmp_path_factory.mktemp("demo")) as site:
        yield site
