"""Clients of moto for the custodies in AWS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.moto import Moto
from tokensvc.aws import AwsClients, AwsTerms


@pytest.fixture
def clients(moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsClients]:
    """Clients of an empty moto."""
    moto.set_environment(monkeypatch, tmp_path)
    with closing(AwsClients(AwsTerms())) as clients:
        yield clients
