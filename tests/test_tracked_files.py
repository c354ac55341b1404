"""What Git holds is whole: every script can be parsed, and no merge was left unfinished."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONFLICT_MARKER = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)


def tracked_files() -> list[Path]:
    """Every file that Git holds, those without a suffix too."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 # From PATH.
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_has_a_conflict_marker() -> None:
    """A conflict that was committed breaks whatever reads the file."""
    assert [path for path in tracked_files() if CONFLICT_MARKER.search(path.read_bytes())] == []


def test_every_shell_script_can_be_parsed() -> None:
    """`.ci/run` is run by CI alone, so that no other test notices an error of syntax in it."""
    scripts = [
        path
        for path in tracked_files()
        if re.match(rb"#!.*\b(ba)?sh\b", path.read_bytes()[:80].split(b"\n")[0])
    ]

    assert ROOT / ".ci/run" in scripts
    for script in scripts:
        subprocess.run(["bash", "-n", str(script)], check=True)  # noqa: S607 # Parses only.
