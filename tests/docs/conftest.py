"""What the commands of pages are run with, made once for all pages."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from local_ivs.testing import EXAMPLE_ACCOUNT, LocalIvsServer

from tests.docs.sessions import READY, Session, free_ports, run, warm_programs
from tests.docs.tables import FIRST_KEYS, SETTINGS
from tests.e2e.processes import running
from tests.support.snapshot import Snapshot


@dataclass(frozen=True)
class Prepared:
    """A deployment that pages begin with.

    Attributes:
        files: settings, state, private keys and the data of Local IVS. It has the channel `demo`,
            an active key pair, a standby and the API key `my-backend`.
        api_key: the text of that key.
        programs: the folder of the programs that pages run.
    """

    files: Snapshot
    api_key: str
    programs: Path

    def restore(self, folder: Path) -> None:
        """Write the deployment into a folder."""
        self.files.restore(folder)  # Under the umask of the tests: private files stay private.


def environment_of(ivs: LocalIvsServer) -> dict[str, str]:
    """Nothing of this machine: Local IVS, example credentials, and no time until a key signs."""
    (service,) = free_ports(1)
    return {
        "AWS_ACCESS_KEY_ID": EXAMPLE_ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "us-west-2",
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_ENDPOINT_URL_IVS": ivs.url,
        "TOKENSVC_ROTATION__PUBLISH_DELAY_SECONDS": "0",
        "TOKENSVC_SERVICE__PORT": str(service),
        "TOKENSVC_SERVICE__WORKERS": "1",
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """Made with the commands that an operator uses."""
    folder = tmp_path_factory.mktemp("prepared")
    with (
        warm_programs(tmp_path_factory.mktemp("programs")) as programs,
        LocalIvsServer(folder / "ivs") as ivs,
    ):
        environment = environment_of(ivs)
        run(
            [],
            Session(before=f"{SETTINGS}\n{FIRST_KEYS}"),
            folder=folder,
            programs=programs,
            environment=environment,
        )
        api_key = (folder / "api-key").read_text().strip()
        with closing(Snapshot.of(folder)) as files:
            yield Prepared(files, api_key, programs)


@pytest.fixture(scope="module")
def service(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service of the prepared deployment: its port."""
    folder = tmp_path_factory.mktemp("service")
    prepared.restore(folder)
    with LocalIvsServer(folder / "ivs") as ivs:
        environment = environment_of(ivs)
        with running(
            folder / "service.log", "serve", environment=environment, folder=folder
        ) as process:
            port = environment["TOKENSVC_SERVICE__PORT"]
            subprocess.run([*READY.split(), f"http://127.0.0.1:{port}/readyz"], check=True)
            yield port
            process.interrupt()
