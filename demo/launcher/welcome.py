"""What the launcher prints when the demo runs, and the file that configures a shell for it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from demo.launcher.folder import CHANNEL, DemoFolder


def welcome(folder: DemoFolder, *, service_url: str, page_url: str, key: str) -> str:
    """Return the text that the launcher prints when everything runs."""
    return f"""
A private channel is live. It plays only with a signed playback URL.

  Watch it: {page_url}

  Request a signed playback URL:

{request_line(service_url, key)}

  Operate it: {service_url}/ops with the API key in {folder.operator_key}
  Manage its keys: . {shlex.quote(str(folder.environment))} && tokensvc keys list
  Logs: service.log, local-ivs.log, backend.log, issuer.log and end-due.log in {folder.path}

Press Ctrl-C to stop. The next start uses the same channel and keys, from {folder.path}.
"""


def request_line(service_url: str, key: str) -> str:
    """The command line that requests a playback URL of this service."""
    return shlex.join(
        [
            # A proxy in the environment can't reach loopback.
            *("curl", "-sS", "--noproxy", "*", f"{service_url}/v1/playback-urls"),
            *("-H", f"Authorization: Bearer {key}"),
            *("-H", "Content-Type: application/json"),
            *("-d", json.dumps({"channel": CHANNEL})),
        ]
    )


def export_lines(variables: Mapping[str, str]) -> str:
    """Return the lines of a shell script that sets these variables.

    The script also adds the environment's commands to PATH, and exempts loopback from the proxy.
    """
    bin_folder = shlex.quote(str(Path(sys.executable).parent))
    lines = [
        f"export PATH={bin_folder}:$PATH",
        # Programs read one spelling or the other.
        'NO_PROXY="127.0.0.1,${no_proxy:-${NO_PROXY:-}}"',
        'no_proxy="$NO_PROXY"',
        "export NO_PROXY no_proxy",
    ]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "".join(f"{line}\n" for line in lines)
