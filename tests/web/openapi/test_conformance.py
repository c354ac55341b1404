"""schemathesis, which others wrote: the running service answers as its document says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.e2e.processes import ROOT
from tests.support.sizes import sized
from tests.web.openapi.conftest import RunningApi

CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
EXAMPLES = sized(short=3, full=1_700)  # For each operation, besides those that its schema gives.
SEEDS = sized(short=(1,), full=(1, 2))  # A process each: one uses at most one core.
LEAST_REQUESTS = sized(short=300, full=20_000)


def test_every_answer_is_as_the_document_says(api: RunningApi, tmp_path: Path) -> None:
    """Requests that follow the schema and that don't; all checks, and no error of the service.

    At full size, there are at least 20,000 requests.
    """
    with ThreadPoolExecutor() as pool:
        outputs = list(pool.map(partial(output_of_schemathesis, api, tmp_path), SEEDS))
    requests = 0
    for output in outputs:
        found = re.search(r"(\d+) generated", output)
        assert found is not None, output
        requests += int(found[1])
    assert requests >= LEAST_REQUESTS


def output_of_schemathesis(api: RunningApi, folder: Path, seed: int) -> str:
    """What it prints when no check has failed."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(CONFIGURATION), "run", f"{api.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {api.key}"),
            *("--max-examples", str(EXAMPLES), "--seed", str(seed), "--workers", "2"),
            *("--continue-on-failure", "--no-color"),
        ],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
