"""Scenarios of a region as a table: events, the error of the last event, and the final states.

Each runs with real components. After an error it continues, to show that nothing was lost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keyring.rings import DRAIN_SECONDS
from tests.keyring.world import World, world_in
from tokensvc.errors import RotationRefused, StateConflict, StateUnavailable, TokensvcError
from tokensvc.keyring.model import KeyState
from tokensvc.state.sqlite import SqliteState
from tokensvc.token.p384 import PublicKey

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
FOREIGN_NAME = "someone-else"

Event = Callable[[World], object]


class FullDisk(sqlite3.Connection):
    """A connection to a database on a full disk: every commit fails."""

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
        """Fail a commit; execute anything else."""
        if sql == "COMMIT":
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorname = "SQLITE_FULL"
            raise error
        return super().execute(sql, parameters)  # type: ignore[arg-type] # Passed on unchanged.


class ReadOnly(sqlite3.Connection):
    """A connection on which SQLite refuses every write."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type] # Passed on unchanged.
        self.executescript("PRAGMA query_only = ON")


# --- Events


def keys_ready(world: World) -> None:
    """A key is active, and a standby is ready to sign."""
    world.copy_active_and_standby()


def reconcile(world: World) -> None:
    """The scheduled job."""
    world.reconcile()


def request(world: World) -> None:
    """The operator requests a rotation."""
    world.rotator().request_rotation("monthly")


def force(world: World) -> None:
    """The operator forces a rotation."""
    world.rotator().request_rotation("monthly", force=True)


def revoke_active(world: World) -> None:
    """The active key is compromised."""
    active = world.ring.active
    assert active is not None
    world.revoke([active.key_id], "laptop lost")


def revoke_standby(world: World) -> None:
    """The standby is compromised."""
    standby = world.ring.standby
    assert standby is not None
    world.revoke([standby.key_id], "laptop lost")


def wait(seconds: int) -> Event:
    """Time passes."""
    return lambda world: world.clock.advance(seconds)


def foreign_import(world: World) -> None:
    """A foreign key pair is imported and occupies a slot."""
    key = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
    world.key_pairs.import_pair(key, name=FOREIGN_NAME, tags={})


def foreign_delete(world: World) -> None:
    """The operator deletes a foreign key pair and so frees its slot."""
    held = next(held for held in world.key_pairs.held() if held.name == FOREIGN_NAME)
    world.key_pairs.delete(held.arn)


def concurrent_reconcile(world: World) -> None:
    """Two rotators at once: the other one reconciles while this one does its first step."""
    started: list[object] = []

    def on_step(step: object) -> None:
        if not started:
            started.append(step)
            world.reconcile()

    world.rotator().reconcile(on_step)


def state_on(connection_class: type[sqlite3.Connection]) -> Event:
    """From now on, processes open the state file with such connections."""

    def event(world: World) -> None:
        path = world.folder / "state.sqlite3"
        world.state.close()
        world.state = SqliteState(path, world.clock, connection_class=connection_class)

    return event


full_disk, read_only = state_on(FullDisk), state_on(ReadOnly)
writable_again = state_on(sqlite3.Connection)


@dataclass(frozen=True)
class Error:
    """An error, data that its text must contain, and the error of SQLite that caused it."""

    error_class: type[TokensvcError]
    data: str
    sqlite_error: str | None = None


@dataclass(frozen=True)
class Scenario:
    """Events in an empty region, and their result.

    Attributes:
        events: in order.
        states: the states of the key pairs at the end, oldest first.
        error: the error of the last of `events`, if any.
        afterwards: the events after the error.
    """

    events: tuple[Event, ...]
    states: list[KeyState]
    error: Error | None = None
    afterwards: tuple[Event, ...] = ()


DISK_FULL = Error(StateUnavailable, "state.sqlite3", "SQLITE_FULL")
READ_ONLY = Error(StateUnavailable, "state.sqlite3", "SQLITE_READONLY")
ROTATED = [RETIRING, ACTIVE, PUBLISHED]
COMPLETED = [RETIRED, ACTIVE, PUBLISHED]

SCENARIOS = {
    "the first day": Scenario((reconcile, wait(60), reconcile), [ACTIVE, PUBLISHED]),
    "the first day, 1 s too early": Scenario((reconcile, wait(59), reconcile), [PUBLISHED]),
    "a rotation": Scenario((keys_ready, request, reconcile), ROTATED),
    "a rotation, 1 s before the end of the drain": Scenario(
        (keys_ready, request, reconcile, wait(DRAIN_SECONDS - 1), reconcile),
        ROTATED,
    ),
    "a rotation, at the end of the drain": Scenario(
        (keys_ready, request, reconcile, wait(DRAIN_SECONDS), reconcile),
        COMPLETED,
    ),
    "a second request before the switch": Scenario(
        (keys_ready, request, request),
        ROTATED,
        Error(RotationRefused, "ann@desk"),
        (reconcile,),
    ),
    "rule 9: a rotation during a drain": Scenario(
        (keys_ready, request, reconcile, wait(40), request),
        COMPLETED,
        Error(RotationRefused, "3700 s"),
        (wait(3_700), reconcile),
    ),
    "rule 9: a rotation forced during a drain": Scenario(
        (keys_ready, request, reconcile, wait(60), force, reconcile),
        [RETIRING, RETIRING, ACTIVE],
    ),
    "rule 9: a second forced rotation without a standby": Scenario(
        (keys_ready, request, reconcile, wait(60), force, reconcile, force),
        [RETIRED, RETIRING, ACTIVE, PUBLISHED],
        Error(RotationRefused, "3680 s"),
        (wait(3_680), reconcile),
    ),
    "rule 5: a foreign import in the middle of a rotation": Scenario(
        (keys_ready, request, foreign_import, reconcile), [RETIRING, ACTIVE]
    ),
    "rule 5: the next standby takes the slot of the drained key": Scenario(
        (keys_ready, request, foreign_import, reconcile, wait(DRAIN_SECONDS), reconcile),
        COMPLETED,
    ),
    "rule 5: foreign key pairs in every slot": Scenario(
        (foreign_import, foreign_import, foreign_import, reconcile),
        [PUBLISHED],
        Error(RotationRefused, FOREIGN_NAME),
        (foreign_delete, reconcile),
    ),
    "rule 10: the active key is compromised": Scenario(
        (keys_ready, revoke_active, reconcile), COMPLETED
    ),
    "rule 10: the standby is compromised during a drain": Scenario(
        (keys_ready, request, reconcile, revoke_standby, reconcile),
        [RETIRING, ACTIVE, RETIRED, PUBLISHED],
    ),
    "rule 7: another rotator saves first": Scenario(
        (keys_ready, request, concurrent_reconcile),
        ROTATED,
        Error(StateConflict, "us-west-2"),
        (reconcile,),
    ),
    "a full disk at the first command": Scenario(
        (reconcile, full_disk, wait(60), reconcile),
        [ACTIVE, PUBLISHED],
        DISK_FULL,
        (writable_again, reconcile),
    ),
    "a full disk at the rotation request": Scenario(
        (keys_ready, full_disk, request),
        [ACTIVE, PUBLISHED],
        DISK_FULL,
        (writable_again, reconcile),
    ),
    "a full disk at the switch": Scenario(
        (keys_ready, request, full_disk, reconcile),
        ROTATED,
        DISK_FULL,
        (writable_again, reconcile),
    ),
    "a full disk at the end of the drain": Scenario(
        (keys_ready, request, reconcile, wait(DRAIN_SECONDS), full_disk, reconcile),
        COMPLETED,
        DISK_FULL,
        (writable_again, reconcile),
    ),
    "a full disk in an emergency": Scenario(
        (keys_ready, full_disk, revoke_active),
        COMPLETED,
        DISK_FULL,
        (writable_again, revoke_active, reconcile),
    ),
    "a state file that can't be written, at the rotation request": Scenario(
        (keys_ready, read_only, request),
        ROTATED,
        READ_ONLY,
        (writable_again, request, reconcile),
    ),
    "a state file that can't be written, at the switch": Scenario(
        (keys_ready, request, read_only, reconcile),
        ROTATED,
        READ_ONLY,
        (writable_again, reconcile),
    ),
    "a state file that can't be written, at the end of the drain": Scenario(
        (keys_ready, request, reconcile, wait(DRAIN_SECONDS), read_only, reconcile),
        COMPLETED,
        READ_ONLY,
        (writable_again, reconcile),
    ),
}


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world
        world.state.close()


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_scenario(scenario: Scenario, world: World) -> None:
    """It ends in those states, with the key pairs in IVS and private keys that they require."""
    *before, last = scenario.events
    for event in before:
        event(world)
    if scenario.error is None:
        last(world)
    else:
        with pytest.raises(scenario.error.error_class) as refusal:
            last(world)
        assert scenario.error.data in refusal.value.detail
        assert refusal.value.hint
        cause = getattr(refusal.value.__cause__, "sqlite_errorname", None)
        assert cause == scenario.error.sqlite_error
    for event in scenario.afterwards:
        event(world)

    ring = world.ring
    assert [pair.state for pair in ring.pairs] == scenario.states
    in_ivs = ring.in_state(PUBLISHED, ACTIVE, RETIRING)
    held = world.key_pairs.held()
    assert {one.arn for one in held if one.name != FOREIGN_NAME} == {pair.arn for pair in in_ivs}
    assert set(world.custody.key_ids()) == {pair.key_id for pair in in_ivs}
    for pair in ring.in_state(ACTIVE):
        with world.view() as view:
            assert view.active(world.moment()).signer.public_key == pair.public_key
