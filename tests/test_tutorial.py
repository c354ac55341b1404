"""The blocks of docs/tutorial.md, run one after another in one shell."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/tutorial.md"
TIMEOUT_SECONDS = 120


def free_ports(count: int) -> list[int]:
    """Ports that nothing uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_each_block_of_the_tutorial_succeeds(tmp_path: Path) -> None:
    """Only the installation is left out, and the ports are other ones."""
    installation, *blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert "pip install" in installation
    service, local_ivs = free_ports(2)
    script = "\n".join(["set -eumo pipefail", *blocks])
    script = script.replace(":8000", f":{service}").replace("8001", str(local_ivs))
    done = subprocess.run(
        ["bash", "-c", script],  # noqa: S607 # From PATH.
        cwd=tmp_path,
        env={
            "HOME": str(tmp_path),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "TOKENSVC_SERVICE__PORT": str(service),
        },
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("IVS would accept this token.") == 2
    assert re.findall(r" (active|published|retiring|pending) ", done.stdout) == [
        "active",
        "published",
        "retiring",
        "active",
        "published",
    ]
    assert '"decision":"granted"' in (tmp_path / "audit.log").read_text()
