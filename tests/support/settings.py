"""Settings for deployments in a folder, as the loader would return them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.keyring.rings import ACCOUNT_ID, REGION, TERMS
from tokensvc.keyring.terms import Terms
from tokensvc.settings import Settings

SECRET = bytes(range(32))
NEVER_SECONDS = 86_400
"""A refresh interval for tests in which no thread must read the state."""


def settings_in(
    folder: Path,
    *,
    account_id: str = ACCOUNT_ID,
    regions: Sequence[str] = (REGION,),
    terms: Terms = TERMS,
    keep_standby: bool = True,
    **sections: Mapping[str, Any],
) -> Settings:
    """Settings with state and custody in that folder; `sections` adds to any section."""
    values: dict[str, dict[str, Any]] = {
        "ivs": {"account_id": account_id, "regions": tuple(regions)},
        "state": {"url": f"sqlite:{folder}/state.sqlite3"},
        "custody": {"url": f"file:{folder}/keys", "key_encryption_secret": SECRET.hex()},
        "channels": {},
        "grants": {},
        "issuers": {},
        "viewer_ids": {},
        "viewer_country": {},
        "playback": {"max_ttl_seconds": terms.longest_ttl_seconds},
        "rotation": {
            "publish_delay_seconds": terms.publish_delay_seconds,
            "ring_max_age_seconds": terms.ring_max_age_seconds,
            "clock_skew_seconds": terms.clock_skew_seconds,
            "state_refresh_seconds": NEVER_SECONDS,
            "keep_standby": keep_standby,
        },
        "notify": {},
        "entitlement": {},
        "directory": {},
        "limits": {},
        "cors": {},
        "service": {},
        "metrics": {},
        "tracing": {},
    }
    for name, changes in sections.items():
        values[name] |= changes
    return Settings.model_validate(values)
