"""The output of the log never waits for its reader, and counts what it drops."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tokensvc.line_targets import MAX_LINE_BYTES, line_target
from tokensvc.telemetry.log_output import MAX_FLUSH_SECONDS, LogOutput

LINE = b"x" * 99 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, LogOutput]]:
    """The reading end of a pipe, and an output at its other end that keeps 1,000 bytes."""
    reading, writing = os.pipe()
    with closing(LogOutput(line_target(writing), max_kept_bytes=1_000)) as output:
        yield reading, output
    os.close(reading)
    os.close(writing)


def fill(output: LogOutput) -> int:
    """Write lines until one is dropped, and return the number of the others."""
    lines = 0
    while not output.dropped:
        output.write(LINE)
        lines += 1
    return lines - 1


def read_all(descriptor: int) -> bytes:
    """What the pipe contains now."""
    os.set_blocking(descriptor, False)
    data = b""
    try:
        while part := os.read(descriptor, 65_536):
            data += part
    except BlockingIOError:
        pass
    return data


def test_a_reader_that_stands_still_costs_lines_and_no_time(pipe: tuple[int, LogOutput]) -> None:
    """The kept lines follow in order when it reads again, then the number of the dropped ones."""
    reading, output = pipe
    written = fill(output)
    for _ in range(4):
        output.write(LINE)
    assert output.dropped == 5

    in_pipe = read_all(reading)
    output.write(b"later\n")
    after = read_all(reading)

    *kept, report, last = after.splitlines(keepends=True)
    assert in_pipe + b"".join(kept) == LINE * written
    assert last == b"later\n"
    assert json.loads(report)["dropped"] == 5
    assert output.dropped == 0


def test_kept_lines_are_written_when_the_process_flushes_its_logs(
    pipe: tuple[int, LogOutput],
) -> None:
    """No other line has to follow, and a reader that is slow gets them too."""
    reading, output = pipe
    written = fill(output)
    received: list[bytes] = []

    def read() -> None:
        time.sleep(0.2)
        while len(b"".join(received)) < written * len(LINE):
            received.append(os.read(reading, 4_096))

    reader = threading.Thread(target=read)
    reader.start()
    output.flush()
    reader.join()
    assert b"".join(received).startswith(LINE * written)


def test_a_flush_ends_although_the_reader_does_not_read(pipe: tuple[int, LogOutput]) -> None:
    """A process must be able to end."""
    fill(pipe[1])
    began = time.monotonic()
    pipe[1].flush()
    assert time.monotonic() - began < 10 * MAX_FLUSH_SECONDS


def test_a_traceback_longer_than_a_pipe_takes_at_once_is_written_in_parts(
    pipe: tuple[int, LogOutput],
) -> None:
    """The parts stay together in the output of one process."""
    reading, output = pipe
    long_line = b"t" * (MAX_LINE_BYTES + 904) + b"\n"
    unlimited = LogOutput(output._target)  # The same pipe, with the usual limit.
    unlimited.write(long_line)
    unlimited.write(LINE)
    assert read_all(reading) == long_line + LINE


def test_kept_lines_are_written_together_and_in_order() -> None:
    """One write takes 40 lines of 100 bytes, because a pipe takes at most 4,096 bytes whole."""
    target = FullDisk(is_full=False)
    output = LogOutput(target)
    lines = [b"%099d\n" % number for number in range(90)]
    for line in lines:
        output.keep(line)
    assert target.lines == []

    output.write_kept()
    assert [written.count(b"\n") for written in target.lines] == [40, 40, 10]
    assert b"".join(target.lines) == b"".join(lines)


def test_a_line_that_is_written_follows_those_that_were_kept() -> None:
    """A warning stands behind the access lines of the requests before it."""
    target = FullDisk(is_full=False)
    output = LogOutput(target)
    output.keep(b"first\n")
    output.write(b"second\n")
    output.write_kept()
    assert target.lines == [b"first\n", b"second\n"]


def test_lines_that_are_never_written_are_dropped_and_counted() -> None:
    """1,024 bytes take ten lines of 100 bytes."""
    output = LogOutput(FullDisk(), max_kept_bytes=1_024)
    for _ in range(12):
        output.keep(LINE)
    assert output.dropped == 2


@dataclass
class FullDisk:
    """A target whose disk is full until `is_full` is false."""

    is_full: bool = True
    lines: list[bytes] = field(default_factory=list)

    def write(self, line: bytes) -> None:
        """Append the line, or fail as the disk does."""
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.lines.append(line)

    def wait(self, seconds: float) -> None:
        """Return at once."""

    def close(self) -> None:
        """Do nothing."""


def test_a_full_disk_fails_nothing_and_the_lost_lines_are_counted() -> None:
    """The service goes on, and the log says later what it lacks."""
    disk = FullDisk()
    output = LogOutput(disk)
    output.write(LINE)
    output.write(LINE)
    disk.is_full = False
    output.write(LINE)
    assert disk.lines[0] == LINE
    assert json.loads(disk.lines[1])["dropped"] == 2


def test_a_file_gets_the_lines_in_order(tmp_path: Path) -> None:
    """Also long ones."""
    with (tmp_path / "log").open("wb") as file:
        output = LogOutput(line_target(file.fileno()))
        output.write(LINE)
        output.write(b"y" * 9_000 + b"\n")
        output.write(LINE)
        output.close()
    assert (tmp_path / "log").read_bytes() == LINE + b"y" * 9_000 + b"\n" + LINE
