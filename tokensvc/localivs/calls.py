"""What an operation is given: who calls, when, on which connection; and what it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True)
class Caller:
    """The account and region that a request acts in; nothing outside them is visible to it."""

    region: str
    account_id: str

    def arn(self, kind: str, resource_id: str) -> str:
        """The ARN of a resource of this account and region, `kind` as `channel`."""
        return f"arn:aws:ivs:{self.region}:{self.account_id}:{kind}/{resource_id}"


@dataclass(frozen=True)
class Call:
    """One accepted call of an operation.

    Attributes:
        operation: The operation's name.
        caller: The account and region it acts in.
        now: Unix seconds, read once for the call.
        base_url: `http://host:port` as the client addressed it, for playback URLs.
        connection: Inside a transaction that is committed when the operation returns.
        effect_delay_seconds: How long a change of key pairs takes to reach the edge.
    """

    operation: str
    caller: Caller
    now: float
    base_url: str
    connection: sqlite3.Connection
    effect_delay_seconds: float


# Gets the accepted members of the request; gives the members of the answer. Members that the
# output shape doesn't have are left out of the answer, so that one function may present both a
# resource and its summary.
Operation: TypeAlias = Callable[[Call, Mapping[str, Any]], Mapping[str, Any]]
