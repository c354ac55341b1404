from __future__ import annotations

import pytest
import urllib3

from tests.cli.conftest import SETTINGS, Desk

DEMO = """
[channels]
one = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
[demo]
channel = "one"
other_channel = "one"
grant = "web"
"""


def lines(output: str) -> dict[str, str]:
    """What was said of each thing, by its name."""
    told = (line.partition(": ") for line in output.splitlines())
    return {" ".join(what.split()): found for what, _, found in told}


def failed(desk: Desk) -> dict[str, str]:
    """What was said of each thing that won't do."""
    result = desk.run("serve", "--check")
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    said = lines(result.stdout)
    return {what.removeprefix("FAILED "): said[what] for what in said if "FAILED" in what}


def test_a_line_tells_of_each_thing_that_will_do(rotating_desk: Desk) -> None:
    """Settings, state, custody, and each region's key pair and AWS; exit status 0."""
    desk = rotating_desk
    desk.done("api-keys", "create", "site", "--grant", "web")
    active = desk.ring().active
    assert active is not None
    assert lines(desk.done("serve", "--check")) == {
        "ok settings": str(desk.settings),
        "ok state": f"sqlite:{desk.folder}/keys/state.sqlite3, with 1 API key",
        "ok custody": f"file:{desk.folder}/keys, with 2 private halves",
        "ok key pair of us-west-2": f"{active.key_id} signs",
        "ok AWS in us-west-2": f"credentials for {desk.ivs.url}",
    }


def test_nothing_is_asked_of_ivs(rotating_desk: Desk) -> None:
    """A check may run as often as one likes."""
    url = f"{rotating_desk.ivs.url}/_local/requests"
    before = urllib3.request("GET", url).json()
    rotating_desk.done("serve", "--check")
    assert urllib3.request("GET", url).json() == before


def test_wrong_settings_are_told_as_at_the_start(desk: Desk) -> None:
    """With every problem; there is nothing else to look at then."""
    desk.settings.write_text("[ivs]\nregions = []\n")
    assert "ivs.account_id" in desk.refused("serve", "--check")


def test_a_region_without_a_key_pair_is_told_with_the_way_out(rotating_desk: Desk) -> None:
    """The other region's key pair is looked at all the same."""
    settings = SETTINGS.replace('["us-west-2"]', '["us-west-2", "eu-west-1"]')
    rotating_desk.settings.write_text(settings)
    assert failed(rotating_desk) == {
        "key pair of eu-west-1": "There is no key pair of eu-west-1 yet. "
        "`tokensvc keys reconcile --region eu-west-1` makes the first one."
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "can't be read"), (b"c2hvcnQ=", "it needs 32"), (bytes(range(1, 33)), "secret")],
)
def test_a_secret_that_opens_no_key_is_told(
    rotating_desk: Desk, content: bytes | None, said: str
) -> None:
    """Missing, too short, or another one."""
    secret = rotating_desk.folder / "secret"
    if content is None:
        secret.unlink()
    else:
        secret.write_bytes(content)
    assert said in failed(rotating_desk)["key pair of us-west-2"]


def test_a_lost_private_half_of_the_active_pair_is_told(rotating_desk: Desk) -> None:
    """A worker could not sign; the one of the standby stops nothing yet, and is named."""
    ring = rotating_desk.ring()
    (standby,) = (pair for pair in ring.pairs if pair is not ring.active)
    assert ring.active is not None
    (rotating_desk.folder / f"keys/{standby.key_id}.pem").unlink()
    said = lines(rotating_desk.done("serve", "--check"))["ok key pair of us-west-2"]
    assert said == f"{ring.active.key_id} signs; {standby.key_id} can't be used here yet"
    (rotating_desk.folder / f"keys/{ring.active.key_id}.pem").unlink()
    assert "is missing" in failed(rotating_desk)["key pair of us-west-2"]


def test_a_damaged_state_is_told(rotating_desk: Desk) -> None:
    """As what it stops: the API keys, and the rings."""
    for file in (rotating_desk.folder / "keys").glob("state.sqlite3*"):
        file.write_bytes(b"garbage" * 1_000)
    assert set(failed(rotating_desk)) == {"state", "key pair of us-west-2"}


def test_missing_credentials_are_told(rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """No channel could be looked up."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "no AWS credentials were found" in failed(rotating_desk)["AWS in us-west-2"]


def test_a_player_page_off_loopback_is_told(
    rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is on loopback, it is said from where it plays."""
    rotating_desk.settings.write_text(SETTINGS + DEMO)
    said = lines(rotating_desk.done("serve", "--check"))["ok player page"]
    assert said == f"plays from {rotating_desk.ivs.url}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_IVS", "https://ivs.us-west-2.amazonaws.com")
    assert "loopback" in failed(rotating_desk)["player page"]
