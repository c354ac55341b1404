"""The audit output: whole lines or none, and never a blocked event loop."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.audit.test_audit import GRANTED
from tokensvc.audit_output import MAX_WAIT_SECONDS, AuditOutput
from tokensvc.errors import AuditUnavailable
from tokensvc.line_targets import MAX_LINE_BYTES
from tokensvc.waiting import MustWait, no_waiting

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from dataclasses import replace
from tests.audit.test_audit import GRANTED
from tokensvc.audit_output import AuditOutput

output = AuditOutput(1)
for number in range(2_000):
    output.write(replace(GRANTED, request_id=f"{sys.argv[1]}-{number}"))
"""


@pytest.fixture
def pipe() -> Iterator[tuple[int, AuditOutput]]:
    """The reading end of a pipe, and the output at its other end."""
    reading, writing = os.pipe()
    with closing(AuditOutput(writing)) as output:
        yield reading, output
    os.close(reading)
    os.close(writing)


def fill(output: AuditOutput) -> int:
    """Write until the pipe is full, and return the number of lines."""
    for number in range(100_000):
        try:
            output.write(GRANTED)
        except AuditUnavailable:
            return number
    pytest.fail("The pipe is never full.")


def assert_no_failure(output: AuditOutput) -> None:
    """The last line was written."""
    assert output.failure is None


def test_lines_of_several_processes_are_whole(tmp_path: Path) -> None:
    """None is lost, also with standard output that Python would buffer."""
    path = tmp_path / "audit"
    with path.open("ab") as file:
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, name], cwd=ROOT, stdout=file)
            for name in "abcd"
        ]
        assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    lines = [json.loads(line)["request_id"] for line in path.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{name}-{number}" for name in "abcd" for number in range(2_000))


def test_a_log_in_the_same_file_overwrites_no_line(tmp_path: Path) -> None:
    """As with `tokensvc serve >file 2>&1`, which does not append."""
    path = tmp_path / "both"
    with path.open("wb") as file, closing(AuditOutput(file.fileno())) as output:
        for number in range(3):
            output.write(replace(GRANTED, request_id=str(number)))
            os.write(file.fileno(), b"a log line\n")
    lines = path.read_text().splitlines()
    assert lines[1::2] == ["a log line"] * 3
    assert [json.loads(line)["request_id"] for line in lines[::2]] == ["0", "1", "2"]


def test_a_reader_that_stands_still_refuses_and_blocks_no_thread_for_long(
    pipe: tuple[int, AuditOutput],
) -> None:
    """After that it goes on, and every line that was acknowledged is there once."""
    reading, output = pipe
    began = time.monotonic()
    acknowledged = fill(output)
    assert time.monotonic() - began < MAX_WAIT_SECONDS + 3
    assert isinstance(output.failure, AuditUnavailable)

    os.set_blocking(reading, False)
    data = os.read(reading, 1024 * 1024)
    output.write(replace(GRANTED, request_id="after"))
    assert_no_failure(output)
    data += os.read(reading, 1024 * 1024)
    lines = [json.loads(line)["request_id"] for line in data.decode().splitlines()]
    assert lines == ["r1"] * acknowledged + ["after"]


def test_on_an_event_loop_a_full_pipe_never_blocks(pipe: tuple[int, AuditOutput]) -> None:
    """The request runs again in a thread."""
    _, output = pipe
    fill(output)

    began = time.monotonic()
    with no_waiting(), pytest.raises(MustWait):
        output.write(GRANTED)
    assert time.monotonic() - began < MAX_WAIT_SECONDS - 0.2


def test_a_thread_waits_until_the_reader_goes_on(pipe: tuple[int, AuditOutput]) -> None:
    """A short pause of the reader refuses nothing."""
    reading, output = pipe
    fill(output)
    thread = threading.Thread(target=output.write, args=(GRANTED,))
    thread.start()
    os.read(reading, 1024 * 1024)
    thread.join(5)
    assert not thread.is_alive()
    assert output.failure is None


def test_a_full_disk_leaves_no_part_of_a_line(tmp_path: Path) -> None:
    """The limit for the size of a file takes a part of a line, as a full disk does."""
    path = tmp_path / "audit"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with path.open("ab") as file, closing(AuditOutput(file.fileno())) as output:
            output.write(GRANTED)
            whole = path.read_bytes()
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 10, limits[1]))
            with pytest.raises(AuditUnavailable):
                output.write(GRANTED)
            assert path.read_bytes() == whole
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            output.write(GRANTED)
            assert path.read_bytes() == whole * 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_socket_is_written_without_blocking() -> None:
    """As under systemd, whose journal is a socket that can't be opened again."""
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(AuditOutput(ours.fileno())) as output:
        output.write(GRANTED)
        assert json.loads(theirs.recv(65_536))["request_id"] == "r1"
        assert ours.getblocking()


def test_the_shared_descriptor_stays_blocking(pipe: tuple[int, AuditOutput]) -> None:
    """Another process that writes to it must not get EAGAIN."""
    reading, writing = os.pipe()
    with closing(AuditOutput(writing)):
        assert os.get_blocking(writing)
    os.close(reading)
    os.close(writing)


def test_a_line_longer_than_a_pipe_takes_whole_is_refused(pipe: tuple[int, AuditOutput]) -> None:
    """No member is that long; a bug must not break the lines of others."""
    _, output = pipe
    with pytest.raises(AuditUnavailable):
        output.write(replace(GRANTED, grant="g" * MAX_LINE_BYTES))


def test_a_closed_descriptor_is_refused_at_the_start() -> None:
    """Before the first token."""
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(AuditUnavailable):
        AuditOutput(writing)
