"""`import tokensvc`: the library that signs tokens without the service."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tokensvc
from tests.support import library_page
from tests.support.private_key_file import write_private_key

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = ("awscrt", "cryptography", "pyjwt")
"""What `pip install` of the library installs, without what cryptography requires."""
PACKAGES = ("tokensvc", "awscrt", "_awscrt", "cryptography", "jwt", "cffi", "_cffi_backend")
"""What a user of the library can import, besides the standard library."""

_ALONE = f"""
import sys
from importlib.abc import MetaPathFinder

class Refuse(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        package = name.partition(".")[0]
        if package not in {PACKAGES} and package not in sys.stdlib_module_names:
            raise ModuleNotFoundError("not installed with the library", name=name)

sys.meta_path.insert(0, Refuse())
"""
"""The beginning of a program in which other packages can't be imported."""

_EXAMPLES = """
import doctest
import tokensvc

library = [module for name, module in sys.modules.items() if name.partition(".")[0] == "tokensvc"]
for module in library:
    print(module.__name__, *doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE))
"""


def run_alone(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a Python program in that folder, with no packages but those of the library."""
    return subprocess.run(
        [sys.executable, "-c", _ALONE + program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_library_requires_little() -> None:
    """The packages of the service come with an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [line.partition(">=")[0] for line in project["dependencies"]] == list(DISTRIBUTIONS)
    assert {"flask>=3.1", "boto3>=1.44"} <= set(project["optional-dependencies"]["service"])


def test_the_library_works_with_what_it_requires(tmp_path: Path) -> None:
    """All examples of its modules run where no other package can be imported."""
    write_private_key(tmp_path)
    done = run_alone(_EXAMPLES, tmp_path)
    assert done.returncode == 0, done.stderr
    results = {
        name: (int(failed), int(attempted))
        for name, failed, attempted in map(str.split, done.stdout.splitlines())
    }
    assert {name: failed for name, (failed, _) in results.items() if failed} == {}
    assert results["tokensvc"] == (0, 9)
    assert {"tokensvc.token.jws", "tokensvc.token.p384", "tokensvc.errors"} <= set(results)


def test_the_page_of_the_library_does_what_it_shows(tmp_path: Path) -> None:
    """The blocks of docs/library.md, one after another."""
    library_page.make_key_pair(tmp_path)
    done = run_alone(library_page.program(), tmp_path)
    assert (done.stdout, done.stderr) == (library_page.output(), "")
    assert "ten_minute_rule" in done.stdout


def test_the_values_of_ivs_need_no_other_package(tmp_path: Path) -> None:
    """Not even indirectly."""
    done = run_alone("from tokensvc.ivs import errors, limits, model", tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", ["flask", "boto3"])
def test_no_other_package_can_be_imported_in_these_tests(package: str, tmp_path: Path) -> None:
    """Otherwise the tests above would hold for every import."""
    done = run_alone(f"import {package}", tmp_path)
    assert "ModuleNotFoundError: not installed with the library" in done.stderr


@pytest.mark.parametrize(
    "start",
    [
        "from tokensvc.__main__ import main; main()",
        "import runpy; runpy.run_module('tokensvc', run_name='__main__')",
    ],
    ids=["tokensvc", "python -m tokensvc"],
)
def test_the_command_names_what_to_install(start: str, tmp_path: Path) -> None:
    """Without the extra: one error with its hint, no traceback."""
    done = run_alone(start, tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    error, hint = done.stderr.splitlines()
    assert error.startswith("Error: ")
    assert "pip install 'tokensvc[service]'" in hint


def test_a_missing_module_of_tokensvc_is_a_bug_with_a_traceback(tmp_path: Path) -> None:
    """No installation of packages would help."""
    program = "sys.modules['tokensvc.cli.main'] = None\nfrom tokensvc.__main__ import main; main()"
    done = run_alone(program, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")


def test_every_name_of_the_library_exists() -> None:
    """`__all__` is what the documentation of the library lists."""
    assert all(hasattr(tokensvc, name) for name in tokensvc.__all__)
