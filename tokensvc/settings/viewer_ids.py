"""The section `[viewer_ids]`: the secrets from which viewer IDs are made."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from tokensvc.settings.section import Section


class ViewerIdSettings(Section):
    """Viewer IDs of callers with a token of an identity provider. docs/viewer-ids.md has more."""

    secret_file: Path | None = Field(
        default=None,
        description="File with the viewer ID secrets, one per line, the current one first: 32"
        " random bytes or more from `openssl rand -base64 32`. It is refused while every user can"
        " access it.",
        examples=["viewer-id-secret"],
    )
    secret: SecretStr | None = Field(
        default=None,
        description="The viewer ID secrets themselves, separated by commas, instead of the file."
        " Can only be set as an environment variable.",
    )
