"""What the entitlement hook is asked: everything that the decision depends on, as JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tokensvc.access.callers import Caller
from tokensvc.access.requests import PlaybackRequest
from tokensvc.clock import rfc3339
from tokensvc.ivs.model import Channel
from tokensvc.token.claims import PlaybackOptions

TYPE: Final = "entitlement.requested"
_NOT_OPTIONS: Final = frozenset({"channel", "viewer_id", "viewer_country", "refresh_of"})
"""The members of a request that are sent under another name, or not at all: the token that a
refresh names is a secret."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question to the hook.

    Attributes:
        caller: who sent the request.
        channel: the channel, as IVS describes it.
        request: the request.
        grant: the name of the grant that covers the channel.
        granted: what is granted if the hook does not limit it.
        country: the country of the viewer (ISO 3166-1 alpha-2), if it is known.
        request_id: the ID of the request, if it has one.
    """

    caller: Caller
    channel: Channel
    request: PlaybackRequest
    grant: str
    granted: PlaybackOptions
    country: str | None = None
    request_id: str | None = None

    @cached_property
    def key(self) -> bytes:
        """The same for two questions exactly if everything but the request ID is the same."""
        return hashlib.sha256(_json(self._inputs).encode()).digest()

    def body(self, now: float) -> str:
        """The JSON body of the question, asked at that time (Unix seconds)."""
        data = {"request_id": self.request_id, **self._inputs}
        return _json({"type": TYPE, "timestamp": rfc3339(now), "data": data})

    @cached_property
    def _inputs(self) -> dict[str, object]:
        requested = {
            name: getattr(self.request, name) for name in _REQUESTED if name not in _NOT_OPTIONS
        }
        identity = self.caller.identity
        granted = {name: getattr(self.granted, name) for name in _GRANTED}
        return {
            "caller": {
                "id": self.caller.caller_id,
                "name": self.caller.name,
                "identity": identity and {"issuer": identity.issuer, "subject": identity.subject},
            },
            "channel": {"arn": str(self.channel.arn), "name": self.channel.name},
            "viewer_id": self.request.viewer_id,
            "country": self.country,
            "requested": requested,
            "granted": {"grant": self.grant, **granted},
        }


_REQUESTED: Final = tuple(field.name for field in dataclasses.fields(PlaybackRequest))
_GRANTED: Final = tuple(field.name for field in dataclasses.fields(PlaybackOptions))


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
