"""Who may call: the API key in `Authorization`."""

from __future__ import annotations

import pytest

from tests.support.deployment import Deployment
from tests.web.problem_shape import assert_problem


@pytest.mark.parametrize("more", ["\xa0", "\x85", "\x1c", "\x1f", "\xad", "\xff"])
def test_an_api_key_is_compared_as_it_was_sent(deployment: Deployment, more: str) -> None:
    """No blank, control character or other byte before or after it is ignored."""
    for text in (f"{deployment.key}{more}", f"{more}{deployment.key}"):
        environ = {"HTTP_AUTHORIZATION": f"Bearer {text}"}
        response = deployment.client().post(
            "/v1/playback-urls", json={"channel": "demo"}, environ_overrides=environ
        )
        assert_problem(response, "unauthenticated")
