"""The viewers of the demo: who they are, and how the backend signs them in.

An application sends its users to its identity provider, whose page asks for a password. The
provider of this demo has no passwords, and its page loads a style sheet from the internet, so the
backend takes the user's part: it fills in the form, and exchanges the code for a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import parse_qs, urlencode, urlsplit

import urllib3

from demo.refusals import refusal
from demo.service_client import TIMEOUT

CLIENT_ID = "demo-page"
"""The application at the identity provider. tokensvc requires it as the audience of a token."""

GUEST_ID = "demo-viewer"
"""The viewer ID of who has not signed in."""


class Viewer(StrEnum):
    """Who watches. Ann and Ben can sign in; their names are their subjects at the provider."""

    GUEST = "guest"
    ANN = "ann"
    BEN = "ben"

    def members(self, issuer_url: str) -> Mapping[str, str]:
        """The members of a request to tokensvc that name this viewer."""
        if self is Viewer.GUEST:
            return {"viewer_id": GUEST_ID}
        return {"issuer": issuer_url, "subject": self.value}


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """An OpenID Connect provider on loopback."""

    url: str

    def sign_in(self, viewer: Viewer) -> str:
        """The viewer's ID token, by the authorization code flow (OpenID Connect Core 1.0 §3.1).

        Raises:
            Refusal: the provider does not respond as it should.
        """
        # A PoolManager ignores proxy variables.
        pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)
        here = {"client_id": CLIENT_ID, "redirect_uri": f"{self.url}/demo"}
        asked = urlencode(here | {"response_type": "code", "scope": "openid", "state": "demo"})
        try:
            allowed = pool.request(
                "POST",
                f"{self.url}/oauth2/authorize?{asked}",
                fields={"sub": viewer.value},
                encode_multipart=False,
                redirect=False,
            )
            (code,) = parse_qs(urlsplit(allowed.headers["Location"]).query)["code"]
            issued = pool.request(
                "POST",
                f"{self.url}/oauth2/token",
                fields=here
                | {"grant_type": "authorization_code", "code": code, "client_secret": "none"},
                encode_multipart=False,
            )
            token: str = issued.json()["id_token"]
        except (urllib3.exceptions.HTTPError, KeyError, ValueError) as exc:
            raise refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "issuer_unavailable",
                "The identity provider of the demo does not respond.",
                hint="Check that it is still running, and read issuer.log.",
            ) from exc
        return token
