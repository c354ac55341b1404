"""The section `[entitlement]`: the hook that is asked whether a viewer may watch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from tokensvc.settings.http_values import check_receiver_url
from tokensvc.settings.section import Section


class EntitlementSettings(Section):
    """A hook of yours that may refuse or limit a request, for grants with entitlement = true."""

    url: Annotated[str, AfterValidator(check_receiver_url)] | None = Field(
        default=None,
        description="URL that is asked before a token is signed, as docs/entitlement-hook.md"
        " describes. It begins with https://.",
        examples=["https://app.example.com/entitlement"],
    )
    secret_file: Path | None = Field(
        default=None,
        description="File with the secret that signs the questions: whsec_ and 24 to 64 random"
        " bytes in base64. While it is changed, the file has the new and the previous secret, one"
        " per line.",
        examples=["entitlement-secret"],
    )
    secret: SecretStr | None = Field(
        default=None,
        description="The secret itself, instead of the file. Can only be set as an environment"
        " variable.",
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=5)] = Field(
        default=2,
        description="Seconds within which the hook must answer. Then the request is refused.",
    )
    cache_capacity: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=10_000,
        description="Maximum number of answers in the cache of each process. An answer is cached"
        " only if the hook says so.",
    )
