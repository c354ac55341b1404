"""A request for a playback URL: what the caller asks for, before any grant is applied."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import ConfigDict, FailFast, Field, StrictBool, StrictInt, StrictStr, with_config

from tokensvc.ivs.limits import LONGEST_ARN, LONGEST_TOKEN_BYTES
from tokensvc.token.claims import Resolution

LONGEST_ORIGIN = 300  # characters: a host name of 253, the scheme and the port
MAX_ORIGINS = 100
LONGEST_COUNTRY = 2  # characters: ISO 3166-1 alpha-2
LONGEST_TIME = 40  # characters


# The types are strict one by one. A class that is strict as a whole accepts only its own instances,
# and no tuple or enumeration from parsed JSON.
@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackRequest:
    """A request for a playback URL; None, False and () mean that an option was not requested.

    It is also the JSON body of `POST /v1/playback-urls`: pydantic checks names, types and sizes
    there. The rules of the claims check the values.

    Attributes:
        channel: the channel's ARN, or its name in the settings.
        viewer_id: the ID of the viewer.
        ttl_seconds: how many seconds after signing playback may start.
        allowed_origins: the origins that playback may come from.
        strict_origin_enforcement: whether every request must come from them.
        single_use: whether the token is valid for one start of playback only.
        maximum_resolution: the highest rendition requested.
        refresh_of: the token that this request replaces. It is a secret.
        viewer_country: the country of the viewer, ISO 3166-1 alpha-2, as a backend knows it.
        watch_until: when playback ends, as an RFC 3339 time in UTC.
    """

    channel: Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_ARN)]
    viewer_id: StrictStr | None = None
    ttl_seconds: Annotated[StrictInt, Field(ge=1)] | None = None
    allowed_origins: Annotated[
        tuple[Annotated[StrictStr, Field(max_length=LONGEST_ORIGIN)], ...],
        Field(max_length=MAX_ORIGINS),
        FailFast(),  # A long list of wrong items is checked to its first one.
    ] = ()
    strict_origin_enforcement: StrictBool = False
    single_use: StrictBool = False
    maximum_resolution: Resolution | None = None
    refresh_of: Annotated[StrictStr, Field(max_length=LONGEST_TOKEN_BYTES)] | None = field(
        default=None, repr=False
    )
    viewer_country: Annotated[StrictStr, Field(max_length=LONGEST_COUNTRY)] | None = None
    watch_until: Annotated[StrictStr, Field(max_length=LONGEST_TIME)] | None = None

    @property
    def has_ten_minute_rule(self) -> bool:
        """Whether IVS accepts at most ten minutes (IVS: private-channels-generate-tokens)."""
        return self.viewer_id is not None or self.single_use
