from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import urllib3

from tests.support.deployment import Deployment
from tests.support.serving import serving
from tokensvc.token.jws import verify


@pytest.fixture
def url(deployment: Deployment) -> Iterator[str]:
    """The address of the service, which runs with threads at a free port."""
    with serving(deployment.app()) as url:
        yield url


def test_concurrent_callers_each_get_their_own_tokens(deployment: Deployment, url: str) -> None:
    """Eight threads, ten tokens each: every token is unique and signed by the active key."""
    headers = {"Authorization": f"Bearer {deployment.key}"}
    tokens: dict[str, str] = {}

    def request_urls(caller: int) -> None:
        for n in range(10):
            body = {"channel": "demo", "viewer_id": f"viewer-{caller}-{n}"}
            response = urllib3.request(
                "POST", f"{url}/v1/playback-urls", json=body, headers=headers, retries=False
            )
            answer = response.json()
            tokens[answer["viewer_id"]] = answer["token"]

    threads = [threading.Thread(target=request_urls, args=(caller,)) for caller in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    active = deployment.public_keys[deployment.active_key_id]
    assert set(tokens) == {f"viewer-{caller}-{n}" for caller in range(8) for n in range(10)}
    assert len(set(tokens.values())) == 80
    assert {verify(token, [active]) for token in tokens.values()} == {active}


def test_a_chunked_body_is_read(deployment: Deployment, url: str) -> None:
    """Chunked transfer encoding, without a Content-Length."""
    response = urllib3.request(
        "POST",
        f"{url}/v1/playback-urls",
        body=iter([b'{"channel":', b'"demo"}']),
        headers={
            "Authorization": f"Bearer {deployment.key}",
            "Content-Type": "application/json",
            "Transfer-Encoding": "chunked",
        },
        retries=False,
    )
    assert response.status == 200
    assert response.json()["channel_arn"] == str(deployment.channel)


def test_head_is_answered_as_get_without_a_body(url: str) -> None:
    """For monitoring."""
    response = urllib3.request("HEAD", f"{url}/healthz", retries=False)
    assert (response.status, response.data) == (200, b"")
