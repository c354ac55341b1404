"""The variables of the demo's environment file: every AWS SDK uses the demo because of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from local_ivs.testing import LocalIvsServer

from demo.launcher.folder import DemoFolder

# The program sets no endpoint, region or credentials. They come from the environment.
PROGRAM = "import boto3; print(boto3.client('ivs').list_channels()['channels'][0]['arn'])"


def test_any_program_uses_the_demo_with_these_variables_only(tmp_path: Path) -> None:
    """Endpoint, credentials and region. boto3 and the `aws` command don't read AWS_REGION."""
    with LocalIvsServer(tmp_path / "ivs") as ivs:
        arn = ivs.client().create_channel()["channel"]["arn"]
        variables = DemoFolder(tmp_path / "demo").variables(ivs.url)
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (result.stdout, result.stderr) == (f"{arn}\n", "")
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "us-west-2"
