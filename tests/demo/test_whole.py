"""The whole demo under gunicorn, as `make run` starts it, with a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey
from playwright.sync_api import expect

from tests.demo.running_demo import (
    LAST_LINE_OF_WELCOME,
    page_address,
    running_demo,
    service_address,
)

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

TIMEOUT_MILLISECONDS = 30_000
HAS_PLAYED = "(seconds) => document.querySelector('video').currentTime > seconds"


@pytest.mark.browser
def test_the_demo_plays_in_a_browser_and_refuses_without_a_token(
    page: Page, tmp_path: Path
) -> None:
    """With an empty folder: the video plays, and the active key signed its token."""
    page.set_default_timeout(TIMEOUT_MILLISECONDS)
    with running_demo(tmp_path / "demo") as demo:
        output = demo.wait_for(LAST_LINE_OF_WELCOME)
        page.goto(page_address(output))
        page.wait_for_function(HAS_PLAYED, arg=2)
        expect(page.locator("#status")).to_have_attribute("data-state", "playing")

        url = page.locator("#url").text_content() or ""
        token = parse_qs(urlsplit(url).query)["token"][0]
        jwks = urllib3.request("GET", f"{service_address(output)}/.well-known/jwks.json")
        # The active key and the standby; which of them signed is not in the token.
        (claims,) = filter(None, (verified(token, key) for key in jwks.json()["keys"]))
        assert claims["aws:channel-arn"] == page.locator("#channel-arn").text_content()

        page.locator("#run-all").click()
        expect(page.locator(".verdict strong")).to_have_text(
            ["200", *["403"] * 5], timeout=TIMEOUT_MILLISECONDS
        )
        expect(page.locator(".verdict")).to_have_class(["verdict plays", *["verdict refused"] * 5])
        assert demo.interrupt() == 0


def verified(token: str, key: dict[str, str | list[str]]) -> dict[str, Any] | None:
    """The claims of the token, None if it was not signed with that key."""
    try:
        return dict(jwt.decode(token, ECKey.import_key(key), ["ES384"]).claims)
    except BadSignatureError:
        return None
