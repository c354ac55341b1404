"""A running service, as an operator starts it, for tools that read its OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from local_ivs.testing import LocalIvsServer

from tests.e2e.conftest import Site
from tests.e2e.processes import running
from tests.support.aws import set_aws_endpoint


@dataclass(frozen=True)
class RunningApi:
    """A service that runs.

    Attributes:
        url: its address.
        key: an API key with every scope.
        channel_arn: a private channel that is live, with the name `demo`.
    """

    url: str
    key: str
    channel_arn: str


@pytest.fixture(scope="package")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """`tokensvc serve` with Local IVS, started once."""
    folder = tmp_path_factory.mktemp("api")
    with LocalIvsServer(folder / "ivs") as ivs:
        channel_arn = ivs.client().create_channel(name="demo", authorized=True)["channel"]["arn"]
        ivs.go_live(channel_arn)
        with pytest.MonkeyPatch.context() as monkeypatch:
            set_aws_endpoint(monkeypatch, folder, ivs.url)
            site = Site(folder)
            site.configure(
                f"[service]\nworkers = 1\nops_page = true\n[rotation]\npublish_delay_seconds = 0\n"
                f'[channels]\ndemo = "{channel_arn}"\n'
            )
            site.command("keys", "reconcile")
            scopes = ("--scope", "mint", "--scope", "moderate", "--scope", "operate")
            key = site.command("api-keys", "create", "all", "--grant", "web", *scopes)
            environment = site.environment(GUNICORN_CMD_ARGS="--bind=127.0.0.1:0")
        with running(folder / "out.txt", "serve", environment=environment) as server:
            found = re.search(r"Listening at: (http://[0-9.:]+)", server.wait_for("Listening at"))
            assert found is not None
            yield RunningApi(found[1], key, channel_arn)
