"""The lines of the Dockerfile work: what it installs serves, with what it copies and starts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3
from local_ivs.testing import LocalIvsServer

from tests.e2e.processes import ROOT, running
from tests.packaging.conftest import Installation
from tests.packaging.dockerfile import Dockerfile

DOCKERFILE = Dockerfile.read(ROOT / "Dockerfile")
IMAGE = DOCKERFILE.last_stage


def copied_names() -> list[str]:
    """The files and folders of the repository that the image contains."""
    copies = [copy.arguments for copy in DOCKERFILE.all("COPY", IMAGE)]
    return [name for words in copies for name in words[:-1] if not words[0].startswith("--from")]


def test_the_image_has_no_privileges_and_can_be_read_only() -> None:
    """Its user is not root, and a container can write its volumes only."""
    assert DOCKERFILE.one("USER", IMAGE).text == "10001:10001"
    assert DOCKERFILE.one("VOLUME", IMAGE).arguments == ["/srv/tokensvc/keys", "/tmp"]  # noqa: S108
    environment = DOCKERFILE.environment
    assert environment["PYTHONUNBUFFERED"] == "1"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert [name for name in environment if "SECRET" in name or name.startswith("AWS_")] == []


def test_the_build_context_contains_what_is_copied_and_nothing_else() -> None:
    """No key, setting or secret of the folder can get into a layer."""
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    copied = {*copied_names(), "requirements/service.txt"}

    assert ignore[0] == "*"
    assert {line[1:] for line in ignore if line.startswith("!")} == copied


def test_hadolint_finds_nothing_to_improve() -> None:
    """hadolint, with its own rules."""
    done = subprocess.run(
        ["hadolint", "--no-color", "Dockerfile"],  # noqa: S607 # From the environment of the tests.
        cwd=ROOT,
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.installs
def test_the_image_has_no_pip(virtual_environment: Path) -> None:
    """Not in its environment, and not the one of the base image."""
    names = {path.name for path in (virtual_environment / "bin").iterdir()}
    assert "python" in names
    assert {name for name in names if name.startswith("pip")} == set()
    removal = DOCKERFILE.all("RUN", IMAGE)[0].arguments
    assert removal[:2] == ["rm", "-rf"]
    assert "/usr/local/lib/python3.*/site-packages/pip*" in removal


@pytest.mark.installs
def test_what_the_image_contains_serves(
    installation: Installation, ivs: LocalIvsServer, tmp_path: Path
) -> None:
    """The entry point and command start the service, and the health check succeeds."""
    folder = installation.site
    for name in copied_names():
        source = ROOT / name
        ignored = shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy2(source, folder / name)
    assert Path(installation.python("import tokensvc; print(tokensvc.__file__)")).is_relative_to(
        folder
    )
    environment = {
        **DOCKERFILE.environment,
        **installation.environment,
        "PATH": f"{installation.folder}/bin:{os.environ['PATH']}",
        "TOKENSVC_CONFIG": "",
        "GUNICORN_CMD_ARGS": "--bind=127.0.0.1:0",
        "TOKENSVC_IVS__ACCOUNT_ID": "123456789012",
        "TOKENSVC_IVS__REGIONS": "us-west-2",
        "TOKENSVC_CUSTODY__KEY_ENCRYPTION_SECRET": bytes(range(32)).hex(),
    }
    start = DOCKERFILE.one("ENTRYPOINT", IMAGE).arguments
    with running(
        tmp_path / "reconciled.txt",
        *("keys", "reconcile"),
        environment=environment,
        program=start,
        folder=folder,
    ) as reconcile:
        assert reconcile.wait() == 0, reconcile.printed
    with running(
        tmp_path / "out.txt",
        *DOCKERFILE.one("CMD", IMAGE).arguments,
        environment=environment,
        program=start,
        folder=folder,
    ) as server:
        found = re.search(r"Listening at: http://127.0.0.1:(\d+)", server.wait_for("Listening at"))
        assert found is not None
        url = f"http://127.0.0.1:{found[1]}/readyz?scope=replica"
        assert urllib3.request("GET", url, retries=urllib3.Retry(20)).status == 200
        checked = subprocess.run(
            DOCKERFILE.one("HEALTHCHECK", IMAGE).arguments,
            env={**environment, "TOKENSVC_SERVICE__PORT": found[1]},
            check=False,
        )
        assert checked.returncode == 0
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
