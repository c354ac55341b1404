"""Callers: the authenticated identity of a request, independent of the kind of credential."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from tokensvc.errors import NotPermitted

Scope = Literal["mint", "moderate", "operate"]
"""What a caller may do: request playback URLs; revoke and ban viewers; read the state of the keys,
inspect tokens, and whatever else operators do over HTTP."""

SCOPES: tuple[Scope, ...] = get_args(Scope)

_OF_USERS: Final = "oidc:"


def caller_id_of_user(issuer: str, viewer_id: str) -> str:
    """The ID of a caller who signs in: the issuer's name in the settings, and the viewer ID."""
    return f"{_OF_USERS}{issuer}:{viewer_id}"


def without_viewer_id(caller_id: str) -> str:
    """The ID of a caller for who may not know viewers: of a user, it names the issuer only."""
    return caller_id.rpartition(":")[0] if caller_id.startswith(_OF_USERS) else caller_id


@dataclass(frozen=True, slots=True)
class Identity:
    """The person or program that an identity provider's token is about.

    Attributes:
        issuer: the `iss` of the token.
        subject: its `sub`. It may be personal data, so it is never logged or audited.
        viewer_ids: the viewer ID of this subject under each viewer ID secret, the current one
            first. The first is in new tokens; a ban of any of them applies.
        claims: all claims of the token, which grants may depend on.
    """

    issuer: str
    subject: str = field(repr=False)
    viewer_ids: tuple[str, ...]
    claims: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated program or person.

    Attributes:
        caller_id: stable and unique; written to the audit log. An API key's ID, never its secret.
        name: the name that an operator gave it.
        grants: the names of its grants.
        scopes: what it may do.
        identity: who it is, if an identity provider says so; None for an API key.
    """

    caller_id: str
    name: str
    grants: tuple[str, ...]
    scopes: tuple[Scope, ...] = ("mint",)
    identity: Identity | None = None

    def require(self, scope: Scope) -> None:
        """Return if the caller has that scope.

        Raises:
            NotPermitted: when it does not have it.
        """
        if scope in self.scopes:
            return
        makes = (
            f"`tokensvc api-keys create --scope {scope}` makes an API key that has it."
            if self.identity is None
            else f"the settings [issuers.{self.name}] say which tokens have it."
        )
        raise NotPermitted(
            f"This caller does not have the scope {scope}.",
            hint=f"Use a caller with the scope {scope}: {makes}",
        )
