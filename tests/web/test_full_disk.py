"""A service whose state is on a full disk, or whose state's folder is away."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployment import Deployment
from tests.support.disks import can_mount, small_disk
from tokensvc.service import Service, build


def status_of_a_request(deployment: Deployment, service: Service) -> int:
    """The status of a request for a playback URL."""
    return (
        deployment.client_of(service)
        .post(
            "/v1/playback-urls",
            json={"channel": "demo"},
            headers={"Authorization": f"Bearer {deployment.key}"},
        )
        .status_code
    )


@contextlib.contextmanager
def worker(deployment: Deployment, state_file: Path) -> Iterator[Service]:
    """A started worker of the deployment, with its state in that file."""
    settings = deployment.settings
    url = settings.state.model_copy(update={"url": f"sqlite:{state_file}"})
    with contextlib.closing(
        build(settings.model_copy(update={"state": url}), deployment.world.clock, deployment.audit)
    ) as service:
        service.start()
        yield service


def test_a_full_disk_stops_no_signature(own_deployment: Deployment, tmp_path: Path) -> None:
    """Of a running worker, or of one that starts on it, beyond the age of all that they know."""
    if not can_mount(tmp_path):
        assert "CI" not in os.environ, "CI runs as root, which may mount a file system."
        pytest.skip("This user may not mount a file system.")
    with small_disk(tmp_path / "disk") as disk:
        state_file = disk.folder / "state.sqlite3"
        shutil.copy(tmp_path / "state.sqlite3", state_file)
        with worker(own_deployment, state_file) as running:
            disk.fill()
            own_deployment.world.clock.advance(100_000)
            assert status_of_a_request(own_deployment, running) == 200
            with worker(own_deployment, state_file) as restarted:
                assert status_of_a_request(own_deployment, restarted) == 200
                client = own_deployment.client_of(restarted)
                assert client.get("/readyz").status_code == 200


def test_a_worker_that_starts_while_the_folder_is_away_makes_no_caller_unknown(
    own_deployment: Deployment, tmp_path: Path
) -> None:
    """503, not 401, and no empty state; it signs when the folder is back."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    shutil.copy(tmp_path / "state.sqlite3", folder / "state.sqlite3")
    folder.rename(tmp_path / "away")
    with worker(own_deployment, folder / "state.sqlite3") as service:
        assert status_of_a_request(own_deployment, service) == 503
        assert not folder.exists()
        (tmp_path / "away").rename(folder)
        service.read()
        assert status_of_a_request(own_deployment, service) == 200
