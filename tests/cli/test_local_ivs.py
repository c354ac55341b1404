"""Errors that keep `tokensvc local-ivs` from starting are printed at once, with a hint."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Desk


@pytest.fixture
def port() -> str:
    """A free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def test_a_port_in_use_is_reported_with_the_option_that_chooses_another(desk: Desk) -> None:
    """Before anything is created."""
    folder = desk.folder / "new"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = desk.error("local-ivs", "--port", str(port), "--data", str(folder))
    assert error.code == "port_unusable"
    assert str(port) in error.detail
    assert f"`tokensvc local-ivs --port {port + 10}`" in error.hint
    assert not folder.exists()


def test_an_invalid_state_file_is_reported_and_not_changed(desk: Desk, port: str) -> None:
    """The error names the file."""
    file = desk.folder / "data" / "local-ivs.sqlite3"
    file.parent.mkdir()
    file.write_text("This text is not a database.")
    error = desk.error("local-ivs", "--port", port, "--data", str(file.parent))
    assert error.code == "local_ivs_unusable"
    assert str(file) in str(error)
    assert file.read_text() == "This text is not a database."


def test_a_folder_that_can_not_be_created_is_reported(desk: Desk, port: str) -> None:
    """Its path leads through a plain file."""
    error = desk.error("local-ivs", "--port", port, "--data", str(desk.settings / "data"))
    assert error.code == "local_ivs_unusable"
    assert f"{desk.settings}/data/local-ivs.sqlite3" in str(error)
