"""Stories of a region as a table: what happens, what the last of it is refused with, what is left.

Each is told with real parts, and goes on after a refusal to show that nothing was lost by it.
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
from tokensvc.p384 import PublicKey
from tokensvc.state.sqlite import SqliteState

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
STRANGER = "someone-else"

Happening = Callable[[World], object]


class FullDisk(sqlite3.Connection):
    """Has no room for any commit."""

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
        """Execute anything but a commit."""
        if sql == "COMMIT":
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorname = "SQLITE_FULL"
            raise error
        return super().execute(sql, parameters)  # type: ignore[arg-type] # Passed on as it came.


class ReadOnly(sqlite3.Connection):
    """Is refused every write by SQLite itself."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type] # Passed on as they came.
        self.executescript("PRAGMA query_only = ON")


# --- What happens


def settle(world: World) -> None:
    """A key signs, and a standby has waited for long enough."""
    world.settle()


def reconcile(world: World) -> None:
    """The scheduled job."""
    world.reconcile()


def rotation_request(world: World) -> None:
    """The operator wishes another key."""
    world.rotator().request_rotation("monthly")


def force(world: World) -> None:
    """The operator insists."""
    world.rotator().request_rotation("monthly", force=True)


def revoke_active(world: World) -> None:
    """The key that signs is stolen."""
    active = world.ring.active
    assert active is not None
    world.rotator().revoke([active.key_id], "laptop lost")


def revoke_standby(world: World) -> None:
    """The key that would sign next is stolen."""
    standby = world.ring.standby
    assert standby is not None
    world.rotator().revoke([standby.key_id], "laptop lost")


def wait(seconds: int) -> Happening:
    """Time passes."""
    return lambda world: world.clock.advance(seconds)


def stranger(world: World) -> None:
    """Somebody else takes a slot."""
    key = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
    world.key_pairs.import_pair(key, name=STRANGER, tags={})


def stranger_goes(world: World) -> None:
    """A person frees a slot, by the call that the refusal names."""
    held = next(held for held in world.key_pairs.held() if held.name == STRANGER)
    world.key_pairs.delete(held.arn)


def another_acts_first(world: World) -> None:
    """Two rotators at once: the other does all that is due while this one makes its first step."""
    begun: list[object] = []

    def told(step: object) -> None:
        if not begun:
            begun.append(step)
            world.reconcile()

    world.rotator().reconcile(told)


def state_on(connection_class: type[sqlite3.Connection]) -> Happening:
    """From now on, processes meet the state file through such connections."""

    def happen(world: World) -> None:
        path = world.folder / "state.sqlite3"
        world.state.close()
        world.state = SqliteState(path, world.clock, connection_class=connection_class)

    return happen


full_disk, read_only = state_on(FullDisk), state_on(ReadOnly)
writable_again = state_on(sqlite3.Connection)


@dataclass(frozen=True)
class Story:
    """What happens in an empty region, and what comes of it.

    Attributes:
        happens: in order.
        states: the states of the pairs at the end, oldest first.
        refused: what the last of `happens` is refused with, and words of it.
        afterwards: what happens after the refusal.
    """

    happens: tuple[Happening, ...]
    states: list[KeyState]
    refused: tuple[type[TokensvcError], str] | None = None
    afterwards: tuple[Happening, ...] = ()


NO_ROOM = (StateUnavailable, "There is no room left to write the state file")
NOT_WRITTEN = (StateUnavailable, "can't be opened, read or written")
ROTATED = [RETIRING, ACTIVE, PUBLISHED]
ENDED = [RETIRED, ACTIVE, PUBLISHED]

STORIES = {
    "the first day": Story((reconcile, wait(60), reconcile), [ACTIVE, PUBLISHED]),
    "the first day, a second too early": Story((reconcile, wait(59), reconcile), [PUBLISHED]),
    "a rotation": Story((settle, rotation_request, reconcile), ROTATED),
    "a rotation, a second before its end": Story(
        (settle, rotation_request, reconcile, wait(DRAIN_SECONDS - 1), reconcile), ROTATED
    ),
    "a rotation to its end": Story(
        (settle, rotation_request, reconcile, wait(DRAIN_SECONDS), reconcile), ENDED
    ),
    "a rotation wished twice": Story(
        (settle, rotation_request, rotation_request),
        ROTATED,
        (RotationRefused, "already in progress"),
        (reconcile,),
    ),
    "rule 9: a rotation during a drain": Story(
        (settle, rotation_request, reconcile, wait(40), rotation_request),
        ENDED,
        (RotationRefused, "3700 s from now"),
        (wait(3_700), reconcile),
    ),
    "rule 9: a rotation forced during a drain": Story(
        (settle, rotation_request, reconcile, wait(60), force, reconcile),
        [RETIRING, RETIRING, ACTIVE],
    ),
    "rule 9: a rotation forced once too often": Story(
        (settle, rotation_request, reconcile, wait(60), force, reconcile, force),
        [RETIRED, RETIRING, ACTIVE, PUBLISHED],
        (RotationRefused, "There is no standby"),
        (wait(3_680), reconcile),
    ),
    "rule 5: a stranger in the middle of a rotation": Story(
        (settle, rotation_request, stranger, reconcile), [RETIRING, ACTIVE]
    ),
    "rule 5: the next standby takes the slot of the key that drained": Story(
        (settle, rotation_request, stranger, reconcile, wait(DRAIN_SECONDS), reconcile), ENDED
    ),
    "rule 5: strangers in every slot": Story(
        (stranger, stranger, stranger, reconcile),
        [PUBLISHED],
        (RotationRefused, "someone-else"),
        (stranger_goes, reconcile),
    ),
    "rule 10: the key that signs is stolen": Story((settle, revoke_active, reconcile), ENDED),
    "rule 10: the standby is stolen during a drain": Story(
        (settle, rotation_request, reconcile, revoke_standby, reconcile),
        [RETIRING, ACTIVE, RETIRED, PUBLISHED],
    ),
    "rule 7: another rotator is first": Story(
        (settle, rotation_request, another_acts_first),
        ROTATED,
        (StateConflict, "Another process moved the ring of us-west-2 on just now"),
        (reconcile,),
    ),
    "a full disk at the first command": Story(
        (reconcile, full_disk, wait(60), reconcile),
        [ACTIVE, PUBLISHED],
        NO_ROOM,
        (writable_again, reconcile),
    ),
    "a full disk at the wish": Story(
        (settle, full_disk, rotation_request),
        [ACTIVE, PUBLISHED],
        NO_ROOM,
        (writable_again, reconcile),
    ),
    "a full disk at the switch": Story(
        (settle, rotation_request, full_disk, reconcile),
        ROTATED,
        NO_ROOM,
        (writable_again, reconcile),
    ),
    "a full disk at the end of the drain": Story(
        (settle, rotation_request, reconcile, wait(DRAIN_SECONDS), full_disk, reconcile),
        ENDED,
        NO_ROOM,
        (writable_again, reconcile),
    ),
    "a full disk in an emergency": Story(
        (settle, full_disk, revoke_active),
        ENDED,
        NO_ROOM,
        (writable_again, revoke_active, reconcile),
    ),
    "a state file that can't be written, at the wish": Story(
        (settle, read_only, rotation_request),
        ROTATED,
        NOT_WRITTEN,
        (writable_again, rotation_request, reconcile),
    ),
    "a state file that can't be written, at the switch": Story(
        (settle, rotation_request, read_only, reconcile),
        ROTATED,
        NOT_WRITTEN,
        (writable_again, reconcile),
    ),
    "a state file that can't be written, at the end of the drain": Story(
        (settle, rotation_request, reconcile, wait(DRAIN_SECONDS), read_only, reconcile),
        ENDED,
        NOT_WRITTEN,
        (writable_again, reconcile),
    ),
}


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world
        world.state.close()


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_story(story: Story, world: World) -> None:
    """It ends in those states, with as many pairs in IVS and private halves as they call for."""
    *before, last = story.happens
    for happening in before:
        happening(world)
    if story.refused is None:
        last(world)
    else:
        kind, words = story.refused
        with pytest.raises(kind) as refusal:
            last(world)
        assert words in str(refusal.value)
        assert refusal.value.hint
    for happening in story.afterwards:
        happening(world)

    ring = world.ring
    assert [pair.state for pair in ring.pairs] == story.states
    in_ivs = ring.in_state(PUBLISHED, ACTIVE, RETIRING)
    held = world.key_pairs.held()
    assert {one.arn for one in held if one.name != STRANGER} == {pair.arn for pair in in_ivs}
    assert set(world.custody.key_ids()) == {pair.key_id for pair in in_ivs}
    for pair in ring.in_state(ACTIVE):
        with world.view() as view:
            assert view.active(world.moment()).signer.public_key == pair.public_key
