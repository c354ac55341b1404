"""The wheel alone signs tokens, and serves playback URLs with the extra `service`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import zipfile
from pathlib import Path, PurePosixPath

import pytest
import urllib3
from local_ivs.testing import LocalIvsServer

from tests.e2e.processes import running
from tests.packaging.conftest import Installation
from tests.support import library_page

# pip downloads the dependencies in a child process, which the refusal of sockets does not reach.
pytestmark = pytest.mark.installs

LIBRARY = {"awscrt", "cryptography", "pyjwt"}
NAMES = "from importlib import metadata; print(*(d.name.lower() for d in metadata.distributions()))"
GRANT = '\n[grants.web]\nchannels = ["arn:aws:ivs:us-west-2:123456789012:channel/*"]\n'


def test_the_wheel_contains_only_the_service(wheel: Path) -> None:
    """Neither Local IVS, its media, nor the example application."""
    with zipfile.ZipFile(wheel) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
    modules = [name for name in names if name.parts[0] == "tokensvc"]
    others = {name.parts[0] for name in names} - {"tokensvc"}

    assert len(others) == 1
    assert re.fullmatch(r"tokensvc-[0-9.]+\.dist-info", others.pop())
    pages = {".css", ".html", ".js", ".svg"}
    assert {name.suffix for name in modules} == {".py", ".typed"} | pages
    assert [name for name in modules if {"demo", "local_ivs", "localivs"} & set(name.parts)] == []
    assert PurePosixPath("tokensvc/web/gunicorn_conf.py") in modules


def test_the_wheel_requires_little_without_the_extra(wheel: Path) -> None:
    """What signs. The service comes with an extra, and only Local IVS and tests use joserfc."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = archive.read(name).decode()
    required = re.findall(r"^Requires-Dist: ([a-z0-9-]+)([^;\n]*)(.*)$", metadata, re.MULTILINE)
    service = {name for name, _, condition in required if condition == '; extra == "service"'}

    assert {name for name, _, condition in required if not condition} == LIBRARY
    assert {"flask", "gunicorn", "boto3"} <= service
    assert {"joserfc", "local-ivs"} & service == set()


def test_the_wheel_signs_with_what_it_requires(library_environment: Path, tmp_path: Path) -> None:
    """`pip install` without the extra brings these packages only, and docs/library.md works."""
    python = str(library_environment / "bin/python")
    installed = subprocess.run([python, "-c", NAMES], capture_output=True, text=True, check=True)
    assert set(installed.stdout.split()) == {"tokensvc", *LIBRARY, "cffi", "pycparser"}

    library_page.make_key_pair(tmp_path)
    done = subprocess.run(
        [python, "-c", library_page.program()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (library_page.output(), "")


def test_the_command_of_the_library_names_the_extra(library_environment: Path) -> None:
    """It can't do anything without the packages of the service."""
    done = subprocess.run(
        [str(library_environment / "bin/tokensvc"), "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'tokensvc[service]'" in done.stderr
    assert "Traceback" not in done.stderr


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
