"""AWS credentials that can't be had, as an operator meets them: what needs none goes on."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Desk
from tests.cli.keys.desks import with_two_regions
from tokensvc.aws_failures import CredentialsUnavailable
from tokensvc.errors import TokensvcError

ROLE = "arn:aws:iam::123456789012:role/ivs-signer"


def lose_token_file(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> str:
    """The token file of the pod's role is not mounted; its name."""
    token_file = str(desk.folder / "absent-token")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token_file)
    return token_file


def test_an_emergency_marks_the_keys_of_every_region_without_credentials(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One region's failure doesn't end the command before the other had its turn."""
    with_two_regions(desk)
    for _ in range(2):
        desk.done("keys", "reconcile")
        desk.clock.advance(60)
    before = {region: desk.ring(region) for region in ("us-west-2", "eu-west-1")}
    token_file = lose_token_file(desk, monkeypatch)

    printed = desk.refused("keys", "revoke", "--all", "--yes")

    assert token_file in printed
    for region, ring in before.items():
        assert len(ring.pairs) == 2
        compromised = {pair.key_id for pair in desk.ring(region).pairs if pair.is_compromised}
        assert compromised >= {pair.key_id for pair in ring.pairs}


def test_a_standby_takes_over_in_an_emergency_without_credentials(
    rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compromised key signs no more; its deletion waits for credentials."""
    compromised, standby = (pair.key_id for pair in rotating_desk.ring().pairs)
    lose_token_file(rotating_desk, monkeypatch)

    rotating_desk.refused("keys", "revoke", compromised, "--yes")

    active = rotating_desk.ring().active
    assert active is not None
    assert active.key_id == standby


@pytest.mark.parametrize("command", ["list", "doctor", "reconcile"])
def test_a_command_reports_the_file_that_is_missing(
    command: str, rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it needs IVS or does without."""
    token_file = lose_token_file(rotating_desk, monkeypatch)
    result = rotating_desk.run("keys", command)
    assert result.exit_code == 1
    assert token_file in result.output
    assert "Traceback" not in result.output


def test_a_known_channel_is_signed_for_from_the_stored_answer(
    rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a channel without one is refused by its own code."""
    client = rotating_desk.ivs.client()
    known, other = (
        client.create_channel(authorized=True)["channel"]["arn"] for _ in ("known", "other")
    )
    before = rotating_desk.json("tokens", "sign", known)
    lose_token_file(rotating_desk, monkeypatch)
    rotating_desk.clock.advance(1_000)  # s; the answer is fresh for 300 s.

    during = rotating_desk.json("tokens", "sign", known)

    assert during["key_id"] == before["key_id"]
    refusal: TokensvcError = rotating_desk.error("tokens", "sign", other)
    assert refusal.code == "ivs_unavailable"


def test_a_start_is_refused_with_the_cause(
    rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`serve --check` reads the credentials, not only their settings."""
    token_file = lose_token_file(rotating_desk, monkeypatch)
    assert token_file in rotating_desk.run("serve", "--check").output


def test_a_local_ivs_needs_no_credentials(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands about channels then use an example; only a real endpoint needs credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    desk.done("channels", "list", "--region", "us-west-2")
    monkeypatch.delenv("AWS_ENDPOINT_URL_IVS")
    error = desk.error("channels", "list", "--region", "us-west-2")
    assert isinstance(error, CredentialsUnavailable)
