"""The sentences that the command prints when it fails, and its exit status.

The table is `error_sentences.txt`, so that all sentences are reviewed in one place. Every other
test of the command asserts identifiers and data.
"""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from test_command import run

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE = Path(__file__).with_name("error_sentences.txt")


# --- What precedes the command


def empty_folder(_folder: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing."""


def port_in_use(_folder: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program listens on {used_port}, as in every case."""


def damaged_state(folder: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    """The state file is damaged."""
    (folder / "local").mkdir()
    (folder / "local/local-ivs.sqlite3").write_bytes(b"garbage" * 1_000)


def invalid_variables(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two variables are invalid."""
    monkeypatch.setenv("LOCAL_IVS_THROTTLE", "maybe")
    monkeypatch.setenv("LOCAL_IVS_EFFECT_DELAY_SECONDS", "5000")


# --- The table


@dataclass(frozen=True)
class Case:
    """A command that fails.

    Attributes:
        prepare: the name of the function above that precedes the command.
        command: the command line, with `{name}` for the values of `names`.
        printed: its standard error, without click's usage.
        status: its exit status.
    """

    prepare: str
    command: str
    printed: str
    status: int


def cases() -> list[Case]:
    """The cases of the table: blocks that a blank line separates."""
    block = re.compile(r"# (\w+)\n\$ local-ivs (.+)\n((?:.+\n)+?)exit status (\d)\n")
    text = TABLE.read_text().partition("\n\n")[2]
    found = block.findall(text)
    assert len(found) == len(text.split("\n\n"))
    return [Case(name, command, printed, int(status)) for name, command, printed, status in found]


@pytest.fixture
def names(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The values that differ between runs, by their names in the table."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free_port = str(listener.getsockname()[1])
    with ExitStack() as stack:
        other = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        file = stack.enter_context((tmp_path / "file").open("w"))
        unbound = stack.enter_context(socket.socket())
        port = other.getsockname()[1]
        yield {
            "folder": str(tmp_path),
            "used_port": str(port),
            "next_port": str(port + 10),
            "free_port": free_port,
            "file": str(file.fileno()),
            "unbound": str(unbound.fileno()),
        }


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.prepare}: {case.command}")
def test_the_error_and_what_to_do_are_printed(
    case: Case, names: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly the sentences of the table."""
    globals()[case.prepare](tmp_path, monkeypatch)

    result = run(*case.command.format(**names).split())

    lines = [line for line in result.stderr.splitlines(keepends=True) if line.strip()]
    printed = "".join(line for line in lines if not line.startswith(("Usage: ", "Try '")))
    assert (printed, result.exit_code) == (case.printed.format(**names), case.status)
