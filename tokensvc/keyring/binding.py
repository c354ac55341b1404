"""What a ring is bound to: it is never used with another region, account or endpoint."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from tokensvc.arns import PlaybackKeyArn, Region
from tokensvc.errors import RotationRefused
from tokensvc.keyring.model import Ring
from tokensvc.keyring.terms import Terms


@dataclass(frozen=True, slots=True)
class Binding:
    """What a ring is permanently bound to: region, account, and the URL of IVS."""

    region: Region
    account_id: str
    endpoint: str


def new_ring(binding: Binding, terms: Terms) -> Ring:
    """A ring with that binding, an ID of its own and no key pairs."""
    return Ring(
        binding.region,
        binding.account_id,
        binding.endpoint,
        deployment=secrets.token_hex(8),
        terms=terms,
    )


def binding_refusal(ring: Ring, binding: Binding) -> str:
    """Why a process with that binding may not use the ring, or "" when it may."""
    bound = Binding(ring.region, ring.account_id, ring.endpoint)
    if bound == binding:
        return ""
    return (
        f"The ring of {ring.region} is bound to account {bound.account_id} at {bound.endpoint}, "
        f"but this process is configured for account {binding.account_id} at {binding.endpoint}."
    )


def require_bound(ring: Ring, binding: Binding) -> None:
    """Return if a process with that binding may use the ring.

    Raises:
        RotationRefused: when the ring is bound to another account or endpoint.
    """
    if refusal := binding_refusal(ring, binding):
        raise RotationRefused(
            refusal,
            hint="Use the settings and AWS environment that the ring was created with.",
        )


def require_own(binding: Binding, arn: PlaybackKeyArn) -> None:
    """Return if the key pair belongs to the account and region of that binding.

    Raises:
        RotationRefused: when it belongs to others.
    """
    if (arn.region, arn.account_id) != (binding.region, binding.account_id):
        raise RotationRefused(
            f"{arn} does not belong to account {binding.account_id} in {binding.region}.",
            hint="Check the setting ivs.account_id, the AWS credentials and --region.",
        )
