"""`keys rollback`."""

from __future__ import annotations

from tests.cli.conftest import Desk
from tests.cli.keys.desks import states
from tokensvc.errors import RotationRefused


def test_a_rollback_switches_back_and_the_other_key_drains(rotating_desk: Desk) -> None:
    """The next pass is part of the command, so the drain of the other key has begun."""
    old, new = rotating_desk.ring().pairs
    rotating_desk.done("keys", "rotate")
    assert rotating_desk.ring().require_active().key_id == new.key_id

    rotating_desk.done("keys", "rollback", "--reason", "players fail")

    ring = rotating_desk.ring()
    assert ring.require_active().key_id == old.key_id
    assert states(rotating_desk) == ["active", "retiring", "published"]
    assert ring.pair(new.key_id).signing_ended_at == rotating_desk.clock.now()
    assert ring.rotation_pause is not None
    assert ring.rotation_pause.reason == "players fail"


def test_a_refused_rollback_changes_nothing(rotating_desk: Desk) -> None:
    """No switch has replaced a key yet."""
    before = rotating_desk.ring()

    assert isinstance(rotating_desk.error("keys", "rollback"), RotationRefused)

    assert rotating_desk.ring() == before
