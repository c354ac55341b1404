"""When a rotation may begin, and what a refusal proposes."""

from __future__ import annotations

import pytest

from tests.keyring.rings import DRAIN_SECONDS, pair, ring
from tests.support.clock import EXAMPLE_NOW
from tokensvc.errors import RotationRefused
from tokensvc.keyring.model import KeyPair, KeyState
from tokensvc.keyring.rotation_requests import RotationRequest
from tokensvc.keyring.scheduling import requested_rotation, rotation_refusal

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
NOW = EXAMPLE_NOW


def test_a_second_rotation_during_a_drain_is_refused_with_the_time_left() -> None:
    """Rule 9: the refusal contains the key, the end of the drain, and the remaining seconds."""
    draining = ring(pair("a", RETIRING, signing_ended_at=NOW - 740), pair("b", ACTIVE))

    refusal = rotation_refusal(draining, NOW)
    for data in (" a ", "2027-01-15T08:50:00Z", "3000 s"):
        assert data in refusal


@pytest.mark.parametrize("standby", [(), (pair("c", PUBLISHED),)])
def test_a_forced_rotation_is_proposed_only_if_there_is_a_standby(
    standby: tuple[KeyPair, ...],
) -> None:
    """Without one, it would be refused too."""
    draining = ring(pair("a", RETIRING, signing_ended_at=NOW - 740), pair("b", ACTIVE), *standby)
    with pytest.raises(RotationRefused) as refusal:
        requested_rotation(draining, RotationRequest(NOW, "ops", "monthly"))
    assert ("--force" in refusal.value.hint) == bool(standby)


def test_a_rotation_before_the_drained_key_is_deleted_is_refused_with_the_command() -> None:
    """The drain is over, so only `keys reconcile` is missing."""
    drained = ring(pair("a", RETIRING, signing_ended_at=NOW - DRAIN_SECONDS), pair("b", ACTIVE))
    refusal = rotation_refusal(drained, NOW)
    assert refusal.startswith("a ")
    assert "`tokensvc keys reconcile`" in refusal


def test_a_rotation_is_allowed_when_no_key_drains() -> None:
    """A retired key pair does not prevent a rotation."""
    assert rotation_refusal(ring(pair("a", RETIRED), pair("b", ACTIVE)), NOW) == ""
