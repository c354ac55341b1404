"""Programs that use a SQLite state from processes of their own.

`python -m tests.state.sqlite_process PROGRAM PATH ...`. Each prints what it found, one line a fact,
for the test that started it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.clock import ManualClock
from tests.support.unprivileged import become_unprivileged
from tokensvc.errors import StateConflict, TokensvcError
from tokensvc.state.base import NEW, Record
from tokensvc.state.sqlite import SqliteState


def race(state: SqliteState, writer: str, versions: str) -> None:
    """Try to be first at each of the versions; print those that were won."""
    for version in range(int(versions)):
        while state.version("ring") < version:
            pass
        try:
            say("won", state.save("ring", f"by {writer}", replacing=version))
        except StateConflict:
            continue


def write_on(state: SqliteState) -> None:
    """Save version after version, and say which one was acknowledged, until killed."""
    version = NEW
    while True:
        version = state.save("ring", f"body of {version + 1}" + "x" * 5_000, replacing=version)
        state.put("ban", Record(str(version), "x", 4e9))
        say("acknowledged", version)


def fork(state: SqliteState) -> None:
    """Use the state in a parent, then in its child, then in the parent again."""
    version = state.save("ring", "by the parent", replacing=NEW)
    child = os.fork()
    if child == 0:
        state.save("ring", "by the child", replacing=version)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    say("child ended with", os.waitstatus_to_exitcode(status))
    say("parent saved", state.save("ring", "by the parent again", replacing=version + 1))


def touch(state: SqliteState) -> None:
    """As an ordinary user, read, then write; print the code of each refusal."""
    become_unprivileged()
    attempt("read", lambda: state.version("ring"))
    attempt("write", lambda: state.put("ban", Record("a", "x", 4e9)))


def attempt(name: str, operation: Callable[[], object]) -> None:
    """Say how the operation ended."""
    try:
        operation()
    except TokensvcError as exc:
        say(name, "refused:", exc.code)
    else:
        say(name, "done")


def say(*words: object) -> None:
    """Print at once: the reader may kill this process right after."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    program, path, *arguments = sys.argv[1:]
    state = SqliteState(Path(path), ManualClock())
    match program:
        case "race":
            race(state, *arguments)
        case "write_on":
            write_on(state)
        case "fork":
            fork(state)
        case "touch":
            touch(state)
        case _:
            sys.exit(f"No such program: {program}")
