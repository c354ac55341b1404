"""What the settings say about one issuer, and how its tokens are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from tokensvc.access.callers import Scope
from tokensvc.errors import Problem, Unauthenticated

Algorithm = Literal[
    "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "EdDSA"
]
"""The algorithms of signatures that a token may have, all of them asymmetric."""

ALGORITHMS: Final[tuple[Algorithm, ...]] = get_args(Algorithm)

Rule = Literal[
    "too_long",
    "malformed",
    "type",
    "critical_header",
    "unknown_issuer",
    "algorithm",
    "unknown_key",
    "ambiguous_key",
    "signature",
    "audience",
    "authorized_party",
    "subject",
    "time_claims",
    "expired",
    "not_yet_valid",
]
"""The rules that a token may break. Clients see these identifiers."""

_ANOTHER_TOKEN: Final = "Get another token from the issuer."  # noqa: S105 # A sentence.
_A_JWT: Final = (
    "Send an ID token, or an access token that is a JWT: some issuers make one only if the client"
    " requests it for an audience."
)
_SETTINGS: Final = "An operator can compare it with the section [issuers.NAME] of the settings."
_REFUSALS: Final[Mapping[Rule, tuple[str, str]]] = {
    "too_long": ("The token has more than 8192 characters.", "Send a token with fewer claims."),
    "malformed": ("The token is not a signed JWT.", _A_JWT),
    "type": ("The token has another type than JWT or at+jwt.", "Send an access or ID token."),
    "critical_header": ("The header of the token has an extension.", _ANOTHER_TOKEN),
    "unknown_issuer": ("The issuer of the token is not configured.", _SETTINGS),
    "algorithm": ("The algorithm of the token is not allowed for its issuer.", _SETTINGS),
    "unknown_key": ("The issuer does not publish the key of the token.", _ANOTHER_TOKEN),
    "ambiguous_key": ("Several keys of the issuer fit the token.", "Send a token with a `kid`."),
    "signature": ("The signature of the token is not valid.", _ANOTHER_TOKEN),
    "audience": ("The token was not issued for this service.", _SETTINGS),
    "authorized_party": ("The token was issued to a client that is not allowed.", _SETTINGS),
    "subject": ("The token has no valid subject.", _ANOTHER_TOKEN),
    "time_claims": ("A time in the token is missing or is not a number.", _ANOTHER_TOKEN),
    "expired": ("The token has expired.", _ANOTHER_TOKEN),
    "not_yet_valid": ("The token is not valid yet.", "Check the clocks of both machines."),
}


@dataclass(frozen=True, slots=True)
class IssuerTerms:
    """What the settings say about one issuer.

    Attributes:
        name: the name of its section.
        issuer: the `iss` of its tokens.
        audiences: the token must be for one of these, by `aud`.
        algorithms: the algorithms that its tokens may have.
        grants: the names of the grants of its callers.
        scopes: what its callers may do at most.
        scopes_claim: the claim that says which of these scopes a caller has; None if all.
        client_id_as_audience: whether `client_id` is compared instead where `aud` is absent.
        authorized_parties: the token must have one of these as `azp`; empty for any, or none.
        leeway_seconds: the most by which the clocks of the issuer and of this machine differ.
        keys_max_age_seconds: the age from which the keys are not used any more.
        keys_refresh_seconds: the interval between two fetches of the keys.
        keys_min_interval_seconds: the shortest time between two fetches, for unknown keys.
    """

    name: str
    issuer: str
    audiences: tuple[str, ...]
    algorithms: tuple[Algorithm, ...] = ALGORITHMS
    grants: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ("mint",)
    scopes_claim: str | None = None
    client_id_as_audience: bool = False
    authorized_parties: tuple[str, ...] = ()
    leeway_seconds: int = 30
    keys_max_age_seconds: int = 86_400
    keys_refresh_seconds: int = 300
    keys_min_interval_seconds: int = 10


def refusal(rule: Rule) -> Unauthenticated:
    """The error for a token that breaks that rule. It has nothing of the token."""
    detail, hint = _REFUSALS[rule]
    return Unauthenticated(detail, hint=hint, problems=(Problem("Authorization", rule, detail),))
