"""`tokensvc state upgrade`, and a fleet in which the previous release still runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click
import pytest

from tests.cli.conftest import Desk
from tests.keyring.test_ring_document import MEMBERS_OF_VERSION_1, members
from tokensvc.access.api_keys import ApiKeys
from tokensvc.errors import RotationRefused, StateConflict
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.reporting import record
from tokensvc.keyring.ring_document import encode_ring
from tokensvc.state.base import Document
from tokensvc.state.schema import PREVIOUS, written_schema
from tokensvc.state_upgrade import upgrade_state

RING = "ring:us-west-2"


def body(desk: Desk, name: str) -> dict[str, Any]:
    """The stored document, as any program sees it."""
    document = desk.state.load(name)
    assert document is not None
    decoded: dict[str, Any] = json.loads(document.body)
    return decoded


def versions(desk: Desk) -> dict[str, int]:
    """The schema version of each document that the previous release reads."""
    names = [name for name in desk.state.versions() if name != record.DOCUMENT_NAME]
    return {name: body(desk, name)["schema_version"] for name in names}


def as_of_previous_release(desk: Desk) -> None:
    """Make the state one that the previous release has written."""
    desk.done("api-keys", "create", "site", "--grant", "web")
    state = desk.state
    state.save(RING, encode_ring(desk.ring(), PREVIOUS), replacing=state.version(RING))
    keys = ApiKeys.decode(state.load("api-keys")).encode(PREVIOUS)
    state.save("api-keys", keys, replacing=state.version("api-keys"))
    # The previous release has no document `schema`; a state of version 1 may have it.
    state.save("schema", '{"schema_version":1}', replacing=state.version("schema"))


def test_a_new_state_is_written_in_the_current_schema(rotating_desk: Desk) -> None:
    """It has no processes of a previous release."""
    rotating_desk.done("api-keys", "create", "site", "--grant", "web")
    assert versions(rotating_desk) == {"api-keys": 2, RING: 2, "schema": 2}
    assert body(rotating_desk, RING)["terms"]["ring_max_age_seconds"] == 3_600
    assert body(rotating_desk, record.DOCUMENT_NAME)["schema_version"] == 2


def test_until_the_upgrade_every_write_is_read_by_the_previous_release(
    rotating_desk: Desk,
) -> None:
    """A whole rotation and an API key, by this release, in the schema of the previous one."""
    as_of_previous_release(rotating_desk)
    rotating_desk.done("keys", "rotate")
    assert_version_1(rotating_desk)
    rotating_desk.clock.advance(7_220)
    rotating_desk.done("keys", "reconcile")
    rotating_desk.done("api-keys", "create", "app", "--grant", "web")
    assert_version_1(rotating_desk)
    assert rotating_desk.ring().in_state(KeyState.RETIRED)


def assert_version_1(desk: Desk) -> None:
    """The ring and the API keys have exactly the members of schema version 1."""
    found = members(body(desk, RING))
    assert found == {name: MEMBERS_OF_VERSION_1[name] for name in found}
    assert versions(desk) == {"api-keys": 1, RING: 1, "schema": 1}


def test_what_the_previous_release_can_not_read_is_refused_before_the_upgrade(
    rotating_desk: Desk,
) -> None:
    """A rollback pauses scheduled rotation, for which version 1 has no member."""
    as_of_previous_release(rotating_desk)
    old = rotating_desk.ring().require_active().key_id
    rotating_desk.done("keys", "rotate")
    error = rotating_desk.error("keys", "rollback")
    assert isinstance(error, RotationRefused)
    assert "`tokensvc state upgrade`" in error.hint
    assert_version_1(rotating_desk)

    rotating_desk.done("state", "upgrade", "--yes")
    rotating_desk.done("keys", "rollback")

    assert rotating_desk.ring().require_active().key_id == old


def test_an_upgrade_rewrites_every_document_and_can_be_repeated(rotating_desk: Desk) -> None:
    """The rewritten documents are printed. What they say does not change."""
    as_of_previous_release(rotating_desk)
    ring = rotating_desk.ring()
    printed = rotating_desk.done("state", "upgrade", "--yes")
    assert printed.split() == ["api-keys", RING]
    assert versions(rotating_desk) == {"api-keys": 2, RING: 2, "schema": 2}
    assert rotating_desk.ring() == ring
    assert rotating_desk.done("state", "upgrade") == ""


def test_an_upgrade_asks_first(rotating_desk: Desk) -> None:
    """Processes of the previous release stop signing after it."""
    as_of_previous_release(rotating_desk)
    assert isinstance(rotating_desk.usage_error("state", "upgrade"), click.UsageError)
    assert versions(rotating_desk) == {"api-keys": 1, RING: 1, "schema": 1}


def test_a_state_without_the_document_of_its_schema_has_the_previous_one(
    rotating_desk: Desk,
) -> None:
    """The first release did not write that document."""

    class WithoutSchema:
        def load(self, _: str) -> Document | None:
            return None

    assert written_schema(WithoutSchema()) == PREVIOUS  # type: ignore[arg-type] # Only what is used.


@pytest.mark.parametrize("conflicts", [1, 4])
def test_an_upgrade_beside_a_process_that_saves_is_completed(
    rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch, conflicts: int
) -> None:
    """The other process of the previous release saves between the read and the write."""
    as_of_previous_release(rotating_desk)
    state = rotating_desk.state
    _save_before_each_save(state, monkeypatch, conflicts)
    assert list(upgrade_state(state)) == ["api-keys", RING]
    assert versions(rotating_desk) == {"api-keys": 2, RING: 2, "schema": 2}


def test_an_upgrade_beside_a_process_that_never_stops_is_refused(
    rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run again, it is completed."""
    as_of_previous_release(rotating_desk)
    state = rotating_desk.state
    _save_before_each_save(state, monkeypatch, 5)
    with pytest.raises(StateConflict):
        list(upgrade_state(state))
    assert list(upgrade_state(state)) == ["api-keys", RING]


def _save_before_each_save(state: Any, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Another process saves the API keys first, that many times."""
    save: Callable[..., int] = state.save
    remaining = [None] * times

    def save_after_another(name: str, text: str, *, replacing: int) -> int:
        if name == "api-keys" and remaining:
            remaining.pop()
            save(name, state.load(name).body, replacing=replacing)
        return save(name, text, replacing=replacing)

    monkeypatch.setattr(state, "save", save_after_another)
