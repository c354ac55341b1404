"""The text of an error of IVS is printed for the operator, who can act on it."""

from __future__ import annotations

from tests.cli.conftest import Desk
from tests.cli.ivs.ivs_story import deny


def test_an_error_of_ivs_is_printed_with_the_text_of_ivs(desk: Desk) -> None:
    """The text names the invalid member, which the AWS error code does not."""
    error, ivs_text, hint = desk.refused("channels", "create", "with blank").splitlines()
    for data in ("us-west-2", "CreateChannel", "ValidationException", "400"):
        assert data in error
    assert "name" in ivs_text
    assert "[a-zA-Z0-9-_]*" in ivs_text
    assert hint
    assert desk.ivs.client().list_channels()["channels"] == []


def test_the_hint_is_the_last_line(desk: Desk) -> None:
    """It follows the text of IVS about a missing permission."""
    deny(desk, "ListChannels")
    printed = desk.refused("channels", "list").splitlines()
    assert "ListChannels" in printed[-2]
    assert "ivs:ListChannels" in printed[-1]
