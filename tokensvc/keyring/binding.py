"""What a ring is bound to: it is never used with another region, account or endpoint."""

from __future__ import annotations

from dataclasses import dataclass

from tokensvc.arns import Region
from tokensvc.keyring.model import Ring


@dataclass(frozen=True, slots=True)
class Binding:
    """What a ring is permanently bound to: region, account, and the URL of IVS."""

    region: Region
    account_id: str
    endpoint: str


def binding_refusal(ring: Ring, binding: Binding) -> str:
    """Why a process with that binding may not use the ring, or "" when it may."""
    bound = Binding(ring.region, ring.account_id, ring.endpoint)
    if bound == binding:
        return ""
    return (
        f"The ring of {ring.region} is bound to account {bound.account_id} at {bound.endpoint}, "
        f"but this process is configured for account {binding.account_id} at {binding.endpoint}."
    )
