"""A fleet: two services on two ports with one state in DynamoDB, and keys in each custody."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3
from joserfc.jwk import ECKey
from local_ivs.testing import LocalIvsServer

from tests.e2e.conftest import Site
from tests.e2e.load import DRAIN_SECONDS, SHORT_TIMES, TIMEOUT_SECONDS, Load, assert_signed_by
from tests.e2e.processes import running
from tests.support.dynalite import Dynalite
from tests.support.lossy_proxy import Fate, lossy_proxy
from tests.support.moto import Moto

ISSUED_BEFORE_ROTATION, ISSUED_IN_TOTAL = 60, 200


@dataclass(frozen=True)
class Backends:
    """Where a fleet has its state and its private keys.

    Attributes:
        state_is_in_dynalite: whether its table is in dynalite, else in moto.
        custody: the members of the section `custody` in TOML.
    """

    state_is_in_dynalite: bool
    custody: str


IN_SECRETS_MANAGER = Backends(
    state_is_in_dynalite=False, custody='url = "secretsmanager:tokensvc/"'
)
IN_FILES = Backends(
    state_is_in_dynalite=True,
    custody='single_host = true\nkey_encryption_secret_file = "secret"',
)
IN_KMS = Backends(state_is_in_dynalite=True, custody='url = "kms:alias/tokensvc/"')


@pytest.fixture
def fleet(
    ivs: LocalIvsServer,
    site: Site,
    moto: Moto,
    dynalite: Dynalite,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Site:
    """The settings of a fleet, with its table, an active key and a standby."""
    backends: Backends = request.param
    more = {"AWS_ENDPOINT_URL_IVS": ivs.url}
    if backends.state_is_in_dynalite:
        more["AWS_ENDPOINT_URL_DYNAMODB"] = dynalite.url
    moto.set_environment(monkeypatch, tmp_path, **more)
    state = f'[state]\nurl = "dynamodb:us-west-2/{tmp_path.name}"\n'
    site.configure(f"{SHORT_TIMES}{state}[service]\nworkers = 1\n")
    settings = site.folder / "tokensvc.toml"
    settings.write_text(
        settings.read_text().replace('key_encryption_secret_file = "secret"', backends.custody)
    )
    site.command("init", "--aws")
    site.command("keys", "reconcile")
    return site


@contextmanager
def serving(site: Site, name: str, **more: str) -> Iterator[str]:
    """The address of a service of the fleet, with `more` environment variables."""
    environment = {**site.environment(GUNICORN_CMD_ARGS="--bind=127.0.0.1:0"), **more}
    with running(site.folder / f"{name}.txt", "serve", environment=environment) as server:
        found = re.search(r"Listening at: (http://[0-9.:]+)", server.wait_for("Listening at"))
        assert found is not None
        yield found[1]


def pairs_of(site: Site) -> Mapping[str, dict[str, object]]:
    """The key pairs of the ring by their IDs."""
    return {row["key_id"]: row for row in json.loads(site.command("keys", "list", "--json"))}


def key_id_of(site: Site, state: str) -> str:
    """The ID of the only key pair in that state."""
    (key_id,) = (key_id for key_id, row in pairs_of(site).items() if row["state"] == state)
    return key_id


def public_key_of(site: Site, key_id: str) -> ECKey:
    """The public key of that key pair."""
    return ECKey.import_key(
        json.loads(site.command("keys", "show", key_id, "--json"))["public_key"]
    )


@pytest.mark.parametrize(
    "fleet",
    [
        pytest.param(IN_SECRETS_MANAGER, id="moto, Secrets Manager"),
        pytest.param(IN_KMS, id="dynalite, KMS"),
        pytest.param(IN_FILES, id="dynalite, files of this machine"),
    ],
    indirect=True,
)
def test_a_rotation_of_a_fleet_refuses_no_token(fleet: Site, ivs: LocalIvsServer) -> None:
    """From a third process, while both services issue. The key that signed is the one named."""
    old, standby = key_id_of(fleet, "active"), key_id_of(fleet, "published")
    key = fleet.command("api-keys", "create", "site", "--grant", "web")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    ivs.go_live(channel)
    with (
        serving(fleet, "one") as one,
        serving(fleet, "two") as two,
        ThreadPoolExecutor(100) as players,
        ThreadPoolExecutor(1) as requests,
    ):
        load = Load([one, two], key, channel)
        finished = requests.submit(load.run, players)
        load.wait_for(ISSUED_BEFORE_ROTATION)
        with running(
            fleet.folder / "rotate.txt", "keys", "rotate", environment=fleet.environment()
        ) as rotation:
            assert rotation.wait() == 0, rotation.printed
        time.sleep(DRAIN_SECONDS)
        load.wait_for(ISSUED_IN_TOTAL)
        fleet.command("keys", "reconcile")
        load.stop()
        finished.result()

    assert [issued for issued in load.issued if set(issued.statuses) - {200}] == []
    signed = Counter(issued.key_id for issued in load.issued)
    assert set(signed) == {old, standby}
    assert min(signed.values()) >= 20
    assert_signed_by(load.issued, {key_id: public_key_of(fleet, key_id) for key_id in signed})
    in_ivs = {pair["name"] for pair in ivs.client().list_playback_key_pairs()["keyPairs"]}
    assert f"tokensvc-{old}" not in in_ivs


@pytest.mark.parametrize("fleet", [pytest.param(IN_KMS, id="dynalite, KMS")], indirect=True)
def test_of_two_rotators_at_once_one_wins(fleet: Site) -> None:
    """From two processes. The other one says so, and one key pair has replaced the other."""
    old, standby = key_id_of(fleet, "active"), key_id_of(fleet, "published")
    with (
        running(fleet.folder / "a.txt", "keys", "rotate", environment=fleet.environment()) as a,
        running(fleet.folder / "b.txt", "keys", "rotate", environment=fleet.environment()) as b,
    ):
        statuses = sorted([a.wait(), b.wait()])
    assert statuses == [0, 1], (a.printed, b.printed)
    assert "Error: " in a.printed + b.printed
    assert key_id_of(fleet, "active") == standby
    assert key_id_of(fleet, "retiring") == old


@pytest.mark.parametrize("fleet", [pytest.param(IN_KMS, id="dynalite, KMS")], indirect=True)
def test_a_replica_that_is_cut_off_from_its_state_stops_and_comes_back(
    fleet: Site, ivs: LocalIvsServer, dynalite: Dynalite
) -> None:
    """It signs for as long as its view of the ring is young enough. The other one goes on."""
    key = fleet.command("api-keys", "create", "site", "--grant", "web")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]

    def answer_of(url: str) -> tuple[int, str]:
        response = urllib3.request(
            "POST",
            f"{url}/v1/playback-urls",
            json={"channel": channel},
            headers={"Authorization": f"Bearer {key}"},
            retries=False,
            timeout=20.0,
        )
        return response.status, response.json().get("code", "")

    def wait_for(answer: tuple[int, str], url: str) -> None:
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        while (last := answer_of(url)) != answer:
            assert last[0] in {200, 503}
            assert time.monotonic() < give_up_at, last
            time.sleep(0.2)

    with (
        lossy_proxy(dynalite.url) as proxy,
        serving(fleet, "one", AWS_ENDPOINT_URL_DYNAMODB=proxy.url) as one,
        serving(fleet, "two") as two,
    ):
        assert answer_of(one) == answer_of(two) == (200, "")
        proxy.decide = lambda _: Fate.REQUEST_LOST
        wait_for((503, "state_unavailable"), one)
        assert answer_of(two) == (200, "")
        assert urllib3.request("GET", f"{one}/healthz", retries=False).status == 200
        proxy.decide = lambda _: Fate.ANSWERED
        wait_for((200, ""), one)
