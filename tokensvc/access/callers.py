"""Who asks: the identity that a request has proved, whatever it proved it with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """A program or person whose identity was proved.

    Attributes:
        caller_id: stable and unique, fit for the audit trail: an API key's ID, never its secret.
        name: what an operator calls it.
        grants: the names of the grants that it holds, in the order in which they are tried.
    """

    caller_id: str
    name: str
    grants: tuple[str, ...]
