"""A wheel of tokensvc, and virtual environments into which it is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from local_ivs.testing import LocalIvsServer

from tests.e2e.processes import ROOT
from tests.packaging.dockerfile import Dockerfile
from tests.support.made_once import made_once

PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")


@dataclass(frozen=True)
class Installation:
    """The wheel, installed in a virtual environment that contains nothing else of this repository.

    Attributes:
        folder: the folder of the virtual environment.
        site: the working directory of its commands, at first empty.
        environment: the environment variables of its commands, besides PATH and HOME.
    """

    folder: Path
    site: Path
    environment: Mapping[str, str]

    @property
    def tokensvc(self) -> tuple[str, ...]:
        """The installed command."""
        return (str(self.folder / "bin/tokensvc"),)

    def command(self, *arguments: str) -> str:
        """Run `tokensvc` with these arguments, and return its standard output."""
        return self._run([*self.tokensvc, *arguments])

    def python(self, code: str) -> str:
        """Run that code with the environment's interpreter, and return its standard output."""
        return self._run([str(self.folder / "bin/python"), "-c", code])

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.site,
            env={"PATH": os.environ["PATH"], "HOME": str(self.site), **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the files that belong to the repository."""
    (path,) = made_once(tmp_path_factory, "wheel", _build_wheel).glob("*.whl")
    return path


@pytest.fixture(scope="session")
def virtual_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment as the Dockerfile makes it, and the wheel."""
    install = partial(_install_as_the_dockerfile, wheel=wheel)
    return made_once(tmp_path_factory, "installed", install)


@pytest.fixture(scope="session")
def library_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with what `pip install` of the wheel brings, in the pinned versions."""
    return made_once(tmp_path_factory, "library", partial(_install_library, wheel=wheel))


@pytest.fixture
def ivs(tmp_path: Path) -> Iterator[LocalIvsServer]:
    """A Local IVS, which runs in this process."""
    with LocalIvsServer(tmp_path / "ivs") as server:
        yield server


@pytest.fixture
def installation(virtual_environment: Path, ivs: LocalIvsServer, tmp_path: Path) -> Installation:
    """The installed wheel, with that IVS and an empty folder."""
    site = tmp_path / "site"
    site.mkdir()
    environment = {
        "AWS_ACCESS_KEY_ID": "123456789012",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_ENDPOINT_URL_IVS": ivs.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        # A new key signs at once. The default delay is a minute.
        "TOKENSVC_ROTATION__PUBLISH_DELAY_SECONDS": "0",
    }
    return Installation(virtual_environment, site, environment)


def _build_wheel(folder: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 # From PATH.
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        copy = folder / "source" / name
        if (ROOT / name).is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy)
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    _run(sys.executable, *PIP, *build, str(folder / "source"))


def _install_as_the_dockerfile(folder: Path, *, wheel: Path) -> None:
    install = Dockerfile.read(ROOT / "Dockerfile").one("RUN", stage=0).text
    for path, here in {
        "/opt/tokensvc": folder,
        "/tmp/service.txt": ROOT / "requirements/service.txt",  # noqa: S108 # Of the image.
        "python3 -m venv": f"{sys.executable} -m venv",
    }.items():
        assert path in install
        install = install.replace(path, str(here))
    _run("sh", "-c", install)
    # The environment has no pip.
    into = ("--python", str(folder / "bin/python"))
    _run(sys.executable, *PIP, *into, "install", "--no-deps", "--no-index", str(wheel))


def _install_library(folder: Path, *, wheel: Path) -> None:
    pins = (ROOT / "requirements/service.txt").read_text()
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(re.findall(r"^[a-z0-9-]+==\S+", pins, re.MULTILINE)))
    _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    into = ("--python", str(folder / "bin/python"))
    install = ("install", "--no-compile", "--constraint", str(constraints), str(wheel))
    _run(sys.executable, *PIP, *into, *install)


def _run(*command: str) -> None:
    # Only what pip itself needs: a PYTHONPATH would lead to the repository.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
