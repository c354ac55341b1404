"""The section `[notify]`: where it is reported what rotations did or could not do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from tokensvc.settings.http_values import check_receiver_url
from tokensvc.settings.section import Section


class NotifySettings(Section):
    """A webhook that gets what rotations did or could not do. docs/rotation.md lists the events."""

    webhook_url: Annotated[str, AfterValidator(check_receiver_url)] | None = Field(
        default=None,
        description="URL to which `tokensvc keys reconcile` sends notifications, signed as Standard"
        " Webhooks has it. It begins with https://.",
        examples=["https://hooks.example.com/tokensvc"],
    )
    webhook_secret_file: Path | None = Field(
        default=None,
        description="File with the secret that signs them: whsec_ and 24 to 64 random bytes in"
        " base64. While it is changed, the file has the new and the previous secret, one per line.",
        examples=["webhook-secret"],
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="The secret itself, instead of the file. Can only be set as an environment"
        " variable.",
    )
