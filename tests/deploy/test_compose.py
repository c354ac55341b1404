"""`compose.yaml` fits the specification of Compose, the image and the settings."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from tests.e2e.processes import ROOT
from tests.packaging.dockerfile import Dockerfile
from tokensvc.cli.main import cli
from tokensvc.settings import Settings, load_settings

FILE = ROOT / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
OWN = {name: found for name, found in COMPOSE["services"].items() if "configs" in found}
IMAGE = Dockerfile.read(ROOT / "Dockerfile")
own = pytest.mark.parametrize("service", OWN.values(), ids=list(OWN))


def settings_of(service: dict[str, Any], folder: Path) -> Settings:
    """The settings that the service's processes load."""
    (config,) = service["configs"]
    file = folder / "tokensvc.toml"
    file.write_text(COMPOSE["configs"][config["source"]]["content"])
    variables = {
        name: value
        for name, value in service["environment"].items()
        if name.startswith("TOKENSVC_")
    }
    return load_settings(file, variables)


def test_it_fits_the_specification_of_compose() -> None:
    """By the schema of the Compose specification, which check-jsonschema contains."""
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@own
def test_a_container_is_confined(service: dict[str, Any]) -> None:
    """Read-only, and without privileges; its settings are where the image looks for them."""
    (config,) = service["configs"]

    assert (service["image"], service["read_only"]) == ("tokensvc", True)
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert config["target"] == IMAGE.environment["TOKENSVC_CONFIG"]


@own
def test_a_container_uses_the_stand_ins_only(service: dict[str, Any], tmp_path: Path) -> None:
    """Local IVS for IVS, moto for everything else, and all of them on loopback."""
    settings = settings_of(service, tmp_path)
    environment = service["environment"]
    port = COMPOSE["services"]["moto"]["entrypoint"][-1]

    assert settings.state.url == "dynamodb:us-west-2/tokensvc"
    assert settings.custody.url == "secretsmanager:tokensvc/"
    assert settings.service.host == "127.0.0.1"
    assert environment["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{port}"
    assert environment["AWS_ENDPOINT_URL_IVS"] == "http://127.0.0.1:8001"


@own
def test_the_command_of_a_container_exists(service: dict[str, Any]) -> None:
    """With its options."""
    command: click.Command = cli
    words = list(service["command"])
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    options = {name for parameter in command.params for name in parameter.opts}

    assert [word for word in words if word.startswith("--") and word not in options] == []


def test_the_replicas_have_ports_of_their_own(tmp_path: Path) -> None:
    """They are two processes of one fleet in one network."""
    replicas = [service for service in OWN.values() if service["command"] == ["serve"]]
    ports = [settings_of(service, tmp_path).service.port for service in replicas]

    assert ports == [8000, 8010]


def test_moto_is_the_release_that_tests_use() -> None:
    """The pinned one."""
    pinned = re.search(
        r"^moto\[server\]==(\S+)", (ROOT / "requirements/test.txt").read_text(), re.MULTILINE
    )
    assert pinned is not None
    assert COMPOSE["services"]["moto"]["image"] == f"docker.io/motoserver/moto:{pinned[1]}"


def test_the_image_of_local_ivs_has_all_that_it_copies(tmp_path: Path) -> None:
    """The files exist in the context that each line names, and hadolint finds nothing."""
    build = COMPOSE["services"]["local-ivs"]["build"]
    file = tmp_path / "Dockerfile"
    file.write_text(build["dockerfile_inline"])
    for copy in Dockerfile.read(file).all("COPY", 0):
        words = copy.arguments
        context = build["context"]
        if words[0].startswith("--from="):
            context = build["additional_contexts"][words[0].removeprefix("--from=")]
        names = [word for word in words[:-1] if not word.startswith("--")]
        assert [name for name in names if not (ROOT / context / name).exists()] == []
    # DL3022 knows names of stages only, not of other contexts.
    linted = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "--ignore", "DL3022", file],
        capture_output=True,
        check=False,
    )
    assert (linted.returncode, linted.stdout) == (0, b"")
