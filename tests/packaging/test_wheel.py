"""The wheel alone serves playback URLs: it needs no file of the repository."""

from __future__ import annotations

import json
import re
import signal
import zipfile
from pathlib import Path, PurePosixPath

import pytest
import urllib3
from local_ivs.testing import LocalIvsServer

from tests.e2e.processes import running
from tests.packaging.conftest import Installation

# pip downloads the dependencies in a child process, which the refusal of sockets does not reach.
pytestmark = pytest.mark.installs

GRANT = '\n[grants.web]\nchannels = ["arn:aws:ivs:us-west-2:123456789012:channel/*"]\n'


def test_the_wheel_contains_only_the_service(wheel: Path) -> None:
    """Neither Local IVS, its media, nor the example application."""
    with zipfile.ZipFile(wheel) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
    modules = [name for name in names if name.parts[0] == "tokensvc"]
    others = {name.parts[0] for name in names} - {"tokensvc"}

    assert len(others) == 1
    assert re.fullmatch(r"tokensvc-[0-9.]+\.dist-info", others.pop())
    assert {name.suffix for name in modules} == {".py", ".typed", ".js"}
    assert [name for name in modules if {"demo", "local_ivs", "localivs"} & set(name.parts)] == []
    assert PurePosixPath("tokensvc/web/gunicorn_conf.py") in modules


def test_the_wheel_requires_neither_local_ivs_nor_its_jose_library(wheel: Path) -> None:
    """Only Local IVS and tests use joserfc."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = archive.read(name).decode()
    required = re.findall(r"^Requires-Dist: ([a-z0-9-]+)(?!.*extra ==)", metadata, re.MULTILINE)

    assert {"flask", "gunicorn", "pyjwt"} <= set(required)
    assert {"joserfc", "local-ivs"} & set(required) == set()


def test_an_installed_wheel_serves(
    installation: Installation, ivs: LocalIvsServer, tmp_path: Path
) -> None:
    """From `tokensvc init` to a playback URL that the edge plays, outside the repository."""
    package = Path(installation.python("import tokensvc; print(tokensvc.__file__)"))
    assert package.is_relative_to(installation.folder)
    site = installation.site
    installation.command("init", "--account-id", "123456789012", "--region", "us-west-2")
    with (site / "tokensvc.toml").open("a") as settings:
        settings.write(GRANT)
    secret = site / "key-encryption-secret"
    secret.touch(0o600)
    secret.write_bytes(bytes(range(32)))
    installation.command("keys", "reconcile")
    key = installation.command("api-keys", "create", "my-backend", "--grant", "web")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    ivs.go_live(channel)

    with running(
        tmp_path / "out.txt",
        "serve",
        environment={**installation.environment, "GUNICORN_CMD_ARGS": "--bind=127.0.0.1:0"},
        program=installation.tokensvc,
        folder=site,
    ) as server:
        found = re.search(r"Listening at: (http://[0-9.:]+)", server.wait_for("Listening at"))
        assert found is not None
        ready = urllib3.request("GET", f"{found[1]}/readyz", retries=urllib3.Retry(20))
        assert ready.status == 200
        answer = urllib3.request(
            "POST",
            f"{found[1]}/v1/playback-urls",
            json={"channel": channel},
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.status == 200
        url = json.loads(answer.data)["playback_url"]
        assert urllib3.request("GET", url).status == 200
        assert urllib3.request("GET", url.partition("?")[0]).status == 403
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
