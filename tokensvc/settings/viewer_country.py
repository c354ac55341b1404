"""The section `[viewer_country]`: the header with which a proxy names the country of a viewer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from tokensvc.access.client_countries import ClientCountries, load_header_secrets
from tokensvc.net import Network
from tokensvc.settings.http_values import check_header_name
from tokensvc.settings.section import Section

_HeaderName = Annotated[str, AfterValidator(check_header_name)]


class ViewerCountrySettings(Section):
    """Header in which a trusted proxy names the viewer's country. docs/grants.md has examples."""

    header: _HeaderName | None = Field(
        default=None,
        description="Header with the country, ISO 3166-1 alpha-2. It counts only for callers with a"
        " token of an identity provider, from a proxy in service.trusted_proxies, beside the"
        " secret.",
        examples=["CloudFront-Viewer-Country"],
    )
    secret_header: _HeaderName | None = Field(
        default=None,
        description="Header that the proxy adds with the secret.",
        examples=["X-Origin-Secret"],
    )
    secret_file: Path | None = Field(
        default=None,
        description="File with the secret: 32 or more characters, from `openssl rand -hex 32`."
        " While it is changed, the file has the new and the previous secret, one per line.",
        examples=["origin-secret"],
    )
    secret: SecretStr | None = Field(
        default=None,
        description="The secret itself, instead of the file. Can only be set as an environment"
        " variable.",
    )

    def client_countries(self, proxies: tuple[Network, ...]) -> ClientCountries | None:
        """Reads the countries of clients; None if no header is configured.

        Raises:
            SettingsInvalid: when the secret can't be used.
        """
        given = self.secret_file or self.secret
        secret = given.get_secret_value() if isinstance(given, SecretStr) else given
        if self.header is None or self.secret_header is None or secret is None:
            return None
        return ClientCountries(
            self.header, self.secret_header, load_header_secrets(secret), proxies
        )
