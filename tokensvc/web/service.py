"""What the routes are served from: built elsewhere from the settings, started in each worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tokensvc.access.api_keys import ApiKeys
from tokensvc.arns import Region
from tokensvc.clock import Clock
from tokensvc.keyring.view import RingView
from tokensvc.playback.issuance import PlaybackIssuer
from tokensvc.state.following import Watched


class Service(Protocol):
    """The parts that a worker answers with; none of them reads a store for each request."""

    @property
    def issuer(self) -> PlaybackIssuer:
        """Who decides and signs."""
        ...

    @property
    def api_keys(self) -> Watched[ApiKeys]:
        """The API keys, watched."""
        ...

    @property
    def view_max_age_seconds(self) -> float:
        """The oldest knowledge of the API keys that a caller is let in by."""
        ...

    @property
    def rings(self) -> Mapping[Region, RingView]:
        """Each region's ring, watched."""
        ...

    @property
    def clock(self) -> Clock:
        """The time."""
        ...
