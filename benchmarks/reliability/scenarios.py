"""The faults, in the order of the run. Each is injected for a time and then removed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.reliability.load import Load
from benchmarks.reliability.site import DRAIN_SECONDS, TTL_SECONDS, Site
from benchmarks.serving.failure import BenchmarkFailed
from tests.support.full_disk import SmallDisk

_FAULT_SECONDS: Final = 15.0
_CLOCK_FAULT_SECONDS: Final = 20.0
_HANG_SECONDS: Final = 30.0
_HOUR_SECONDS: Final = 3_600.0
_BEFORE_ROLLBACK_SECONDS: Final = 3.0
_NEWER_SCHEMA: Final = 99
_REMOUNT_SECONDS: Final = 5.0

Inject = Callable[[Site, Load], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One fault of the run.

    Attributes:
        name: its identifier.
        title: what a reader of the table sees.
        inject: begins the fault, and removes it when the block ends.
        fault_seconds: how long the fault lasts at least.
        ends_worker: whether a worker is ended as soon as the fault is there, so that another starts
            in the middle of it.
    """

    name: str
    title: str
    inject: Inject
    fault_seconds: float = _FAULT_SECONDS
    ends_worker: bool = False


@contextmanager
def _rotation(site: Site, _load: Load) -> Iterator[None]:
    site.command("keys", "rotate", "--wait")  # Until the drain is over and the old one is deleted.
    yield


@contextmanager
def _rollback(site: Site, _load: Load) -> Iterator[None]:
    site.command("keys", "rotate")
    time.sleep(_BEFORE_ROLLBACK_SECONDS)
    site.command("keys", "rollback")
    time.sleep(DRAIN_SECONDS + 1.0)
    site.command("keys", "reconcile")
    yield


@contextmanager
def _revocation(site: Site, _load: Load) -> Iterator[None]:
    site.command("keys", "revoke", site.active_key_id(), "--yes")
    yield


@contextmanager
def _full(disk: SmallDisk) -> Iterator[None]:
    disk.fill()
    try:
        yield
    finally:
        disk.free()


@contextmanager
def _read_only_disk(site: Site, _load: Load) -> Iterator[None]:
    _remount(site.disk.folder, "ro")
    try:
        yield
    finally:
        _remount(site.disk.folder, "rw")


def _remount(folder: Path, mode: str) -> None:
    """Try again while a file is open for writing: each operation of the state opens it for a ms."""
    command = ("mount", "-o", f"remount,{mode}", str(folder))
    give_up_at = time.monotonic() + _REMOUNT_SECONDS
    while (done := subprocess.run(command, capture_output=True, check=False)).returncode:  # noqa: S603 # Fixed words.
        if time.monotonic() > give_up_at:
            raise BenchmarkFailed(f"{folder} can't be remounted {mode}: {done.stderr.decode()}")
        time.sleep(0.1)


@contextmanager
def _moved_away(folder: Path) -> Iterator[None]:
    elsewhere = folder.with_name(f"{folder.name}.away")
    folder.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(folder)


@contextmanager
def _newer_schema(site: Site, _load: Load) -> Iterator[None]:
    """Save every document as a newer release would, and then as they were."""
    with closing(sqlite3.connect(site.state / "state.sqlite3", timeout=5.0)) as connection:
        bodies = connection.execute("SELECT name, body FROM documents").fetchall()
        _save(connection, "json_set(body, '$.schema_version', ?)", [(_NEWER_SCHEMA,)])
        try:
            yield
        finally:
            for name, body in bodies:
                _save(connection, "?", [(body, name)], where="WHERE name = ?")


def _save(
    connection: sqlite3.Connection,
    body: str,
    parameters: Sequence[Sequence[object]],
    *,
    where: str = "",
) -> None:
    with connection:
        connection.executemany(
            f"UPDATE documents SET body = {body}, version = version + 1 {where}",  # noqa: S608 # Fixed words.
            parameters,
        )


def _clock(offset_seconds: float) -> Inject:
    """The service's clock is wrong by so much the other way: it is Local IVS's clock that moves."""

    @contextmanager
    def inject(site: Site, load: Load) -> Iterator[None]:
        _move_clock(site, load, offset_seconds)
        try:
            yield
        finally:
            _move_clock(site, load, 0.0)

    return inject


def _move_clock(site: Site, load: Load, offset_seconds: float) -> None:
    load.edge_offset_seconds = float("nan")  # Equal to nothing: no token is presented meanwhile.
    site.control("PUT", "/_local/clock", {"offset_seconds": offset_seconds})
    load.edge_offset_seconds = offset_seconds


@contextmanager
def _hanging_ivs(site: Site, _load: Load) -> Iterator[None]:
    fault = {"operation": "*", "kind": "slow", "seconds": _HANG_SECONDS, "times": 1_000}
    site.control("POST", "/_local/faults", fault)
    try:
        yield
    finally:
        site.control("DELETE", "/_local/faults", {})


def end_worker(site: Site) -> None:
    """End one worker as the kernel does when memory runs out. Its main process starts another."""
    os.kill(site.workers()[0], signal.SIGKILL)


SCENARIOS: Final = (
    Scenario("rotation", "scheduled rotation", _rotation, DRAIN_SECONDS),
    Scenario("rollback", "rotation and rollback", _rollback, DRAIN_SECONDS),
    Scenario("revocation", "`keys revoke` of the active key", _revocation, TTL_SECONDS),
    Scenario(
        "full_disk",
        "full disk of the state, and a worker is replaced",
        lambda site, _: _full(site.disk),
        ends_worker=True,
    ),
    Scenario(
        "read_only",
        "read-only disk of the state, and a worker is replaced",
        _read_only_disk,
        ends_worker=True,
    ),
    Scenario("full_log", "full disk of the audit log", lambda site, _: _full(site.log_disk)),
    Scenario("state_away", "folder of the state away", lambda site, _: _moved_away(site.state)),
    Scenario(
        "state_away_worker",
        "the same, and a worker is replaced",
        lambda site, _: _moved_away(site.state),
        ends_worker=True,
    ),
    Scenario(
        "keys_away", "folder of the private keys away", lambda site, _: _moved_away(site.keys)
    ),
    Scenario(
        "keys_away_worker",
        "the same, and a worker is replaced",
        lambda site, _: _moved_away(site.keys),
        ends_worker=True,
    ),
    Scenario("newer_schema", "documents of a newer release", _newer_schema),
    Scenario(
        "credentials",
        "program of the AWS credentials missing",
        lambda site, _: _moved_away(site.credentials),
    ),
    Scenario("hanging_ivs", "Amazon IVS does not answer", _hanging_ivs, _HANG_SECONDS),
    Scenario("clock_behind", "clock an hour behind", _clock(_HOUR_SECONDS), _CLOCK_FAULT_SECONDS),
    Scenario("clock_ahead", "clock an hour ahead", _clock(-_HOUR_SECONDS), _CLOCK_FAULT_SECONDS),
)
