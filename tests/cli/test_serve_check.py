"""`tokensvc serve --check`: one line for each check."""

from __future__ import annotations

import re
import socket
import sys

import pytest
import urllib3

from tests.cli.conftest import SETTINGS, Desk
from tokensvc.errors import SettingsInvalid
from tokensvc.keyring.model import Act
from tokensvc.keyring.revocation import declare_compromised
from tokensvc.keyring.ring_document import RingStore


def lines(output: str) -> dict[str, str]:
    """The description of each check, by `ok` or `FAILED` and the name of the check."""
    parts = (line.partition(": ") for line in output.splitlines())
    return {" ".join(name.split()): description for name, _, description in parts}


def failed(desk: Desk) -> dict[str, str]:
    """The error and hint of each check that failed, by its name."""
    result = desk.run("serve", "--check")
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    printed = lines(result.stdout)
    return {name.removeprefix("FAILED "): printed[name] for name in printed if "FAILED" in name}


def test_each_check_that_passes_has_a_line(rotating_desk: Desk) -> None:
    """Settings, address, state, custody, each region's key pair and AWS; exit status 0."""
    desk = rotating_desk
    desk.done("api-keys", "create", "site", "--grant", "web")
    active = desk.ring().active
    assert active is not None
    printed = lines(desk.done("serve", "--check"))
    assert list(printed) == [
        "ok settings",
        "ok address",
        "ok state",
        "ok custody",
        "ok key pair of us-west-2",
        "ok AWS in us-west-2",
    ]
    settings, address, state, custody, key_pair, aws = printed.values()
    assert settings == str(desk.settings)
    assert address.split()[0] == "127.0.0.1:8000"
    assert state.split(",")[0] == f"sqlite:{desk.folder}/keys/state.sqlite3"
    assert re.findall(r" (\d+) ", state) == ["1"]
    assert custody.split(",")[0] == f"file:{desk.folder}/keys"
    assert re.findall(r" (\d+) ", custody) == ["2"]
    assert key_pair.split()[0] == active.key_id
    assert desk.ivs.url in aws


def test_no_call_to_ivs_is_made(rotating_desk: Desk) -> None:
    """So an operator may run the check at any time."""
    url = f"{rotating_desk.ivs.url}/_local/requests"
    before = urllib3.request("GET", url).json()
    rotating_desk.done("serve", "--check")
    assert urllib3.request("GET", url).json() == before


def test_wrong_settings_are_reported_as_at_the_start(desk: Desk) -> None:
    """With every problem; no other check runs."""
    desk.settings.write_text("[ivs]\nregions = []\n")
    error = desk.error("serve", "--check")
    assert isinstance(error, SettingsInvalid)
    assert "ivs.account_id" in [problem.field for problem in error.problems]


@pytest.mark.parametrize(
    "host", ["nonsense.invalid", "203.0.113.9", "2001:db8::9", "two words", "unix:/tmp/x", 70 * "x"]
)
def test_an_address_that_is_not_of_this_machine_fails(rotating_desk: Desk, host: str) -> None:
    """The server would try it for seconds, and then stop."""
    with rotating_desk.settings.open("a") as settings:
        settings.write(f'[service]\nhost = "{host}"\n')
    failures = failed(rotating_desk)
    assert list(failures) == ["address"]
    assert "service.host" in failures["address"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0.0.0.0"])  # noqa: S104
def test_an_address_that_is_in_use_passes(rotating_desk: Desk, host: str) -> None:
    """A running service uses it, and SIGHUP runs the check."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.create_server((host, 0), family=family) as server,
        rotating_desk.settings.open("a") as settings,
    ):
        port = server.getsockname()[1]
        settings.write(f'[service]\nhost = "{host}"\nport = {port}\n')
        settings.flush()
        printed = lines(rotating_desk.done("serve", "--check"))
    assert str(port) in printed["ok address"]
    assert "in use" in printed["ok address"]


def test_traces_need_an_extra(rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector need not answer: a service starts without it."""
    with rotating_desk.settings.open("a") as settings:
        settings.write('[tracing]\nendpoint = "http://127.0.0.1:1"\n')
    printed = lines(rotating_desk.done("serve", "--check"))
    assert printed["ok tracing"] == "to http://127.0.0.1:1/v1/traces"
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    failures = failed(rotating_desk)
    assert list(failures) == ["tracing"]
    assert "pip install 'tokensvc[service,otel]'" in failures["tracing"]


def test_a_region_without_a_key_pair_fails_with_a_hint(rotating_desk: Desk) -> None:
    """The key pair of the other region is checked anyway."""
    settings = SETTINGS.replace('["us-west-2"]', '["us-west-2", "eu-west-1"]')
    rotating_desk.settings.write_text(settings)
    failures = failed(rotating_desk)
    assert list(failures) == ["key pair of eu-west-1"]
    assert "`tokensvc keys reconcile --region eu-west-1`" in failures["key pair of eu-west-1"]


@pytest.mark.parametrize(
    ("content", "data"),
    [
        (None, "/secret"),
        (b"c2hvcnQ=", "`openssl rand -base64 32`"),
        (bytes(range(1, 33)), "key_encryption_secret"),
    ],
    ids=["missing", "too-short", "different"],
)
def test_a_secret_that_decrypts_no_key_is_reported(
    rotating_desk: Desk, content: bytes | None, data: str
) -> None:
    """Missing, too short, or a different one."""
    secret = rotating_desk.folder / "secret"
    if content is None:
        secret.unlink()
    else:
        secret.write_bytes(content)
    assert data in failed(rotating_desk)["key pair of us-west-2"]


def test_a_missing_private_key_of_the_active_pair_fails(rotating_desk: Desk) -> None:
    """A worker could not sign. A missing private key of the standby is only mentioned."""
    ring = rotating_desk.ring()
    (standby,) = (pair for pair in ring.pairs if pair is not ring.active)
    assert ring.active is not None
    (rotating_desk.folder / f"keys/{standby.key_id}.pem").unlink()
    passed = lines(rotating_desk.done("serve", "--check"))["ok key pair of us-west-2"]
    assert re.findall(r"k[0-9a-f]{12}", passed) == [ring.active.key_id, standby.key_id]
    (rotating_desk.folder / f"keys/{ring.active.key_id}.pem").unlink()
    assert ring.active.key_id in failed(rotating_desk)["key pair of us-west-2"]


def test_a_compromised_active_key_fails(rotating_desk: Desk) -> None:
    """A worker would refuse every request until another key pair has taken over."""
    ring = rotating_desk.ring()
    assert ring.active is not None
    act = Act(rotating_desk.clock.now(), "ann@desk", "laptop lost")
    store = RingStore(rotating_desk.state, ring.region)
    declare_compromised(store, [ring.active.key_id], act)
    failure = failed(rotating_desk)["key pair of us-west-2"]
    assert ring.active.key_id in failure
    assert "`tokensvc keys reconcile --region us-west-2`" in failure


def test_a_damaged_state_fails_every_check_that_reads_it(rotating_desk: Desk) -> None:
    """The API keys and the rings."""
    for file in (rotating_desk.folder / "keys").glob("state.sqlite3*"):
        file.write_bytes(b"garbage" * 1_000)
    assert set(failed(rotating_desk)) == {"state", "key pair of us-west-2"}


def test_missing_credentials_fail(rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service could not look up a channel."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    failures = failed(rotating_desk)
    assert list(failures) == ["AWS in us-west-2"]
    assert "credentials" in failures["AWS in us-west-2"]


def test_the_secret_of_the_proxy_is_read(
    rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload with one that can't be used would leave the service without workers."""
    section = '[viewer_country]\nheader = "X-Country"\nsecret_header = "X-Origin-Secret"\n'
    proxies = '[service]\ntrusted_proxies = ["10.0.0.0/8"]\n'
    rotating_desk.settings.write_text(SETTINGS + section + proxies)
    monkeypatch.setenv("TOKENSVC_VIEWER_COUNTRY__SECRET", 32 * "s")
    assert "ok viewer country" in lines(rotating_desk.done("serve", "--check"))
    monkeypatch.setenv("TOKENSVC_VIEWER_COUNTRY__SECRET", "short")
    assert list(failed(rotating_desk)) == ["viewer country"]
