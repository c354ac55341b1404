"""In which country a client is, as a trusted proxy says in a header.

Any client can send a header. It counts only from the address of a trusted proxy, and only beside
another header with a secret that this proxy adds. The address alone would not do: the addresses of
a CDN or a load balancer are often those of its other customers too. What the proxy does not know,
and every other value, is no country.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from tokensvc import net
from tokensvc.access.countries import country_in
from tokensvc.errors import SettingsInvalid
from tokensvc.secret_text import read_secret_text

MIN_SECRET_CHARACTERS: Final = 32
_SECRET: Final = re.compile(rf"[!-+\--~]{{{MIN_SECRET_CHARACTERS},1024}}", re.ASCII)
_GENERATE: Final = "Generate one with `openssl rand -hex 32`."


class ClientCountries:
    """Reads the country of a client from the headers of its request."""

    def __init__(
        self,
        header: str,
        secret_header: str,
        secrets: Sequence[str],
        proxies: Collection[net.Network],
    ) -> None:
        """Countries as these proxies say.

        Args:
            header: the name of the header with the country.
            secret_header: the name of the header with the secret.
            secrets: the secrets, of which one is enough.
            proxies: the networks of the trusted proxies.
        """
        self._header = _key(header)
        self._secret_header = _key(secret_header)
        self._secrets = [secret.encode() for secret in secrets]
        self._proxies = proxies

    def of(self, environ: Mapping[str, object]) -> str | None:
        """The country of the client that sent a request (PEP 3333); None if it is not known."""
        value = environ.get(self._header)
        is_from_proxy = net.is_in(str(environ.get("REMOTE_ADDR", "")), self._proxies)
        if not isinstance(value, str) or not is_from_proxy or not self._has_secret(environ):
            return None
        return country_in(value)

    def _has_secret(self, environ: Mapping[str, object]) -> bool:
        presented = str(environ.get(self._secret_header, "")).encode("latin-1", "replace")
        # Each is compared, in a time that does not depend on where they differ.
        compared = [hmac.compare_digest(presented, secret) for secret in self._secrets]
        return any(compared)


def load_header_secrets(source: Path | str) -> Sequence[str]:
    """The secrets from a file (a `Path`) or from the value of an environment variable (a `str`).

    There is one, or several while it is changed, separated by white space.

    Raises:
        SettingsInvalid: when there is none, one is shorter than 32 characters or has others than
            visible ASCII without commas, or the file can't be read or can be read by other users.
    """
    text, where = read_secret_text(
        source, name="secret of the proxy", setting="viewer_country.secret_file", hint=_GENERATE
    )
    secrets = text.split()
    if not secrets or not all(_SECRET.fullmatch(secret) for secret in secrets):
        raise SettingsInvalid(
            f"A secret of the proxy {where} must have {MIN_SECRET_CHARACTERS} or more visible ASCII"
            " characters, without commas.",
            hint=_GENERATE,
        )
    return secrets


def _key(header: str) -> str:
    """The key of the header in the environ (PEP 3333)."""
    return f"HTTP_{header.upper().replace('-', '_')}"
