"""A rotation under load: real gunicorn, real time, and two plays of every token at the edge."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import urllib3
from joserfc import jws
from joserfc.jwk import ECKey
from local_ivs.testing import LocalIvsServer

from tests.e2e.conftest import Site
from tests.e2e.processes import running

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
[service]
workers = 2
"""
DRAIN_SECONDS = 6
ISSUED_BEFORE_ROTATION, ISSUED_IN_TOTAL = 70, 250
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
    """Requests tokens until it is stopped, and plays each one at once and just before `exp`."""

    def __init__(self, service_url: str, api_key: str, channel_arn: str) -> None:
        self._url = f"{service_url}/v1/playback-urls"
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._body = {"channel": channel_arn}
        self._pool = urllib3.PoolManager(maxsize=200, retries=urllib3.Retry(connect=20, other=0))
        self._stop = threading.Event()
        self.issued: list[IssuedToken] = []

    def run(self, players: ThreadPoolExecutor) -> None:
        """Request one token after another."""
        while not self._stop.is_set():
            response = self._pool.request("POST", self._url, json=self._body, headers=self._headers)
            assert response.status == 200, response.data
            content = json.loads(response.data)
            expires_at = datetime.fromisoformat(content["expires_at"]).timestamp()
            issued = IssuedToken(
                content["playback_url"], content["token"], content["key_id"], expires_at
            )
            self.issued.append(issued)
            players.submit(self._play_twice, issued)
            self._stop.wait(0.02)

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


def test_every_token_plays_until_its_exp_during_a_rotation(
    ivs: LocalIvsServer, site: Site, tmp_path: Path
) -> None:
    """No token is refused, the old and the new key signed, and the old key is deleted from IVS."""
    site.configure(SHORT_TIMES)
    site.command("keys", "reconcile")
    old, standby = _key_id(site, "active"), _key_id(site, "published")
    key = site.command("api-keys", "create", "site", "--grant", "web")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    ivs.go_live(channel)
    environment = site.environment(GUNICORN_CMD_ARGS="--bind=127.0.0.1:0")
    with (
        running(tmp_path / "out.txt", "serve", environment=environment) as server,
        ThreadPoolExecutor(200) as players,
        ThreadPoolExecutor(1) as requests,
    ):
        found = re.search(r"Listening at: (http://[0-9.:]+)", server.wait_for("Listening at"))
        assert found is not None
        load = Load(found[1], key, channel)
        finished = requests.submit(load.run, players)
        load.wait_for(ISSUED_BEFORE_ROTATION)
        site.command("keys", "rotate")
        time.sleep(DRAIN_SECONDS)
        load.wait_for(ISSUED_IN_TOTAL)
        site.command("keys", "reconcile")
        load.stop()
        finished.result()

    refused = [issued for issued in load.issued if set(issued.statuses) - {200}]
    assert refused == []
    # A machine under load may respond after `exp`, but nearly all tokens are played twice before.
    assert sum(len(issued.statuses) for issued in load.issued) >= 1.8 * ISSUED_IN_TOTAL
    signed = Counter(issued.key_id for issued in load.issued)
    assert set(signed) == {old, standby}
    assert min(signed.values()) >= 20
    public_keys = {key_id: _public_key(site, key_id) for key_id in signed}
    for issued in load.issued:
        verified = jws.deserialize_compact(
            issued.token, public_keys[issued.key_id], algorithms=["ES384"]
        )
        assert verified.headers() == {"alg": "ES384", "typ": "JWT"}
    in_ivs = {pair["name"] for pair in ivs.client().list_playback_key_pairs()["keyPairs"]}
    assert f"tokensvc-{old}" not in in_ivs
    assert len(in_ivs) == 2


def _key_id(site: Site, state: str) -> str:
    rows = json.loads(site.command("keys", "list", "--json"))
    (key_id,) = (row["key_id"] for row in rows if row["state"] == state)
    return str(key_id)


def _public_key(site: Site, key_id: str) -> ECKey:
    key_pair = json.loads(site.command("keys", "show", key_id, "--json"))
    return ECKey.import_key(key_pair["public_key"])
