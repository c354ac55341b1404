"""The wheel of Local IVS, installed alone into an empty environment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
import urllib3

from local_ivs.testing import Channel, Player, urls_in
from processes import TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

# pip downloads the dependencies in a child process, which the refusal of sockets does not reach.
pytestmark = pytest.mark.installs

PROJECT = Path(__file__).parents[1]
OWN_DISTRIBUTIONS = {"local-ivs", "tokensvc"}
NO_INDEX = "after connection broken by"  # What pip prints if it can't reach its package index.
CALL_WITH_BOTO3 = """
import boto3, importlib.util, json, os
ivs = boto3.client("ivs")
created = ivs.create_channel(name="alone")["channel"]
ivs.create_channel(name="private", authorized=True)
names = sorted(each["name"] for each in ivs.list_channels()["channels"])
print(json.dumps({
    "arn": created["arn"],
    "playback_url": created["playbackUrl"],
    "names": names,
    "tokensvc": importlib.util.find_spec("tokensvc") is not None,
}))
"""


def run(*command: str | Path, **environment: str) -> str:
    """Run a command that must succeed, without this process's Python path. Returns its output."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources, so that the build leaves nothing in them."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(PROJECT / "src", folder / "source" / "src")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, folder / "source" / name)
    shutil.rmtree(folder / "source" / "src" / "local_ivs.egg-info", ignore_errors=True)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", *options, folder / "source")
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_has_the_package_with_its_media_and_the_license(wheel: Path) -> None:
    """Everything under src/local_ivs, and nothing else but the metadata."""
    with ZipFile(wheel) as archive:
        packed = {Path(name) for name in archive.namelist()}
    sources = {
        path.relative_to(PROJECT / "src")
        for path in (PROJECT / "src" / "local_ivs").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {path for path in packed if path.parts[0] == "local_ivs"} == sources
    (license_file,) = (path for path in packed if path.name == "LICENSE")
    assert {path.parts[0] for path in packed} == {"local_ivs", license_file.parts[0]}


@pytest.fixture
def empty_environment(tmp_path: Path, wheel: Path) -> Path:
    """The folder of the programs of a new virtual environment with only the wheel installed.

    The dependencies come from pip's package index, in the versions that this process uses.
    """
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    constraints = tmp_path / "constraints.txt"
    constraints.write_text(
        "".join(
            f"{each.name}=={each.version}\n"
            for each in metadata.distributions()
            if each.name not in OWN_DISTRIBUTIONS
        )
    )
    programs = tmp_path / "venv" / "bin"
    try:
        pip = (sys.executable, "-m", "pip", "--python", programs / "python")
        run(*pip, "install", "--no-compile", "--constraint", constraints, wheel)
    except AssertionError as failure:
        if NO_INDEX in str(failure) and not os.environ.get("CI"):
            pytest.skip("pip can't reach its package index, so this test did not run.")
        raise
    return programs


@contextmanager
def running_alone(programs: Path, folder: Path) -> Iterator[str]:
    """Run the installed command `local-ivs`, and yield its URL. It must stop with status 0."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = subprocess.Popen(
        [programs / "local-ivs", "--data", folder / "data", "--port", str(port)],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder)},
    )
    try:
        yield f"http://127.0.0.1:{port}"
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_SECONDS) == 0
    finally:
        process.kill()
        process.wait()


def test_boto3_and_a_player_use_it_in_an_environment_of_its_own(
    empty_environment: Path, tmp_path: Path
) -> None:
    """`pip install` of the wheel alone, then `local-ivs`: API, overview page and video."""
    with running_alone(empty_environment, tmp_path) as url, urllib3.PoolManager() as pool:
        retries = urllib3.Retry(connect=30, backoff_factor=0.1)
        assert pool.request("GET", f"{url}/healthz", retries=retries).status == 200
        printed = run(
            *(empty_environment / "python", "-c", CALL_WITH_BOTO3),
            AWS_ENDPOINT_URL_IVS=url,
            AWS_ACCESS_KEY_ID="123456789012",
            AWS_SECRET_ACCESS_KEY="any",
            AWS_DEFAULT_REGION="us-west-2",
            NO_PROXY="127.0.0.1",
        )
        answer = json.loads(printed)
        assert answer["names"] == ["alone", "private"]
        assert answer["tokensvc"] is False
        assert pool.request("GET", f"{url}/").status == 200
        live = {"channel_arn": answer["arn"], "live": True}
        assert pool.request("PUT", f"{url}/_local/streams", json=live).status == 200
        player = Player(pool, url)
        playback = player.watch(Channel(answer["arn"], answer["playback_url"]), None)
        segment = player.get(playback.segment_url())
        assert (segment.status, segment.data[4:8]) == (200, b"moof")
        assert len(urls_in(playback.playlist())) > 1
