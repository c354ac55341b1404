"""The player module over HTTP. `tests/player` runs it in a browser."""

from __future__ import annotations

from importlib import resources

from tests.support.deployment import Deployment

PATH = "/v1/player.js"


def test_a_page_of_any_origin_can_import_the_module(deployment: Deployment) -> None:
    """Without credentials. A browser refuses a module of another type, or without CORS."""
    answer = deployment.client().get(PATH, headers={"Origin": "https://www.example.com"})
    assert answer.status_code == 200
    assert answer.data == resources.files("tokensvc.web").joinpath("static/player.js").read_bytes()
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_browser_keeps_the_module_for_an_hour_and_then_asks_whether_it_changed(
    deployment: Deployment,
) -> None:
    """With its ETag: 304 without a body. With another ETag: the module."""
    client = deployment.client()
    first = client.get(PATH)
    assert first.headers["Cache-Control"] == "public, max-age=3600"
    etag = first.headers["ETag"]
    unchanged = client.get(PATH, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert unchanged.headers["ETag"] == etag
    assert unchanged.headers["Access-Control-Allow-Origin"] == "*"
    changed = client.get(PATH, headers={"If-None-Match": '"of-another-release"'})
    assert (changed.status_code, changed.data) == (200, first.data)
