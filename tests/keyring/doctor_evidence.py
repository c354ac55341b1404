"""Evidence for the doctor's tests: one region without any problem, and changes to it."""

from __future__ import annotations

from typing import Any

from tests.keyring.rings import (
    ACCOUNT_ID,
    ENDPOINT,
    REGION,
    TERMS,
    arn,
    held,
    pair,
    public_key,
    ring,
)
from tests.support.clock import EXAMPLE_NOW
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.binding import Binding
from tokensvc.keyring.checks.finding import Evidence, Finding, Severity
from tokensvc.keyring.model import KeyState, Ring

NOW = EXAMPLE_NOW
DAY = 86_400
OTHER_DEPLOYMENT = "fedcba9876543210"
OTHER_ACCOUNT_ID = "999999999999"
ACTIVE_A = pair("a", KeyState.ACTIVE, activated_at=NOW - DAY)
STANDBY_B = pair("b", KeyState.PUBLISHED)
HEALTHY_RING = ring(ACTIVE_A, STANDBY_B)
RECONCILE = "`tokensvc keys reconcile --region us-west-2`"


def evidence(of_ring: Ring | None, *in_ivs: HeldKeyPair, **changes: Any) -> Evidence:
    """Evidence of a region that has no problem except in its ring, in IVS, or in the changes."""
    fields: dict[str, Any] = {
        "binding": Binding(REGION, ACCOUNT_ID, ENDPOINT),
        "ring": of_ring,
        "held": in_ivs,
        "custody_key_ids": ("a", "b"),
        "unusable": {},
        "failed_probes": (),
        "reconciled": None,
        "reconcile_overdue_seconds": 90_000,
        "now": NOW,
        "clock_offset_seconds": 0.0,
        "clock_skew_seconds": 10,
        "key_age_warning_seconds": 90 * DAY,
        "terms": TERMS,
        "keep_standby": True,
        "has_canary": True,
        "decommissioning": False,
    }
    return Evidence(**fields | changes)


def healthy(**changes: Any) -> Evidence:
    """Evidence of a region with an active key and a standby, and no problem but the changes."""
    return evidence(HEALTHY_RING, *held("a", "b"), **changes)


def another_key_at(key_id: str, **tags: str) -> HeldKeyPair:
    """A key pair that IVS holds under the ARN of that one, with another key, no name and tags."""
    return HeldKeyPair(arn(key_id), "", public_key("x").fingerprint, tags)


def in_region(severity: Severity, code: str, subject: str, reason: str, hint: str) -> Finding:
    """A finding about the region of the tests."""
    return Finding(severity, code, REGION, subject, reason, hint)
