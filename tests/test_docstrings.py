"""The examples in docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import tokensvc
from tests.support.private_key_file import write_private_key

ROOT = Path(__file__).parents[1]
EXAMPLE = ">>> "
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "tokensvc").rglob("*.py")
    if EXAMPLE in path.read_text()
)


@pytest.mark.parametrize("name", MODULES)
def test_each_example_shows_what_happens(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them are run, in a folder with the private key that some of them read."""
    write_private_key(tmp_path)
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)

    assert results == (0, inspect.getsource(module).count(EXAMPLE))


@pytest.mark.parametrize("name", [None, *tokensvc.__all__])
def test_the_docstrings_of_the_library_begin_with_an_example(name: str | None) -> None:
    """Of the package and of each of its names: one sentence or two, then the example."""
    described = tokensvc if name is None else getattr(tokensvc, name)
    summary, example, *_ = (inspect.getdoc(described) or "").split("\n\n")

    assert summary
    assert example.startswith(EXAMPLE)
