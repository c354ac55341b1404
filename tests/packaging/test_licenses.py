"""What the service is installed with: declared, used, and under an allowed license."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

from scripts.licenses_page import is_allowed, licenses_of, licenses_page, pinned_releases

ROOT = Path(__file__).parents[2]


def test_every_package_has_an_allowed_license() -> None:
    """All of its licenses, where it has several."""
    others = {
        package: names
        for package in pinned_releases()
        if not all(map(is_allowed, names := licenses_of(package)))
    }
    assert others == {}
    assert "flask" in pinned_releases()


def test_the_page_of_the_licenses_is_current() -> None:
    """It is generated: `python -m scripts.licenses_page > docs/reference/licenses.md`.

    With `make test-lowest`, older releases of some packages are installed, which may name their
    license in another way: their rows are not compared.
    """
    pins = pinned_releases()
    others = {package for package in pins if metadata.version(package) != pins[package]}
    page = (ROOT / "docs/reference/licenses.md").read_text()
    assert lines_without(others, page) == lines_without(others, licenses_page())


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


def lines_without(packages: set[str], page: str) -> list[str]:
    """The lines of a page, without the rows of some packages."""
    beginnings = tuple(f"| {package} |" for package in packages)
    return [line for line in page.splitlines() if not line.startswith(beginnings)]
