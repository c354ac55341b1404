"""Finding the key pair that an operator means."""

from __future__ import annotations

import pytest

from tests.keyring.rings import REGION, pair, ring
from tokensvc.arns import parse_region
from tokensvc.errors import KeyNotFound, StateDamaged
from tokensvc.keyring.lookup import find_pair, only_pending
from tokensvc.keyring.model import KeyState, Ring

IRELAND = parse_region("eu-west-1")
OURS = ring(pair("k1", KeyState.ACTIVE), pair("k2", KeyState.PENDING))


def test_a_key_is_found_in_the_ring_that_records_it() -> None:
    """Regions without a ring are passed over."""
    found = find_pair([IRELAND, REGION], {REGION: OURS}.get, "k2")

    assert found == (OURS, OURS.pairs[1])


def test_an_unknown_key_is_an_error_that_names_the_regions() -> None:
    """Those that were searched."""
    with pytest.raises(KeyNotFound) as failed:
        find_pair([IRELAND, REGION], {REGION: OURS}.get, "k3")

    assert "'k3'" in failed.value.detail
    assert "eu-west-1, us-west-2" in failed.value.detail


def test_a_ring_that_can_not_be_read_is_an_error() -> None:
    """The key may be in it."""

    def read(_region: str) -> Ring:
        raise StateDamaged("The stored ring is not valid.")

    with pytest.raises(StateDamaged):
        find_pair([REGION], read, "k1")


def test_the_only_pending_key_is_found() -> None:
    """Its ID need not be named."""
    assert only_pending(OURS).key_id == "k2"


@pytest.mark.parametrize(
    ("of_ring", "data"),
    [
        (ring(pair("k1", KeyState.ACTIVE)), ["us-west-2"]),
        (ring(pair("k1", KeyState.PENDING), pair("k2", KeyState.PENDING)), ["k1, k2"]),
    ],
    ids=["none", "several"],
)
def test_without_exactly_one_pending_key_the_id_is_required(of_ring: Ring, data: list[str]) -> None:
    """A command never guesses which key to import."""
    with pytest.raises(KeyNotFound) as failed:
        only_pending(of_ring)

    assert all(one in failed.value.detail for one in data)
