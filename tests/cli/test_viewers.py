"""`tokensvc viewers`: the viewer ID of a user, and the secrets that every process must have."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Desk
from tokensvc.errors import SettingsInvalid

USER = ("https://issuer.example.com/", "ann@example.com")
VIEWER_ID = "6NEFTlN1HZk-CmLtXUpHZxda237RXZEJ3Cnpytfd"  # Computed by OpenSSL.
OLD, NEXT = (bytes(range(start, start + 32)).hex() for start in (224, 100))


@pytest.fixture
def secrets(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Sets other secrets in the environment; the deployment begins with one, recorded."""
    monkeypatch.setenv("TOKENSVC_VIEWER_IDS__SECRET", OLD)
    desk.done("viewers", "record-secrets")
    return monkeypatch


@pytest.mark.usefixtures("secrets")
def test_a_viewer_id_is_printed(desk: Desk) -> None:
    """By the issuer and the subject of a token, which are not stored."""
    assert desk.done("viewers", "id", *USER) == f"{VIEWER_ID}\n"
    assert desk.json("viewers", "id", *USER) == {"viewer_ids": [VIEWER_ID]}


def test_a_secret_is_changed_without_a_moment_in_which_a_ban_is_missed(
    desk: Desk, secrets: pytest.MonkeyPatch
) -> None:
    """The steps of the help of `record-secrets`; each process accepts what others make."""
    secrets.setenv("TOKENSVC_VIEWER_IDS__SECRET", f"{OLD},{NEXT}")
    first, second = desk.done("viewers", "id", *USER).split()
    assert first == VIEWER_ID
    desk.done("viewers", "record-secrets")

    secrets.setenv("TOKENSVC_VIEWER_IDS__SECRET", f"{NEXT},{OLD}")
    assert desk.done("viewers", "id", *USER).split() == [second, first]

    secrets.setenv("TOKENSVC_VIEWER_IDS__SECRET", NEXT)
    assert isinstance(desk.error("viewers", "id", *USER), SettingsInvalid)
    assert "have no effect" in desk.refused("viewers", "record-secrets", status=2)
    desk.done("viewers", "record-secrets", "--yes")
    assert desk.done("viewers", "id", *USER).split() == [second]


def test_other_secrets_than_the_recorded_are_refused(
    desk: Desk, secrets: pytest.MonkeyPatch
) -> None:
    """None, another one, or a new one in front, which other processes may not have yet."""
    for text in (NEXT, f"{NEXT},{OLD}"):
        secrets.setenv("TOKENSVC_VIEWER_IDS__SECRET", text)
        error = desk.error("viewers", "id", *USER)
        assert isinstance(error, SettingsInvalid)
        assert "record-secrets" in error.hint
    secrets.delenv("TOKENSVC_VIEWER_IDS__SECRET")
    assert "viewer_ids.secret_file" in desk.error("viewers", "id", *USER).hint


def test_before_the_secrets_are_recorded_no_viewer_id_is_printed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes with different secrets would both seem right."""
    desk.done("api-keys", "create", "site", "--grant", "web")
    monkeypatch.setenv("TOKENSVC_VIEWER_IDS__SECRET", OLD)
    assert "record-secrets" in desk.error("viewers", "id", *USER).hint
