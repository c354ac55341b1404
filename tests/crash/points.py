"""Crash points: before and after each call with a lasting effect, the process can be killed.

The calls are file operations, writes of an SQLite state, and calls of AWS other than reads of the
state or the custody. Nothing that outlives the process
changes between two calls, so the point after one call is also the point before the next: a command
with n calls has n + 1 crash points.

`CrashPoints.watch` wraps the calls from outside, without a change to the tested code. Use it in a
forked child only: the wrapping stays until the process ends.
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

from tokensvc.keyring.effects import Effects
from tokensvc.keyring.steps import Step
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
"""The functions of `os` that change files, except `open`, which is wrapped separately."""

STATE_WRITES = ("save", "put_many", "remove_many")

_READS = ("BatchGet", "Describe", "Get", "List", "Query", "Sign")
"""How the names of the operations begin that change nothing in the state or the custody."""

_CHANGES_FILES = ("os.", "shutil.")
"""Prefixes of Python's audit events for changed files, except the event `open`."""
_READS_ONLY = frozenset({"os.listdir", "os.scandir", "os.walk", "os.fwalk", "os.getxattr"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass
class CrashPoints:
    """Counts the calls of a process, and kills the process after one of them.

    Attributes:
        folder: every change of a file in this folder must be made by a counted call.
        kill_after: the number of calls to kill after, 0 for before the first; None to run to the
            end.
        report: called just before the kill, with this object.
        calls: the calls made, in order; a call that raised had no effect and is left out.
        actions: the actions of the rotation steps that were begun, in order.
        uncounted: the changes of files in `folder` that were made by no counted call.
    """

    folder: Path
    kill_after: int | None
    report: Callable[[CrashPoints], None]
    calls: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    uncounted: list[str] = field(default_factory=list)
    _in_file_call: bool = False

    def watch(self) -> None:
        """Wrap every counted call until the process ends.

        With `kill_after=0` the process is killed here, before the first call.
        """
        for name in FILE_CALLS:
            setattr(os, name, self._counted(f"os.{name}", getattr(os, name), self._file_call))
        os.open = self._counted_open(os.open)
        for name in ("write_bytes", "write_text"):
            setattr(Path, name, self._counted_write(f"Path.{name}", getattr(Path, name)))
        for name in STATE_WRITES:
            setattr(SqliteState, name, self._counted(f"state {name}", getattr(SqliteState, name)))
        # Every operation of every boto3 client calls this method.
        BaseClient._make_api_call = self._counted_aws(BaseClient._make_api_call)  # type: ignore[attr-defined] # Untyped.
        Effects.perform = self._recording_step(Effects.perform)  # type: ignore[method-assign] # The same signature.
        sys.addaudithook(self._audit_hook)
        self._kill_if_due()

    def _kill_if_due(self) -> None:
        if self.kill_after == len(self.calls):
            self.report(self)
            os.kill(os.getpid(), signal.SIGKILL)

    def _record_call(self, call: str) -> None:
        self.calls.append(call)
        self._kill_if_due()

    def _counted(
        self,
        name: str,
        function: Callable[..., Any],
        during: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with during():
                result = function(*args, **kwargs)
            self._record_call(name)
            return result

        return call

    def _counted_open(self, function: Callable[..., int]) -> Callable[..., int]:
        counted = self._counted("os.open", function, self._file_call)

        def call(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            # Opening for reading, or a folder to sync it, changes nothing.
            return (counted if flags & _WRITING else function)(path, flags, *args, **kwargs)

        return call

    def _counted_write(self, name: str, function: Callable[..., int]) -> Callable[..., int]:
        # A kill may interrupt a long write: first write only a part, then everything.
        partial_write = self._counted(f"partial {name}", function, self._file_call)
        full_write = self._counted(name, function, self._file_call)

        def call(path: Path, content: Any, *args: Any, **kwargs: Any) -> int:
            partial_write(path, content[: len(content) // 2], *args, **kwargs)
            written: int = full_write(path, content, *args, **kwargs)
            return written

        return call

    def _counted_aws(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(client: Any, operation: str, request: Any) -> Any:
            service = client.meta.service_model.service_name
            counts = service == "ivs" or not operation.startswith(_READS)
            counted = self._counted(f"{service} {operation}", function) if counts else function
            return counted(client, operation, request)

        return call

    def _recording_step(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def perform(effects: Effects, ring: Any, step: Step) -> Any:
            self.actions.append(step.action.name)
            return function(effects, ring, step)

        return perform

    @contextlib.contextmanager
    def _file_call(self) -> Iterator[None]:
        self._in_file_call = True
        try:
            yield
        finally:
            self._in_file_call = False

    def _audit_hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Python reports every file that it opens or changes, by any call (PEP 578)."""
        if self._in_file_call or not arguments:
            return
        if event == "open":
            changes = bool(arguments[2] & _WRITING)
        else:
            changes = event.startswith(_CHANGES_FILES) and event not in _READS_ONLY
        if changes and self._is_in_folder(arguments[0]):
            self.uncounted.append(event)

    def _is_in_folder(self, path: Any) -> bool:
        # A file descriptor has no path to compare. Opening it for writing was an event, too.
        return isinstance(path, str | os.PathLike) and Path(path).is_relative_to(self.folder)
