"""The sections `[issuers.NAME]`: the identity providers whose tokens authenticate callers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from tokensvc.access.callers import Scope
from tokensvc.access.oidc.terms import ALGORITHMS, Algorithm, IssuerTerms
from tokensvc.net import is_loopback
from tokensvc.settings.grants import PositiveSeconds
from tokensvc.settings.section import Section, or_one_text, split_list


def _check_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise ValueError("The value is not a URL.") from exc
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host or ""))
    if not host or not is_secure:
        raise ValueError("The URL must begin with https://. Only a loopback host may have http://.")
    if parts.username is not None or parts.fragment:
        raise ValueError("The URL must have neither a user name nor a fragment.")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("The URL must be ASCII text without white space.")
    return value


def _check_issuer(value: str) -> str:
    if "?" in _check_url(value):
        raise ValueError("The URL of an issuer has no query (OpenID Connect Discovery 1.0 §3).")
    return value


_Text = Annotated[str, StringConstraints(min_length=1)]


class IssuerSettings(Section):
    """An identity provider, whose tokens authenticate callers. docs/oidc.md has examples."""

    issuer: Annotated[str, AfterValidator(_check_issuer)] = Field(
        description="URL of the issuer, exactly as in the claim iss of its tokens. It begins with"
        " https://.",
        examples=["https://login.example.com"],
    )
    audience: Annotated[tuple[_Text, ...], BeforeValidator(split_list), Field(min_length=1)] = (
        Field(
            description="A token must be for one of these audiences, by its claim aud: the ID of"
            " this API or of your application at the issuer.",
            examples=[["tokensvc"]],
            json_schema_extra=or_one_text,
        )
    )
    grants: Annotated[tuple[_Text, ...], BeforeValidator(split_list)] = Field(
        default=(),
        description="Grants of every caller with a token of this issuer: names of sections"
        " [grants.NAME].",
    )
    scopes: Annotated[tuple[Scope, ...], BeforeValidator(split_list), Field(min_length=1)] = Field(
        default=("mint",),
        description="What these callers may do: mint, moderate, operate. With scopes_claim, the"
        " most that a token may say.",
    )
    scopes_claim: _Text | None = Field(
        default=None,
        description="Claim that says which of the scopes a caller has, as tokensvc:mint: a list, or"
        " a text with blanks between them. If not set, a caller has all of them.",
        examples=["scope"],
    )
    jwks_url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        default=None,
        description="URL of the keys. If not set, it is read from the issuer's metadata, at"
        " /.well-known/openid-configuration.",
        examples=["https://login.example.com/jwks.json"],
    )
    ca_file: Path | None = Field(
        default=None,
        description="File with the CA certificates that verify the issuer's certificate, in PEM. If"
        " not set, those of the machine.",
        examples=["issuer-ca.pem"],
    )
    algorithms: Annotated[
        tuple[Algorithm, ...], BeforeValidator(split_list), Field(min_length=1)
    ] = Field(
        default=ALGORITHMS,
        description="Algorithms of signatures that a token may have. All of them are asymmetric.",
    )
    client_id_as_audience: bool = Field(
        default=False,
        description="Whether the claim client_id is compared with audience where a token has no"
        " aud. Access tokens of Amazon Cognito have none.",
    )
    authorized_parties: Annotated[tuple[_Text, ...], BeforeValidator(split_list)] = Field(
        default=(),
        description="A token must have been issued to one of these clients, by its claim azp. If"
        " empty, azp is not compared.",
    )
    leeway_seconds: Annotated[int, Field(ge=0, le=300)] = Field(
        default=30,
        description="Maximum difference in seconds between the clocks of the issuer and of this"
        " machine.",
    )
    keys_refresh_seconds: PositiveSeconds = Field(
        default=300,
        description="Interval in seconds at which each process fetches the keys. A key that the"
        " issuer removes may be used for that long.",
    )
    keys_min_interval_seconds: PositiveSeconds = Field(
        default=10,
        description="Minimum time in seconds between two fetches, when a token has an unknown key"
        " or a fetch has failed.",
    )
    keys_max_age_seconds: PositiveSeconds = Field(
        default=86_400,
        description="Age in seconds from which the keys are not used any more, while they can't be"
        " fetched.",
    )

    def terms(self, name: str) -> IssuerTerms:
        """What the callers of the issuer with that name are verified by."""
        return IssuerTerms(
            name=name,
            issuer=self.issuer,
            audiences=self.audience,
            algorithms=self.algorithms,
            grants=self.grants,
            scopes=self.scopes,
            scopes_claim=self.scopes_claim,
            client_id_as_audience=self.client_id_as_audience,
            authorized_parties=self.authorized_parties,
            leeway_seconds=self.leeway_seconds,
            keys_max_age_seconds=self.keys_max_age_seconds,
            keys_refresh_seconds=self.keys_refresh_seconds,
            keys_min_interval_seconds=self.keys_min_interval_seconds,
        )
