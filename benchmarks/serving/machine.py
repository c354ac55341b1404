"""The description of the machine: its processor and the versions. No host name and no path."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend

_PACKAGES = ("awscrt", "boto3", "cryptography", "flask", "gunicorn", "pyjwt", "uvloop")
_COMMANDS = {
    "wrk": ("wrk", "-v"),
    "node": ("node", "--version"),
    "go": ("go", "version"),
}


def describe() -> dict[str, object]:
    """The processor, the system and the versions of everything that is measured."""
    return {
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text()),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average_before": round(os.getloadavg()[0], 2),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
            "openssl": backend.openssl_version_text(),
            **{name: found for name, command in _COMMANDS.items() if (found := _version(command))},
        },
    }


def cpu_model(cpuinfo: str) -> str:
    """The model of the first processor in the text of /proc/cpuinfo."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _version(command: tuple[str, ...]) -> str | None:
    """The first version number that the program prints, or None if it is not installed."""
    program = shutil.which(command[0])
    if program is None:
        return None
    printed = subprocess.run(  # noqa: S603 # A program from PATH, no shell.
        (program, *command[1:]), capture_output=True, text=True, timeout=10, check=False
    )
    found = re.search(r"\d+(?:\.\d+)+", printed.stdout + printed.stderr)
    return found[0] if found else None
