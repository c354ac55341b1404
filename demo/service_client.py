"""The only call to tokensvc that an application needs: `POST /v1/playback-urls`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import urllib3

from demo.refusals import Refusal, refusal

TIMEOUT = urllib3.Timeout(connect=2.0, read=15.0)  # seconds; tokensvc may have to wait for IVS


class ServiceClient:
    """Requests playback URLs from tokensvc with the API key of this backend."""

    def __init__(self, service_url: str, api_key: str) -> None:
        self._url = f"{service_url}/v1/playback-urls"
        self._headers = {"Authorization": f"Bearer {api_key}"}
        # A PoolManager ignores proxy variables: the API key goes directly to tokensvc.
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)

    def request_playback_url(self, body: Mapping[str, object]) -> Mapping[str, Any]:
        """Return tokensvc's response to this body: `playback_url`, `token`, `expires_at` and more.

        Raises:
            Refusal: tokensvc refused the request, with its problem document, or did not respond.
        """
        try:
            response = self._pool.request("POST", self._url, json=body, headers=self._headers)
            content = response.json()
        except (urllib3.exceptions.HTTPError, ValueError) as exc:
            raise refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "service_unavailable",
                "The service tokensvc does not respond.",
                hint="Check that it is still running, and read its log.",
            ) from exc
        if response.status != HTTPStatus.OK:
            # A problem document contains no secret. Pass it on, because it says what to do next.
            raise Refusal(response.status, content)
        answer: Mapping[str, Any] = content
        return answer
