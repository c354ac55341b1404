# ruff: noqa: INP001 - A program, not a package.
"""Write `docs/reference/licenses.md`: the licenses of what the service is installed with.

python -m scripts.licenses_page > docs/reference/licenses.md
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[1]

ALLOWED: Final = {
    "Apache-2.0": ("Apache-2.0", "Apache License 2.0", "Apache Software License"),
    "BSD": ("BSD-2-Clause", "BSD-3-Clause", "BSD License"),
    "MIT": ("MIT", "MIT-0", "MIT License"),
    "PSF-2.0": ("PSF-2.0",),
}
"""The licenses that the service may be distributed with, each with the names that packages use."""

_HEAD: Final = """\
# Licenses

What `requirements/service.txt` installs, and so what an image contains beside Python. tokensvc
itself is under Apache-2.0. A test fails when a package has a license that is not allowed in
`scripts/licenses_page.py`. `make sbom` writes the same packages as a CycloneDX document,
`sbom.json`.

| package | license |
| --- | --- |"""


def pinned_releases() -> dict[str, str]:
    """The packages of the service, each with the release that is pinned."""
    pins = (ROOT / "requirements/service.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", pins, re.MULTILINE))


def licenses_of(package: str) -> list[str]:
    """The licenses that the metadata of an installed package names, as it names them."""
    about = metadata.metadata(package).json
    if expression := about.get("license_expression"):
        return re.split(r" (?:OR|AND) ", str(expression))
    classifiers = about.get("classifier", [])
    named = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: ")]
    return named or [str(about.get("license", "unknown"))]


def is_allowed(name: str) -> bool:
    """Whether that is the name of an allowed license."""
    return any(name in names for names in ALLOWED.values())


def licenses_page() -> str:
    """The text of the page."""
    rows = (f"| {package} | {', '.join(licenses_of(package))} |" for package in pinned_releases())
    return "\n".join([_HEAD, *rows]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(licenses_page())
