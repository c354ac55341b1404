"""The input of an operation: the caller, the time and the database connection of one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True)
class Caller:
    """The account and region of a request; the request sees no resources outside them."""

    region: str
    account_id: str

    def arn(self, kind: str, resource_id: str) -> str:
        """The ARN of a resource in this account and region; `kind` is, for example, `channel`."""
        return f"arn:aws:ivs:{self.region}:{self.account_id}:{kind}/{resource_id}"


@dataclass(frozen=True)
class Call:
    """One validated call of an operation.

    Attributes:
        operation: The operation's name.
        caller: The account and region of the request.
        now: Unix seconds, the same during the whole call.
        base_url: `http://host:port` as the client addressed Local IVS; playback URLs begin with it.
        connection: A connection inside a transaction, committed when the operation returns.
        effect_delay_seconds: The time until a change of key pairs takes effect at the edge.
    """

    operation: str
    caller: Caller
    now: float
    base_url: str
    connection: sqlite3.Connection
    effect_delay_seconds: float


# Takes the validated members of the request and returns the members of the response. Members that
# the output shape doesn't have are left out of the response, so that the same function can describe
# both a resource and its summary.
Operation: TypeAlias = Callable[[Call, Mapping[str, Any]], Mapping[str, Any]]
