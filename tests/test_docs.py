"""The documentation agrees with the program."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tokensvc import errors
from tokensvc.errors import TokensvcError

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("d*/**/*.md")])  # docs, demo and deploy
CLI_ONLY_STATUS = 500  # The status of errors that only the command line reports.


def codes_of_the_http_api() -> dict[str, int]:
    """Each code that an HTTP response may have, with its status."""
    error_classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, TokensvcError)
    ]
    codes = {error.code: error.http_status for error in error_classes}
    return {
        code: status
        for code, status in codes.items()
        if status != CLI_ONLY_STATUS or code == TokensvcError.code
    }


def test_the_page_of_the_http_api_lists_every_code_with_its_status() -> None:
    """Every code is documented."""
    page = (ROOT / "docs/http.md").read_text()
    listed = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.MULTILINE))

    assert {code: int(status) for code, status in listed.items()} == {
        code: status for code, status in codes_of_the_http_api().items() if code != "invalid_arn"
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_targets_of_relative_links_exist(page: Path) -> None:
    """Every relative link and picture of every page has a target."""
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    """A path of the repository in backticks, such as `tokensvc/errors.py` or `.ci/run`."""
    folders = (
        r"\.ci|\.github|benchmarks|demo|deploy|docs|local_ivs|requirements|scripts|tests|tokensvc"
    )
    named = re.findall(rf"`((?:{folders})/[^`\s{{}}*]*)`", page.read_text())

    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_every_module_and_name_in_a_page_for_engineers_exists(name: str) -> None:
    """Dotted names such as `tokensvc.web`, and names beside a path: `next_step` in `…`."""
    page = (ROOT / name).read_text()
    modules = set(re.findall(r"\btokensvc(?:\.[a-z_]+)+", page))
    assert [module for module in modules if not _is_module(module)] == []
    named = re.findall(r"`(\w+)(?:\.(\w+))?` (?:\(|in )`(tokensvc/[\w/]+\.py)`", page)
    assert [
        (path, word)
        for first, second, path in named
        for word in filter(None, (first, second))
        if not re.search(rf"^\s*(class|def) {word}\b", (ROOT / path).read_text(), re.MULTILINE)
    ] == []


def test_the_floors_of_the_architecture_are_those_that_are_enforced() -> None:
    """The drawing has the layers of import-linter's contract, from the top down."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (floors,) = (found for found in contracts["contracts"] if found["type"] == "layers")
    (package,) = floors["containers"]
    section = (ROOT / "ARCHITECTURE.md").read_text().partition("## The floors")[2]
    drawing = section.split("```")[1].removeprefix("text")
    drawn = [set(re.findall(r"tokensvc\.\w+", line)) for line in drawing.strip().splitlines()]

    assert drawn == [
        {f"{package}.{name}" for name in layer.split(" : ")} for layer in floors["layers"]
    ]


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").exists()


def test_every_module_is_shorter_than_400_lines() -> None:
    """As CONTRIBUTING.md says. A longer one has several subjects: split it by subject."""
    folders = ("tokensvc", "demo", "local_ivs", "benchmarks", "scripts", "tests")
    modules = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules}

    assert len(lines) > 500
    assert {path: count for path, count in lines.items() if count >= 400} == {}
