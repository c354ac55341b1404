"""A state that is not there: only commands that may begin a deployment create one."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Desk
from tokensvc.errors import StateMissing

READING = [
    ("keys", "show", "k"),
    ("keys", "history"),
    ("keys", "rotate", "--plan"),
    ("api-keys", "list"),
]
CHANGING = [
    ("keys", "rotate"),
    ("keys", "rollback"),
    ("keys", "import"),
    ("keys", "revoke", "k", "--yes"),
    ("api-keys", "revoke", "k", "--yes"),
]


@pytest.mark.parametrize("arguments", READING + CHANGING, ids=" ".join)
def test_a_command_for_an_existing_deployment_creates_nothing(
    desk: Desk, arguments: tuple[str, ...]
) -> None:
    """An empty state would make every caller unknown, and hide that the real one is away."""
    assert isinstance(desk.error(*arguments), StateMissing)
    assert not (desk.folder / "keys").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "list"),
        ("keys", "doctor"),
        ("serve", "--check"),
        ("keys", "reconcile", "--rotate-after", "30d"),
    ],
    ids=" ".join,
)
def test_a_command_that_goes_on_after_an_error_creates_nothing_either(
    desk: Desk, arguments: tuple[str, ...]
) -> None:
    """A scheduled job, above all, must not begin another deployment while the state is away."""
    result = desk.run(*arguments)
    assert result.exit_code == 1
    assert "state.sqlite3 does not exist" in result.output
    assert not (desk.folder / "keys").exists()


@pytest.mark.parametrize(
    "arguments",
    [("keys", "generate"), ("keys", "reconcile"), ("api-keys", "create", "site", "--grant", "web")],
    ids=" ".join,
)
def test_a_command_that_begins_a_deployment_creates_the_state(
    desk: Desk, arguments: tuple[str, ...]
) -> None:
    """It is the operator's decision."""
    desk.done(*arguments)
    assert (desk.folder / "keys/state.sqlite3").is_file()
