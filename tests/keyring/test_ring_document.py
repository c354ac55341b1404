"""The stored document of a ring: what this release reads and writes."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tests.keyring.rings import ACCOUNT_ID, DEPLOYMENT, ENDPOINT, REGION
from tests.support.documents import some_document
from tokensvc.errors import RotationRefused
from tokensvc.keyring.model import KeyPair, KeyState, Ring
from tokensvc.keyring.ring_document import decode_ring, encode_ring
from tokensvc.keyring.rotation_requests import RotationPause, RotationRequest
from tokensvc.keyring.terms import Terms
from tokensvc.state.schema import PREVIOUS

FIRST_RELEASE: dict[str, Any] = {
    "schema_version": 1,
    "region": "us-west-2",
    "account_id": "123456789012",
    "endpoint": "http://127.0.0.1:8001",
    "deployment": "0123456789abcdef",
    "terms": {
        "publish_delay_seconds": 60,
        "view_max_age_seconds": 120,
        "longest_ttl_seconds": 3600,
        "clock_skew_seconds": 10,
    },
    "pairs": [],
    "rotation_request": None,
    "history": [],
}
MEMBERS_OF_VERSION_1 = {
    "ring": set(FIRST_RELEASE),
    "terms": set(FIRST_RELEASE["terms"]),
    "pairs": {
        "key_id",
        "state",
        "created_at",
        "public_key",
        "arn",
        "published_at",
        "activated_at",
        "signing_ended_at",
        "delete_intended_at",
        "deleted_at",
        "destroyed_on",
        "compromised_at",
        "adopted",
    },
    "rotation_request": {"requested_at", "requested_by", "reason", "is_urgent"},
    "history": {"at", "by", "key_id", "from_state", "to_state", "why"},
}
"""The first release refuses a document with any other member."""


def members(ring: dict[str, Any]) -> dict[str, set[str]]:
    """The members of the document, and of its parts that it has."""
    parts = {
        "terms": [ring["terms"]],
        "pairs": ring["pairs"],
        "rotation_request": [ring["rotation_request"]] if ring["rotation_request"] else [],
        "history": ring["history"],
    }
    found = {name: set().union(*listed) for name, listed in parts.items() if listed}
    return {"ring": set(ring), **found}


RING = Ring(
    region=REGION,
    account_id=ACCOUNT_ID,
    endpoint=ENDPOINT,
    deployment=DEPLOYMENT,
    terms=Terms(
        publish_delay_seconds=60,
        ring_max_age_seconds=120,
        longest_ttl_seconds=3_600,
        clock_skew_seconds=10,
    ),
)


def test_a_document_of_the_first_release_is_read() -> None:
    """Its limit of the ring's age has the name that it had then."""
    assert decode_ring(some_document(json.dumps(FIRST_RELEASE))) == RING


def test_a_document_in_the_current_schema_has_the_current_names() -> None:
    """`tokensvc state upgrade` and new deployments write it."""
    document = json.loads(encode_ring(RING))
    assert document["schema_version"] == 2
    assert document["terms"]["ring_max_age_seconds"] == 120
    assert decode_ring(some_document(json.dumps(document))) == RING


def test_what_version_1_can_not_store_is_refused_there() -> None:
    """The previous release would take the document for damaged."""
    paused = dataclasses.replace(RING, rotation_pause=RotationPause(1.0, "ann@desk", "bad key"))
    with pytest.raises(RotationRefused, match="rotation_pause") as refused:
        encode_ring(paused, PREVIOUS)
    assert "`tokensvc state upgrade`" in refused.value.hint
    assert decode_ring(some_document(encode_ring(paused))) == paused


def test_a_document_is_written_as_the_first_release_reads_it() -> None:
    """That release refuses any other member."""
    assert json.loads(encode_ring(RING, PREVIOUS)) == FIRST_RELEASE


def test_a_forced_request_stays_forced_in_version_1() -> None:
    """Its reason says so there: the first release shows it, and this one skips the same checks."""
    request = RotationRequest(1.0, "ann@desk", "laptop lost", is_forced=True)
    forced = dataclasses.replace(RING, rotation_request=request)
    body = encode_ring(forced, PREVIOUS)
    assert json.loads(body)["rotation_request"] == {
        "requested_at": 1.0,
        "requested_by": "ann@desk",
        "reason": "laptop lost (forced)",
        "is_urgent": False,
    }
    assert decode_ring(some_document(body)) == forced


def test_the_handle_of_a_private_key_is_stored_from_version_2_on() -> None:
    """A worker of the previous release can't sign with a private key that has one."""
    pair = KeyPair("k1", KeyState.PENDING, 1.0, custody_handle="arn:aws:kms:us-west-2:1:key/2")
    ring = dataclasses.replace(RING, pairs=(pair,))
    with pytest.raises(RotationRefused, match="custody_handle"):
        encode_ring(ring, PREVIOUS)
    assert decode_ring(some_document(encode_ring(ring))) == ring
