"""The calls to tokensvc. Most applications need only one: `POST /v1/playback-urls`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import urllib3

from demo.refusals import Refusal, refusal

TIMEOUT = urllib3.Timeout(connect=2.0, read=15.0)  # seconds; tokensvc may have to wait for IVS


class ServiceClient:
    """Calls tokensvc with an API key of this backend.

    Each method returns the JSON object that tokensvc answers.

    Raises:
        Refusal: tokensvc refused the request, with its problem document, or did not respond.
    """

    def __init__(self, service_url: str, api_key: str) -> None:
        self._service_url = service_url
        self._headers = {"Authorization": f"Bearer {api_key}"}
        # A PoolManager ignores proxy variables: the API key goes directly to tokensvc.
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)

    def request_playback_url(self, body: Mapping[str, object]) -> Mapping[str, Any]:
        """A playback URL: `playback_url`, `token`, `expires_at` and more."""
        return self.post("/v1/playback-urls", body)

    def post(self, path: str, body: Mapping[str, object]) -> Mapping[str, Any]:
        """The answer to a POST request with this body."""
        return self._request("POST", path, body)

    def get(self, path: str) -> Mapping[str, Any]:
        """The answer to a GET request."""
        return self._request("GET", path)

    def delete(self, path: str) -> Mapping[str, Any]:
        """The answer to a DELETE request."""
        return self._request("DELETE", path)

    def _request(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> Mapping[str, Any]:
        url = f"{self._service_url}{path}"
        try:
            response = self._pool.request(method, url, json=body, headers=self._headers)
            content = response.json()
        except (urllib3.exceptions.HTTPError, ValueError) as exc:
            raise refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "service_unavailable",
                "The service tokensvc does not respond.",
                hint="Check that it is still running, and read its log.",
            ) from exc
        if response.status >= HTTPStatus.BAD_REQUEST:
            # A problem document contains no secret. Pass it on, because it says what to do next.
            raise Refusal(response.status, content)
        answer: Mapping[str, Any] = content
        return answer
