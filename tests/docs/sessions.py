"""Runs the commands of a page in one shell, in a folder of their own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tests.docs.blocks import ROOT, Block

TIMEOUT_SECONDS = 300  # Most of it is the work of other tests.
CLIENT = Path(__file__).with_name("warm_client.py")
AWS = ROOT / ".venv-awscli/bin/aws"
PROGRAM = """#!/bin/sh
case " $* " in
    *" serve --check "*) ;;
    *" serve "*|*" --watch "*) exec {python} -m tokensvc "$@" ;;
esac
exec {python} -ISE {client} {socket} "$@"
"""

PROLOGUE = """set -euo pipefail
set -m
trap 'jobs -p | xargs --no-run-if-empty kill; wait' EXIT
"""
FOREGROUND = re.compile(r"^tokensvc serve *(#.*)?$", re.MULTILINE)
READY = "curl --silent --fail --retry 60 --retry-connrefused --retry-delay 1 --output /dev/null"
BACKGROUND = f"""tokensvc serve > audit.log 2> service.log &
{READY} http://127.0.0.1:$TOKENSVC_SERVICE__PORT/readyz"""


@dataclass(frozen=True)
class Session:
    """What the commands of a page need, besides Local IVS.

    Attributes:
        given: what there is before the first block, by the names of fixtures.
        before: shell commands that run before the first block: what the reader has.
        before_block: shell commands that run before the block with this number, from 0.
        after: shell commands that run after the last block, and fail if the page was wrong.
        replaced: placeholders of the page, and what stands in their place.
    """

    given: Sequence[str] = ()
    before: str = ""
    before_block: Mapping[int, str] = field(default_factory=dict)
    after: str = ""
    replaced: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def warm_programs(folder: Path) -> Iterator[Path]:
    """A folder with `tokensvc`, whose commands start fast, and with `aws`."""
    address = folder / "socket"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.docs.warm_tokensvc", str(address)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        programs = folder / "programs"
        programs.mkdir()
        program = programs / "tokensvc"
        program.write_text(PROGRAM.format(python=sys.executable, client=CLIENT, socket=address))
        program.chmod(0o700)
        (programs / "aws").symlink_to(AWS)
        yield programs
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def run(
    blocks: Sequence[Block],
    session: Session,
    *,
    folder: Path,
    programs: Path,
    environment: Mapping[str, str],
    replaced: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Run the blocks one after another. Raises AssertionError if a command fails.

    A line `tokensvc serve` runs in the background, and the next one when the service is ready.

    Returns:
        what each block has printed on standard output. It is in a file too, `printed-NUMBER`.
    """
    parts = [PROLOGUE, session.before]
    for number, block in enumerate(blocks):
        before = session.before_block.get(number, "")
        text = FOREGROUND.sub(BACKGROUND, block.text)
        parts += [before, f"echo '== {block}' >&2", f"exec > {folder}/printed-{number}", text]
    parts += [f"exec > {folder}/printed-after", session.after]
    script = "\n".join(parts)
    for text, instead in {**session.replaced, **replaced}.items():
        script = script.replace(text, instead)
    done = subprocess.run(
        ["bash", "-c", script],  # noqa: S607 # From PATH.
        cwd=folder,
        env={
            "HOME": str(folder),
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    files = [folder / f"printed-{number}" for number in range(len(blocks))]
    printed = [path.read_text() if path.exists() else "(not run)" for path in files]
    assert done.returncode == 0, "\n".join([done.stderr, *printed])
    return printed


def free_ports(count: int) -> list[int]:
    """Ports that nothing uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def masked(text: str) -> str:
    """The text without what is another one each time: IDs, times, numbers of seconds, colors."""
    for pattern, name in (
        (r"\x1b\[[0-9;]*m", ""),
        (r"\b[ak][0-9a-f]{12}\b", "KEY"),
        (r"\barn:aws:[^\s\"',]+", "ARN"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z| UTC)?", "TIME"),
        (r"\d+", "N"),
        (r"[ \t]+", " "),
    ):
        text = re.sub(pattern, name, text)
    return text
