"""The stored document of a ring: what this release reads and writes."""

from __future__ import annotations

import json
from typing import Any

from tests.keyring.rings import ACCOUNT_ID, DEPLOYMENT, ENDPOINT, REGION
from tokensvc.keyring.model import Ring
from tokensvc.keyring.ring_document import decode_ring, encode_ring
from tokensvc.keyring.terms import Terms
from tokensvc.state.base import Document

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
    assert decode_ring(Document(json.dumps(FIRST_RELEASE), 1)) == RING


def test_a_document_is_written_as_the_first_release_reads_it() -> None:
    """That release refuses any other member."""
    assert json.loads(encode_ring(RING)) == FIRST_RELEASE
