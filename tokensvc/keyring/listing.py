"""List the key pairs of a region: recorded in its ring, held by IVS, or both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tokensvc.arns import Region
from tokensvc.clock import rfc3339
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.model import KeyPair, KeyState, Ring
from tokensvc.keyring.ownership import Owner, is_held, owner_of


@dataclass(frozen=True, slots=True)
class ListedKeyPair:
    """One key pair: recorded in a ring, held by IVS, or both.

    Attributes:
        region: its region.
        key_id: our ID, None for a pair that the ring has no record of.
        state: its state in the ring. Without a record its owner: `unrecorded`, `other_deployment`
            or `foreign`, as in the codes of the doctor's findings.
        compromised: whether it is marked compromised in the ring.
        in_ivs: whether IVS holds it; None when IVS could not be called.
        fingerprint: IVS's, None until the pair is created.
        arn: its ARN in IVS, if it has one.
        since: when it entered the state, RFC 3339, if that is recorded.
    """

    region: Region
    key_id: str | None
    state: str
    compromised: bool
    in_ivs: bool | None
    fingerprint: str | None
    arn: str | None
    since: str | None

    def members(self) -> dict[str, str | bool | None]:
        """The members that programs see."""
        return {
            "region": self.region,
            "key_id": self.key_id,
            "state": self.state,
            "compromised": self.compromised,
            "in_ivs": self.in_ivs,
            "fingerprint": self.fingerprint,
            "arn": self.arn,
            "since": self.since,
        }


def list_key_pairs(
    region: Region, ring: Ring | None, held: Sequence[HeldKeyPair] | None
) -> Iterator[ListedKeyPair]:
    """The key pairs of the ring, then those that only IVS has.

    Args:
        region: the region.
        ring: its ring; None when it has none.
        held: the key pairs held by IVS; None when IVS could not be called.
    """
    for pair in ring.pairs if ring else ():
        yield ListedKeyPair(
            region=region,
            key_id=pair.key_id,
            state=pair.state.value,
            compromised=pair.is_compromised,
            in_ivs=None if held is None else is_held(pair, held),
            fingerprint=pair.public_key.fingerprint if pair.public_key else None,
            arn=str(pair.arn) if pair.arn else None,
            since=_since(pair),
        )
    for key_pair in held or ():
        owner = owner_of(ring, key_pair)
        if owner is not Owner.OURS:
            yield ListedKeyPair(
                region=region,
                key_id=None,
                state=owner.value,
                compromised=False,
                in_ivs=True,
                fingerprint=key_pair.fingerprint,
                arn=str(key_pair.arn),
                since=None,
            )


def _since(pair: KeyPair) -> str | None:
    entered = {
        KeyState.PENDING: pair.created_at,
        KeyState.PUBLISHED: pair.published_at,
        KeyState.ACTIVE: pair.activated_at,
        KeyState.RETIRING: pair.signing_ended_at,
        KeyState.RETIRED: pair.deleted_at,
    }[pair.state]
    return None if entered is None else rfc3339(entered)
