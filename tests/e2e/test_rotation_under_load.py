"""A rotation under load: real gunicorn, real time, and the edge asked for every token twice."""

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

from tests.e2e.conftest import Site
from tests.e2e.processes import running
from tests.support.local_ivs import LocalIvsServer

TTL_SECONDS = 4
# A drain of 2 s of view, 4 s of token and no skew (one machine, one clock): 6 s, by hand.
QUICK = f"""
[playback]
ttl_seconds = {TTL_SECONDS}
max_ttl_seconds = {TTL_SECONDS}
[rotation]
publish_delay_seconds = 0
view_max_age_seconds = 2
clock_skew_seconds = 0
state_refresh_seconds = 1
[service]
workers = 2
"""
DRAIN_SECONDS = 6
MINTED_BEFORE, MINTED_IN_ALL = 70, 250
JUST_BEFORE_EXP_SECONDS = 1.0
LONGEST_SECONDS = 90


@dataclass
class Minted:
    """A token that the service gave out, and what the edge said of it."""

    url: str
    token: str
    key_id: str
    expires_at: float
    statuses: list[int] = field(default_factory=list)

    def play(self, pool: urllib3.PoolManager) -> None:
        """Ask the edge, and keep its answer if it came while the token was alive."""
        status = pool.request("GET", self.url).status
        if time.time() < self.expires_at:
            self.statuses.append(status)


class Load:
    """Asks for tokens until it is stopped; has the edge play each at once and just before `exp`."""

    def __init__(self, service_url: str, api_key: str, channel_arn: str) -> None:
        self._url = f"{service_url}/v1/playback-urls"
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._body = {"channel": channel_arn}
        self._pool = urllib3.PoolManager(maxsize=200, retries=urllib3.Retry(connect=20, other=0))
        self._stop = threading.Event()
        self.minted: list[Minted] = []

    def run(self, players: ThreadPoolExecutor) -> None:
        """Ask one after another."""
        while not self._stop.is_set():
            answer = self._pool.request("POST", self._url, json=self._body, headers=self._headers)
            assert answer.status == 200, answer.data
            told = json.loads(answer.data)
            expires_at = datetime.fromisoformat(told["expires_at"]).timestamp()
            minted = Minted(told["playback_url"], told["token"], told["key_id"], expires_at)
            self.minted.append(minted)
            players.submit(self._play_twice, minted)
            self._stop.wait(0.02)

    def wait_for(self, count: int) -> None:
        """Return when that many tokens were given out."""
        give_up_at = time.monotonic() + LONGEST_SECONDS
        while len(self.minted) < count:
            assert time.monotonic() < give_up_at
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()

    def _play_twice(self, minted: Minted) -> None:
        minted.play(self._pool)
        wait = minted.expires_at - JUST_BEFORE_EXP_SECONDS - time.time()
        time.sleep(max(0.0, wait))
        minted.play(self._pool)


def test_every_token_plays_until_its_exp_and_the_right_key_signed_it(
    ivs: LocalIvsServer, site: Site, tmp_path: Path
) -> None:
    """Hundreds of tokens before, during and after; then the old key is gone, and none of them."""
    site.configure(QUICK)
    site.command("keys", "reconcile")
    old, standby = _keys(site, "active"), _keys(site, "published")
    key = site.command("api-keys", "create", "site", "--grant", "web")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    ivs.go_live(channel)
    environment = site.environment(GUNICORN_CMD_ARGS="--bind=127.0.0.1:0")
    with (
        running(tmp_path / "out.txt", "serve", environment=environment) as server,
        ThreadPoolExecutor(200) as players,
        ThreadPoolExecutor(1) as asking,
    ):
        found = re.search(r"Listening at: (http://[0-9.:]+)", server.wait_for("Listening at"))
        assert found is not None
        load = Load(found[1], key, channel)
        asked = asking.submit(load.run, players)
        load.wait_for(MINTED_BEFORE)
        site.command("keys", "rotate")
        time.sleep(DRAIN_SECONDS)
        load.wait_for(MINTED_IN_ALL)
        site.command("keys", "reconcile")
        load.stop()
        asked.result()

    refused = [minted for minted in load.minted if set(minted.statuses) - {200}]
    assert refused == []
    # A machine under load may answer after `exp`; nearly all are asked twice within their life.
    assert sum(len(minted.statuses) for minted in load.minted) >= 1.8 * MINTED_IN_ALL
    signed = Counter(minted.key_id for minted in load.minted)
    assert set(signed) == {old, standby}
    assert min(signed.values()) >= 20
    public_keys = {key_id: _public_key(site, key_id) for key_id in signed}
    for minted in load.minted:
        verified = jws.deserialize_compact(
            minted.token, public_keys[minted.key_id], algorithms=["ES384"]
        )
        assert verified.headers() == {"alg": "ES384", "typ": "JWT"}
    in_ivs = {pair["name"] for pair in ivs.client().list_playback_key_pairs()["keyPairs"]}
    assert f"tokensvc-{old}" not in in_ivs
    assert len(in_ivs) == 2


def _keys(site: Site, state: str) -> str:
    rows = json.loads(site.command("keys", "list", "--json"))
    (key_id,) = (row["key_id"] for row in rows if row["state"] == state)
    return str(key_id)


def _public_key(site: Site, key_id: str) -> ECKey:
    told = json.loads(site.command("keys", "show", key_id, "--json"))
    return ECKey.import_key(told["public_key"])
