"""What happens while revocations are carried out, as values for those who print it."""

from __future__ import annotations

from dataclasses import dataclass

from tokensvc.access.bans.model import Ban
from tokensvc.arns import Region
from tokensvc.errors import TokensvcError
from tokensvc.ivs.viewer_sessions import NotRevoked
from tokensvc.playback.revocation.due_ends import DueEnd


@dataclass(frozen=True, slots=True)
class Revoked:
    """IVS has answered a call.

    Attributes:
        region: the region.
        confirmed: the kicks and bans that IVS has now confirmed.
        ended: the due ends that were carried out.
        refused: the viewers whose sessions IVS did not revoke, and why.
        left: how many revocations are pending in the region.
        left_seconds: how long these take, if nothing fails.
        late_seconds: by how much the latest due end of the call was late; 0 without one.
    """

    region: Region
    confirmed: tuple[Ban, ...]
    ended: tuple[DueEnd, ...]
    refused: tuple[NotRevoked, ...]
    left: int
    left_seconds: float
    late_seconds: float


@dataclass(frozen=True, slots=True)
class CallFailed:
    """A whole call to IVS in that region failed. It is made again."""

    region: Region
    error: TokensvcError


@dataclass(frozen=True, slots=True)
class StateFailed:
    """The state can't be read or written. It is tried again."""

    error: TokensvcError


@dataclass(frozen=True, slots=True)
class LeaseChanged:
    """This process calls IVS from now on, or another one does."""

    is_held: bool


LoopEvent = Revoked | CallFailed | StateFailed | LeaseChanged
