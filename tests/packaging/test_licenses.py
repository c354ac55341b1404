"""What the service is installed with: declared, used, and under an allowed license."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts.licenses_page import is_allowed, licenses_of, licenses_page, packages

ROOT = Path(__file__).parents[2]


def test_every_package_has_an_allowed_license() -> None:
    """All of its licenses, where it has several."""
    others = {
        package: names
        for package in packages()
        if not all(map(is_allowed, names := licenses_of(package)))
    }
    assert others == {}
    assert "flask" in packages()


def test_the_page_of_the_licenses_is_current() -> None:
    """It is generated: `python -m scripts.licenses_page > docs/reference/licenses.md`."""
    assert (ROOT / "docs/reference/licenses.md").read_text() == licenses_page()


def test_every_dependency_is_declared_and_used() -> None:
    """By deptry, over the code of the service."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("deptry")), "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
