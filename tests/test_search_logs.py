"""`scripts/search_logs.py`, which `make test` runs over all logs of the test run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GOOD = '{"at": "2027-01-15T08:00:00Z", "logger": "tokensvc.access", "message": "POST 200"}\n'
AUDIT = '{"at":"2027-01-15T08:00:00Z","decision":"granted","token_sha256":"0123456789abcdef"}\n'
TOKEN = f"eyJhbGciOiJFUzM4NCJ9.eyJleHAiOjF9.{'A' * 128}"
API_KEY = f"tsk_0123456789ab_{'0' * 64}"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder outside of this test run, whose logs are searched too."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def search(folder: Path) -> int:
    """The exit status of a search in that folder."""
    program = [sys.executable, "-m", "scripts.search_logs", str(folder)]
    return subprocess.run(program, cwd=ROOT, capture_output=True, check=False).returncode


def test_logs_without_a_secret_pass(folder: Path) -> None:
    """A command may print a token for its caller: that is no log."""
    (folder / "service.txt").write_text(f"{GOOD}{AUDIT}https://a.example/a.m3u8?token={TOKEN}\n")
    assert search(folder) == 0


@pytest.mark.parametrize("secret", [TOKEN, API_KEY])
def test_a_secret_in_a_log_is_found(folder: Path, secret: str) -> None:
    """In the log of the service, or in the audit, in any folder."""
    for number, line in enumerate((GOOD, AUDIT)):
        nested = folder / str(number)
        nested.mkdir()
        (nested / "service.txt").write_text(GOOD + line.replace("2027", f"{secret} 2027", 1))
        assert search(nested) == 1


def test_a_run_without_logs_is_no_proof(folder: Path) -> None:
    """The folder is another one, or nothing ran."""
    assert search(folder) == 1
