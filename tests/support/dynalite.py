"""dynalite in its own process: DynamoDB's API on LevelDB, and the stand-in that counts.

Its conditional writes hold a lock for each item, so of several saves of one version one wins, as
with AWS. `stand_in_gaps` lists what it does not do as AWS does.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

_INSTALLED: Final = Path(__file__).parents[1] / "dynalite/node_modules/dynalite"
_PORT: Final = re.compile(r"port (\d+)")
# dynalite's own command can't listen at a free port.
_PROGRAM: Final = """
const [path, folder] = process.argv.slice(1);
const server = require(path)({ path: folder, createTableMs: 0 });
server.listen(0, "127.0.0.1", () => console.log("port " + server.address().port));
"""
_START_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Dynalite:
    """The running server.

    Attributes:
        url: its base URL, the endpoint of DynamoDB.
    """

    url: str


@contextmanager
def dynalite_in(folder: Path) -> Iterator[Dynalite]:
    """Run a server at a free port until the block ends. Its tables and its log are in `folder`."""
    node = shutil.which("node")
    assert node is not None, "node is missing: `make test` names the packages."
    assert _INSTALLED.exists(), "dynalite is missing: run `make test`, which installs it."
    log = folder / "dynalite.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [node, "-e", _PROGRAM, str(_INSTALLED), str(folder / "tables")],
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Dynalite(_address(process, log))
    finally:
        process.terminate()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    give_up_at = time.monotonic() + _START_SECONDS
    while not (found := _PORT.search(log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < give_up_at, log.read_text()
        time.sleep(0.02)
    return f"http://127.0.0.1:{found[1]}"


@pytest.fixture(scope="session")
def dynalite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dynalite]:
    """The server of this test process. Each test makes tables of its own."""
    with dynalite_in(tmp_path_factory.mktemp("dynalite")) as running:
        yield running
