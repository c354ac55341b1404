"""The refusal for want of a slot never suggests to free one whose tokens are still valid."""

from __future__ import annotations

from tests.keyring.rings import held, pair, ring
from tests.support.clock import EXAMPLE_NOW
from tokensvc.clock import rfc3339
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.slots import no_free_slot

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
DRAINED_AT = rfc3339(EXAMPLE_NOW - 100 + 3_740)
DRAINING = pair("a", RETIRING, signing_ended_at=EXAMPLE_NOW - 100)


def test_a_draining_key_pair_of_ours_is_waited_for() -> None:
    """There is no command that deletes it, and none is mentioned."""
    full = ring(DRAINING, pair("b", ACTIVE), pair("c", PENDING))

    error = no_free_slot(full, held("a", "b", "c"))

    assert "delete-playback-key-pair" not in str(error)
    assert "above" not in error.hint
    assert DRAINED_AT in error.hint
    assert " a " in error.hint


def test_beside_a_foreign_key_pair_the_wait_comes_first() -> None:
    """Only the foreign key pair has a command that deletes it."""
    full = ring(DRAINING, pair("b", ACTIVE), pair("c", PENDING))

    error = no_free_slot(full, held("a", "b", "x"))

    lines = [line for line in error.detail.splitlines() if "delete-playback-key-pair" in line]
    assert len(lines) == 1
    assert lines[0].endswith("in-ivs-x")
    assert error.hint.index(DRAINED_AT) < error.hint.index("above")


def test_foreign_key_pairs_alone_are_to_be_deleted_by_hand() -> None:
    """Nothing of ours will free a slot by itself."""
    error = no_free_slot(ring(pair("c", PENDING)), held("x", "y", "z"))

    assert error.detail.count("delete-playback-key-pair") == 3
    assert "above" in error.hint
    assert "Wait" not in error.hint
