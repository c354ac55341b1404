"""The blocks of docs/library.md: one program, and what it prints."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

_PAGE = Path(__file__).parents[2] / "docs/library.md"


def program() -> str:
    """All blocks of Python, one after another."""
    return "\n".join(_blocks("python"))


def output() -> str:
    """What the page says that the program prints."""
    return "".join(_blocks("text"))


def make_key_pair(folder: Path) -> None:
    """Run the page's commands in that folder, but the installation."""
    installation, *commands = _blocks("sh")
    assert installation == "pip install .\n"
    script = "\n".join(["set -eu", *commands])
    subprocess.run(["sh", "-c", script], cwd=folder, check=True, capture_output=True)  # noqa: S607 # From PATH.


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", _PAGE.read_text(), re.DOTALL)
