"""The command `local-ivs` prints an error that keeps Local IVS from starting, and uses its options.

`test_survival.py` runs the command as a process.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from local_ivs.command import local_ivs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class ElapsedTime:
    """Time that passes only in `sleep`, which also calls `meanwhile`."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.seconds = 0.0
        self._meanwhile = meanwhile

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self.seconds

    def sleep(self, seconds: float, /) -> None:
        """Return immediately."""
        self.seconds += seconds
        self._meanwhile()


def run(*arguments: str, clock: ElapsedTime | None = None) -> Result:
    """Run the command in this process. It must not get as far as gunicorn."""
    return CliRunner().invoke(local_ivs, arguments, obj=clock or ElapsedTime())


@dataclass
class Started:
    """The command line and the variables with which the command would become gunicorn."""

    command: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = None

    def execve(self, _path: str, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
        """Stands in for os.execve."""
        self.command, self.environment = command, environment


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Records the start of gunicorn instead of replacing this process. No variable is set."""
    for name in [name for name in os.environ if name.startswith("LOCAL_IVS_")]:
        monkeypatch.delenv(name)
    started = Started()
    monkeypatch.setattr(os, "execve", started.execve)
    return started


@pytest.fixture
def port() -> str:
    """A free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


# --- Errors


def test_a_port_in_use_is_reported_with_the_option_that_chooses_another(tmp_path: Path) -> None:
    """After 4 s in which the port may become free, and before anything is created."""
    folder, clock = tmp_path / "new", ElapsedTime()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run("--port", str(port), "--data", str(folder), clock=clock)
    assert result.exit_code == 1
    assert str(port) in result.stderr
    assert f"`local-ivs --port {port + 10}`" in result.stderr
    assert clock.seconds == pytest.approx(4)
    assert not folder.exists()


def test_a_port_that_becomes_free_is_used(tmp_path: Path, started: Started) -> None:
    """As when a killed Local IVS still has it for a moment."""
    other = socket.create_server(("127.0.0.1", 0))
    port = str(other.getsockname()[1])
    result = run("--port", port, "--data", str(tmp_path), clock=ElapsedTime(other.close))
    assert (result.exit_code, started.command[-4]) == (0, "--bind")


def test_an_invalid_state_file_is_reported_and_not_changed(tmp_path: Path, port: str) -> None:
    """The error names the file."""
    file = tmp_path / "local-ivs.sqlite3"
    file.write_text("This text is not a database.")
    result = run("--port", port, "--data", str(tmp_path))
    assert result.exit_code == 1
    assert str(file) in result.stderr
    assert file.read_text() == "This text is not a database."


def test_a_folder_that_can_not_be_created_is_reported(tmp_path: Path, port: str) -> None:
    """Its path leads through a plain file."""
    (tmp_path / "file").touch()
    result = run("--port", port, "--data", str(tmp_path / "file" / "data"))
    assert result.exit_code == 1
    assert f"{tmp_path}/file/data/local-ivs.sqlite3" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--port", "0"), "--port"),
        (("--port", "65536"), "--port"),
        (("--effect-delay-seconds", "3601"), "--effect-delay-seconds"),
        (("--effect-delay-seconds", "-1"), "--effect-delay-seconds"),
        (("--listen-fd", "-1"), "--listen-fd"),
        (("--listen-fd", "3", "--port", "8001"), "--port"),
        (("--data", __file__), "--data"),
        (("--verbose",), "--verbose"),
    ],
)
def test_a_wrong_option_is_named_with_exit_status_2(arguments: tuple[str, ...], named: str) -> None:
    """The error, with the command's usage."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert named in result.stderr
    assert "Usage: local-ivs" in result.stderr


def test_a_descriptor_must_be_a_tcp_socket_that_is_bound_to_loopback(tmp_path: Path) -> None:
    """Not a file, a closed one, or a socket that is unbound, UDP, Unix or on all addresses."""
    file = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    with (
        os.fdopen(file),
        socket.socket() as unbound,
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        socket.socket() as everywhere,
        socket.socket(socket.AF_UNIX) as local,
    ):
        datagrams.bind(("127.0.0.1", 0))
        everywhere.bind(("0.0.0.0", 0))  # noqa: S104 - This is what must be refused.
        local.bind(str(tmp_path / "socket"))
        sockets = (unbound, datagrams, everywhere, local)
        for descriptor in (file, *(each.fileno() for each in sockets)):
            result = run("--listen-fd", str(descriptor), "--data", str(tmp_path / "data"))
            assert result.exit_code == 2
            assert f"descriptor {descriptor} " in result.stderr
            os.fstat(descriptor)  # It is still open.
    assert run("--listen-fd", str(file)).exit_code == 2
    assert not (tmp_path / "data").exists()


# --- Options and variables


def test_it_starts_gunicorn_with_the_options(
    tmp_path: Path, port: str, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option takes precedence over its variable."""
    monkeypatch.setenv("LOCAL_IVS_DATA", "/dev/null/other")
    monkeypatch.setenv("LOCAL_IVS_THROTTLE", "on")
    monkeypatch.setenv("LOCAL_IVS_EFFECT_DELAY_SECONDS", "7")
    options = ("--data", str(tmp_path), "--no-throttle", "--effect-delay-seconds", "2.5")
    result = run("--port", port, *options)
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"AWS_ENDPOINT_URL_IVS=http://127.0.0.1:{port}\n" in result.stderr
    assert started.environment is not None
    assert started.environment["LOCAL_IVS_DATA"] == str(tmp_path)
    assert started.environment["LOCAL_IVS_THROTTLE"] == "off"
    assert started.environment["LOCAL_IVS_EFFECT_DELAY_SECONDS"] == "2.5"
    assert started.command[-2:] == ("--config", "python:local_ivs.gunicorn_conf")


def test_without_options_the_variables_apply(
    tmp_path: Path, port: str, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All other variables reach gunicorn too."""
    monkeypatch.setenv("LOCAL_IVS_DATA", str(tmp_path))
    monkeypatch.setenv("LOCAL_IVS_THROTTLE", "off")
    monkeypatch.setenv("LOCAL_IVS_EFFECT_DELAY_SECONDS", "7")
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--log-level=error")
    assert run("--port", port).exit_code == 0
    assert started.environment is not None
    assert started.environment.items() >= os.environ.items()


def test_the_default_folder_is_in_the_current_folder(
    tmp_path: Path, port: str, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`local-ivs`, created with the state file in it."""
    monkeypatch.chdir(tmp_path)
    assert run("--port", port).exit_code == 0
    assert started.environment is not None
    assert started.environment["LOCAL_IVS_DATA"] == "local-ivs"
    assert (tmp_path / "local-ivs" / "local-ivs.sqlite3").exists()
