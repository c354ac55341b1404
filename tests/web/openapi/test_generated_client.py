"""A client that openapi-python-client generates from the document gets a playback URL."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.web.openapi.conftest import RunningApi
from tests.web.openapi.test_document import FILE

PROGRAM = """
import sys
from tokensvc_client import AuthenticatedClient
from tokensvc_client.api.playback import create_playback_url
from tokensvc_client.models import PlaybackRequest, PlaybackUrlAnswer, Problem

url, key, channel = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=key)
answer = create_playback_url.sync(client=client, body=PlaybackRequest(channel=channel))
assert isinstance(answer, PlaybackUrlAnswer), answer
refused = create_playback_url.sync(client=client, body=PlaybackRequest(channel="unknown"))
assert isinstance(refused, Problem), refused
print(answer.channel_arn, refused.code)
"""


def test_a_generated_client_gets_a_playback_url(api: RunningApi, tmp_path: Path) -> None:
    """The generator warns of nothing. A refusal is a `Problem` with its code."""
    binaries = Path(sys.executable).parent
    environment = {"PATH": f"{binaries}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    generate = ("generate", "--path", str(FILE), "--meta", "none", "--fail-on-warning")
    made = subprocess.run(
        [str(binaries / "openapi-python-client"), *generate, "--output-path", "tokensvc_client"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    used = subprocess.run(
        [sys.executable, "-c", PROGRAM, api.url, api.key, api.channel_arn],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert used.returncode == 0, used.stderr
    assert used.stdout.split() == [api.channel_arn, "not_entitled"]
