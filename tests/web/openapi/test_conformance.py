"""schemathesis, which others wrote: the running service answers as its document says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.processes import ROOT
from tests.support.sizes import sized
from tests.web.openapi.conftest import RunningApi

CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
EXAMPLES = sized(short=3, full=2_500)  # For each operation, besides those that its schema gives.
LEAST_REQUESTS = sized(short=300, full=20_000)


def test_every_answer_is_as_the_document_says(api: RunningApi, tmp_path: Path) -> None:
    """Requests that follow the schema and that don't; all checks, and no error of the service.

    At full size, there are at least 20,000 requests.
    """
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(CONFIGURATION), "run", f"{api.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {api.key}"),
            *("--max-examples", str(EXAMPLES), "--seed", "1", "--workers", "2"),
            *("--continue-on-failure", "--no-color"),
        ],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"(\d+) generated", done.stdout)
    assert found is not None, done.stdout
    assert int(found[1]) >= LEAST_REQUESTS
