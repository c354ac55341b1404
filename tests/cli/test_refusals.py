"""What IVS itself says of a refusal reaches the operator, who alone can act on it."""

from __future__ import annotations

from tests.cli.conftest import Desk
from tests.cli.ivs_story import deny


def test_a_refusal_is_told_in_ivs_own_words_too(desk: Desk) -> None:
    """AWS's clients show no text of such an error; which member is wrong is told here."""
    said = desk.refused("channels", "create", "with blank")
    first, ivs_says, hint = said.splitlines()
    assert first == (
        "Error: Amazon IVS in us-west-2 refused CreateChannel (ValidationException, HTTP 400)."
    )
    assert ivs_says == (
        "IVS says: Request member: name failed to satisfy the constraints: "
        "it must match [a-zA-Z0-9-_]*"
    )
    assert hint.startswith("Check what was asked")
    assert desk.ivs.client().list_channels()["channels"] == []


def test_the_way_out_stays_the_last_line(desk: Desk) -> None:
    """After what IVS says of a missing permission."""
    deny(desk, "ListChannels")
    said = desk.refused("channels", "list").splitlines()
    assert said[-2] == "IVS says: A fault that was planned for ListChannels"
    assert said[-1].startswith("Allow these AWS credentials the action ivs:ListChannels")
