"""The section `[limits]`: how much one caller or viewer may ask for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tokensvc.settings.section import Section

_Count = Annotated[int, Field(ge=1, le=1_000_000)]


class LimitsSettings(Section):
    """How much one caller or one viewer may ask for. Read docs/limits.md before you set a limit."""

    caller_per_second: _Count | None = Field(
        default=None,
        description="Playback URLs a second for one caller, such as an API key, in the whole"
        " fleet, and as many requests of all other routes. Each item of a batch counts. If not set,"
        " there is no limit.",
        examples=[200],
    )
    caller_burst: _Count | None = Field(
        default=None,
        description="How many of these may be requested at once. If not set, it is twice"
        " caller_per_second, and at least 100, the largest batch.",
        examples=[400],
    )
    viewer_per_minute: _Count | None = Field(
        default=None,
        description="Playback URLs a minute for one viewer ID of an API key, and for one person who"
        " signs in with an identity provider. If not set, a person gets 60, and viewer IDs have no"
        " limit.",
        examples=[30],
    )
    new_channels_per_second: _Count = Field(
        default=20,
        description="Channels a second that Amazon IVS is asked for because of one caller, in the"
        " whole fleet: channels that no process knows yet. Each process may ask for 200 more at"
        " once. IVS allows an account 5 calls a second, each for at most 50 channels.",
    )
