"""Requests tokens from services all the time, and plays each of them twice at IVS's edge."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle

import urllib3
from joserfc import jws
from joserfc.jwk import ECKey

TTL_SECONDS = 4
# The drain: 2 s of view age, 4 s of token lifetime and no skew (one machine, one clock) are 6 s.
SHORT_TIMES = f"""
[playback]
ttl_seconds = {TTL_SECONDS}
max_ttl_seconds = {TTL_SECONDS}
[rotation]
publish_delay_seconds = 0
ring_max_age_seconds = 2
clock_skew_seconds = 0
state_refresh_seconds = 1
"""
DRAIN_SECONDS = 6
JUST_BEFORE_EXP_SECONDS = 1.0
TIMEOUT_SECONDS = 90


@dataclass
class IssuedToken:
    """A token from the service, and the HTTP statuses of the edge's responses to it."""

    url: str
    token: str
    key_id: str
    expires_at: float
    statuses: list[int] = field(default_factory=list)

    def play(self, pool: urllib3.PoolManager) -> None:
        """Request the playlist, and record the status if the token has not expired by then."""
        status = pool.request("GET", self.url).status
        if time.time() < self.expires_at:
            self.statuses.append(status)


class Load:
    """Requests tokens until it is stopped, and plays each one at once and just before `exp`.

    The services get the requests in turn.
    """

    def __init__(self, service_urls: Sequence[str], api_key: str, channel_arn: str) -> None:
        self._urls = [f"{url}/v1/playback-urls" for url in service_urls]
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._body = {"channel": channel_arn}
        self._pool = urllib3.PoolManager(maxsize=200, retries=urllib3.Retry(connect=20, other=0))
        self._stop = threading.Event()
        self.issued: list[IssuedToken] = []

    def run(self, players: ThreadPoolExecutor) -> None:
        """Request one token after another."""
        for url in cycle(self._urls):
            if self._stop.is_set():
                return
            response = self._pool.request("POST", url, json=self._body, headers=self._headers)
            assert response.status == 200, response.data
            content = json.loads(response.data)
            expires_at = datetime.fromisoformat(content["expires_at"]).timestamp()
            issued = IssuedToken(
                content["playback_url"], content["token"], content["key_id"], expires_at
            )
            self.issued.append(issued)
            players.submit(self._play_twice, issued)
            self._stop.wait(0.04)

    def wait_for(self, count: int) -> None:
        """Return when the service has issued that many tokens."""
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        while len(self.issued) < count:
            assert time.monotonic() < give_up_at
            time.sleep(0.05)

    def stop(self) -> None:
        """Request no more tokens."""
        self._stop.set()

    def _play_twice(self, issued: IssuedToken) -> None:
        issued.play(self._pool)
        wait = issued.expires_at - JUST_BEFORE_EXP_SECONDS - time.time()
        time.sleep(max(0.0, wait))
        issued.play(self._pool)


def assert_signed_by(issued: Sequence[IssuedToken], public_keys: Mapping[str, ECKey]) -> None:
    """Fail unless each token verifies with the public key of the key pair that it names."""
    for each in issued:
        verified = jws.deserialize_compact(
            each.token, public_keys[each.key_id], algorithms=["ES384"]
        )
        assert verified.headers() == {"alg": "ES384", "typ": "JWT"}
