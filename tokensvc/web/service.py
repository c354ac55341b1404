"""The parts of a worker that the routes use: built from the settings, started in each worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tokensvc.access.api_keys import ApiKeys
from tokensvc.arns import Region
from tokensvc.clock import Clock
from tokensvc.keyring.view import RingView
from tokensvc.playback.issuance import PlaybackIssuer
from tokensvc.state.watch import Watched


class Service(Protocol):
    """What the routes need; no part reads a store for each request."""

    @property
    def issuer(self) -> PlaybackIssuer:
        """Decides requests for playback URLs and signs the tokens."""
        ...

    @property
    def api_keys(self) -> Watched[ApiKeys]:
        """The API keys, watched."""
        ...

    @property
    def view_max_age_seconds(self) -> float:
        """The maximum age of the cached API keys that a caller is authenticated with."""
        ...

    @property
    def rings(self) -> Mapping[Region, RingView]:
        """The ring of each region, watched."""
        ...

    @property
    def clock(self) -> Clock:
        """The clock."""
        ...
