"""Callers: the authenticated identity of a request, independent of the kind of credential."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated program or person.

    Attributes:
        caller_id: stable and unique; written to the audit log. An API key's ID, never its secret.
        name: the name that an operator gave it.
        grants: the names of its grants.
    """

    caller_id: str
    name: str
    grants: tuple[str, ...]
