"""What keeps `tokensvc local-ivs` from starting is told at once, with the way out."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Desk


@pytest.fixture
def port() -> str:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def test_a_port_in_use_is_told_with_the_option_that_chooses_another(desk: Desk) -> None:
    """In one sentence, and before anything is made."""
    folder = desk.folder / "new"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = desk.refused("local-ivs", "--port", str(port), "--data", str(folder))
    assert f"Port {port} on 127.0.0.1 can't be used (Address already in use)." in said
    assert "choose another port: tokensvc local-ivs --port " in said
    assert not folder.exists()


def test_a_state_file_that_is_none_is_told_and_left_alone(desk: Desk, port: str) -> None:
    """By its name, with both ways out."""
    file = desk.folder / "data" / "local-ivs.sqlite3"
    file.parent.mkdir()
    file.write_text("Dear diary, this is no database at all.")
    said = desk.refused("local-ivs", "--port", port, "--data", str(file.parent))
    assert f"Local IVS can't use its state file {file}: file is not a database." in said
    assert "Give it another folder, or move the file away" in said
    assert file.read_text() == "Dear diary, this is no database at all."


def test_a_folder_that_cannot_be_made_is_told(desk: Desk, port: str) -> None:
    """Its path leads through a plain file."""
    said = desk.refused("local-ivs", "--port", port, "--data", str(desk.settings / "data"))
    assert f"Local IVS can't use its state file {desk.settings}/data/local-ivs.sqlite3:" in said
    assert "Give it another folder" in said
