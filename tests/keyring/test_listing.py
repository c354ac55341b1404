"""The list of a region's key pairs, from its ring and from IVS."""

from __future__ import annotations

from tests.keyring.rings import DEPLOYMENT, REGION, arn, held, pair, public_key, ring
from tests.support.clock import EXAMPLE_NOW
from tokensvc.clock import rfc3339
from tokensvc.keyring.listing import list_key_pairs
from tokensvc.keyring.model import KeyState


def test_recorded_key_pairs_come_first_then_those_that_only_ivs_has() -> None:
    """Each with its state or its owner, and whether IVS holds it."""
    ours = ring(pair("k1", KeyState.ACTIVE), pair("k2", KeyState.PUBLISHED))
    in_ivs = [*held("k1"), *held("k3"), *held("k4", deployment=DEPLOYMENT)]

    listed = list(list_key_pairs(REGION, ours, in_ivs))

    assert [(one.key_id, one.state, one.in_ivs) for one in listed] == [
        ("k1", "active", True),
        ("k2", "published", False),
        (None, "foreign", True),
        (None, "unrecorded", True),
    ]
    assert listed[0].members() == {
        "region": "us-west-2",
        "key_id": "k1",
        "state": "active",
        "compromised": False,
        "in_ivs": True,
        "fingerprint": public_key("k1").fingerprint,
        "arn": str(arn("k1")),
        "since": rfc3339(EXAMPLE_NOW - 70_000),
    }


def test_without_an_answer_of_ivs_it_is_unknown_whether_ivs_holds_a_key_pair() -> None:
    """The recorded key pairs are listed all the same."""
    (listed,) = list_key_pairs(REGION, ring(pair("k1", KeyState.ACTIVE)), None)

    assert (listed.key_id, listed.in_ivs) == ("k1", None)


def test_a_compromised_key_pair_is_listed_as_such_in_each_state() -> None:
    """The active one signs no more, although no other one has taken over yet."""
    ours = ring(
        pair("k1", KeyState.RETIRED, compromised_at=EXAMPLE_NOW),
        pair("k2", KeyState.ACTIVE, compromised_at=EXAMPLE_NOW),
        pair("k3", KeyState.PUBLISHED),
    )

    listed = list(list_key_pairs(REGION, ours, held("k2", "k3", "k4")))

    assert [(one.key_id, one.state, one.compromised) for one in listed] == [
        ("k1", "retired", True),
        ("k2", "active", True),
        ("k3", "published", False),
        (None, "foreign", False),
    ]


def test_without_a_ring_every_key_pair_belongs_to_others() -> None:
    """A region that has no ring yet."""
    listed = list(list_key_pairs(REGION, None, held("k1")))

    assert [(one.key_id, one.state) for one in listed] == [(None, "foreign")]
