"""Programs that use a SQLite state in separate processes.

`python -m tests.state.sqlite_process PROGRAM PATH ...`. Each prints its results, one per line, for
the test that started it.
"""

from __future__ import annotations

import itertools
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.clock import ManualClock
from tests.support.documents import save_next
from tests.support.unprivileged import become_unprivileged
from tokensvc.errors import StateConflict, TokensvcError
from tokensvc.state.base import NEW, Record, State
from tokensvc.state.record_writer import RecordWriter
from tokensvc.state.sqlite import SqliteState


def race(state: State, writer: str, versions: str) -> None:
    """Try to be the first to save each version, and print the versions that were saved."""
    for version in range(int(versions)):
        while (replacing := state.version("ring")).number < version:
            pass
        if replacing.number > version:
            continue
        try:
            report("saved", state.save("ring", f"by {writer}", replacing=replacing).number)
        except StateConflict:
            continue


def write_until_killed(state: SqliteState) -> None:
    """Save one version after another, and print each that was acknowledged, until killed."""
    version = NEW
    while True:
        body = f"body of {version.number + 1}" + "x" * 5_000
        version = state.save("ring", body, replacing=version)
        state.put_many("ban", [Record(str(version.number), "x", 4e9)])
        report("acknowledged", version.number)


def fork(state: SqliteState) -> None:
    """Use the state in a parent process, then in its child, then in the parent again."""
    version = state.save("ring", "by the parent", replacing=NEW)
    child = os.fork()
    if child == 0:
        state.save("ring", "by the child", replacing=version)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    report("child exited with", os.waitstatus_to_exitcode(status))
    report("parent saved", save_next(state, "ring", "by the parent again"))


def read_and_write(state: SqliteState) -> None:
    """As an unprivileged user, create, read and write, and print the code of each error."""
    become_unprivileged()
    attempt("create", state.create)
    attempt("read", lambda: state.version("ring"))
    attempt("write", lambda: state.put_many("ban", [Record("a", "x", 4e9)]))


def read_and_write_without_space(state: SqliteState) -> None:
    """Read and write, where no file may grow by a byte, and print the detail of each error."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    attempt("read", lambda: state.version("schema"))
    try:
        state.save("ring", "body", replacing=NEW)
    except TokensvcError as exc:
        report(exc.detail)


def write_in_the_background(state: SqliteState, name: str, count: str) -> None:
    """Queue that many records with IDs that begin with the name, and close the writer."""
    writer = RecordWriter(state, "channel")
    writer.start()
    for number in range(int(count)):
        writer.put(Record(f"{name}-{number}", name, 4e9))
        writer.remove(f"{name}-{number - 10}")
    writer.close()
    report("left", writer.queued)


def queue_until_killed(state: SqliteState) -> None:
    """Queue one record after another, and print the newest one that is stored, until killed."""
    writer = RecordWriter(state, "channel")
    writer.start()
    for number in itertools.count():
        writer.put(Record(str(number), f"body of {number}", 4e9))
        if writer.queued_change(str(number - 50)) is None:
            report("stored", number - 50)
        time.sleep(0.001)


def attempt(name: str, operation: Callable[[], object]) -> None:
    """Print the result of the operation."""
    try:
        operation()
    except TokensvcError as exc:
        report(name, "failed:", exc.code)
    else:
        report(name, "done")


def report(*words: object) -> None:
    """Print and flush a line: the reader may kill this process right after it."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    program, path, *arguments = sys.argv[1:]
    state = SqliteState(Path(path), ManualClock())
    if program != "read_and_write":
        state.create()
    match program:
        case "race":
            race(state, *arguments)
        case "write_until_killed":
            write_until_killed(state)
        case "fork":
            fork(state)
        case "read_and_write_without_space":
            read_and_write_without_space(state)
        case "write_in_the_background":
            write_in_the_background(state, *arguments)
        case "queue_until_killed":
            queue_until_killed(state)
        case "read_and_write":
            read_and_write(state)
        case _:
            sys.exit(f"Unknown program: {program}")
