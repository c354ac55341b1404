"""Crash points: the moments before and after each call that a process makes to what outlives it.

The calls are file operations, writes of state, and calls of IVS. Between the end of one and the
beginning of the next nothing changes that outlives the process, so after the one and before the
other is the same point: a command of n calls has n + 1.

`CrashPoints.watch` wraps the calls from the outside, so that what is watched knows nothing of it.
It is meant for a forked child: the wrapping lasts until the process ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.client import BaseClient

from tokensvc.keyring.rotation import Step
from tokensvc.keyring.steps import Steps
from tokensvc.state.sqlite import SqliteState

FILE_CALLS = (
    "chmod",
    "fdatasync",
    "fsync",
    "ftruncate",
    "link",
    "mkdir",
    "pwrite",
    "remove",
    "rename",
    "replace",
    "rmdir",
    "symlink",
    "truncate",
    "unlink",
    "write",
    "writev",
)
"""The functions of `os` that change files; `open` and the writing methods of `Path` come extra."""

STATE_WRITES = ("save", "put", "remove")

_CHANGES_FILES = ("os.", "shutil.")
"""The audit events of Python that tell of changed files begin so; `open` comes extra."""
_READS_ONLY = frozenset({"os.listdir", "os.scandir", "os.walk", "os.fwalk", "os.getxattr"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass
class CrashPoints:
    """Counts the calls of a process, and kills it after one of them.

    Attributes:
        folder: below it, each change of a file must be made by a counted call.
        die_after: the number of calls to die after, 0 for before the first; None to live.
        tell: is called just before the death, with all that is below.
        calls: the calls made, in order; one that raised had no effect and is left out.
        actions: the actions of the rotation's steps that were begun, in order.
        uncounted: the changes of files below `folder` that no counted call made.
    """

    folder: Path
    die_after: int | None
    tell: Callable[[CrashPoints], None]
    calls: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    uncounted: list[str] = field(default_factory=list)
    _in_file_call: bool = False

    def watch(self) -> None:
        """Wrap every call that is counted, for the rest of this process's life.

        That may end here, before the first call.
        """
        for name in FILE_CALLS:
            setattr(os, name, self._counted(f"os.{name}", getattr(os, name), self._file_call))
        os.open = self._counted_open(os.open)
        for name in ("write_bytes", "write_text"):
            setattr(Path, name, self._counted_write(f"Path.{name}", getattr(Path, name)))
        for name in STATE_WRITES:
            setattr(SqliteState, name, self._counted(f"state {name}", getattr(SqliteState, name)))
        # The one way of every boto3 client's every operation.
        BaseClient._make_api_call = self._counted_ivs(BaseClient._make_api_call)  # type: ignore[attr-defined] # Untyped.
        Steps.do = self._noted_step(Steps.do)  # type: ignore[method-assign] # The same signature.
        sys.addaudithook(self._audit)
        self._die_if_it_is_time()

    def _die_if_it_is_time(self) -> None:
        if self.die_after == len(self.calls):
            self.tell(self)
            os.kill(os.getpid(), signal.SIGKILL)

    def _made(self, call: str) -> None:
        self.calls.append(call)
        self._die_if_it_is_time()

    def _counted(
        self,
        name: str,
        function: Callable[..., Any],
        during: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with during():
                result = function(*args, **kwargs)
            self._made(name)
            return result

        return call

    def _counted_open(self, function: Callable[..., int]) -> Callable[..., int]:
        counted = self._counted("os.open", function, self._file_call)

        def call(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            # One that only reads, or opens a folder to sync it, changes nothing.
            return (counted if flags & _WRITING else function)(path, flags, *args, **kwargs)

        return call

    def _counted_write(self, name: str, function: Callable[..., int]) -> Callable[..., int]:
        # A long write may be cut short: half of it first, then all.
        half = self._counted(f"half of {name}", function, self._file_call)
        whole = self._counted(name, function, self._file_call)

        def call(path: Path, content: Any, *args: Any, **kwargs: Any) -> int:
            half(path, content[: len(content) // 2], *args, **kwargs)
            written: int = whole(path, content, *args, **kwargs)
            return written

        return call

    def _counted_ivs(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(client: Any, operation: str, request: Any) -> Any:
            return self._counted(f"ivs {operation}", function)(client, operation, request)

        return call

    def _noted_step(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def do(steps: Steps, ring: Any, step: Step, why: str) -> Any:
            self.actions.append(step.action.name)
            return function(steps, ring, step, why)

        return do

    @contextlib.contextmanager
    def _file_call(self) -> Iterator[None]:
        self._in_file_call = True
        try:
            yield
        finally:
            self._in_file_call = False

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Python tells of every file that it opens or changes, through whatever call (PEP 578)."""
        if self._in_file_call or not arguments:
            return
        if event == "open":
            changes = bool(arguments[2] & _WRITING)
        else:
            changes = event.startswith(_CHANGES_FILES) and event not in _READS_ONLY
        if changes and self._is_ours(arguments[0]):
            self.uncounted.append(event)

    def _is_ours(self, path: Any) -> bool:
        # A descriptor has no name to judge by; whoever has one for writing has opened it.
        return isinstance(path, str | os.PathLike) and Path(path).is_relative_to(self.folder)
