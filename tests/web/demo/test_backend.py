from __future__ import annotations

import dataclasses
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from local_ivs.edge.refusals import Reason

from tests.web.demo.site import DemoSite
from tokensvc.clock import Moment
from tokensvc.errors import InvalidSignature, SettingsInvalid
from tokensvc.token.jws import read, verify
from tokensvc.web.demo.blueprint import create_blueprint

FAULTS = ("expired", "other-channel", "unknown-key")


def post(site: DemoSite, path: str, body: Any, **headers: str) -> urllib3.BaseHTTPResponse:
    """The backend's response to a POST request of the page."""
    return urllib3.request(
        "POST", site.url + path, json=body, headers={"Origin": site.url} | headers, retries=False
    )


def token_in(playback_url: str) -> str:
    """The token in the URL."""
    (token,) = parse_qs(urlsplit(playback_url).query)["token"]
    return token


def edge_response(playback_url: str, origin: str) -> tuple[int, Any]:
    """The status and the body that the edge returns to a page of this origin."""
    response = urllib3.request("GET", playback_url, headers={"Origin": origin}, retries=False)
    text = response.data.decode()
    return response.status, text if response.status == 200 else json.loads(text)


def test_a_playback_url_plays_and_is_signed_by_the_active_key(site: DemoSite) -> None:
    """The edge returns the playlist, and the ring's active key verifies the token."""
    answer = post(site, "/demo/playback-urls", {"ttl_seconds": 60}).json()
    active = site.demo.view.active(Moment.of(site.demo.clock))
    assert edge_response(answer["playback_url"], site.url)[0] == 200
    key = active.signer.public_key
    assert verify(token_in(answer["playback_url"]), [key]) == key
    assert answer["key_id"] == active.key_id
    assert answer["ttl_seconds"] == 60
    assert answer["refresh_after_seconds"] == 48
    assert answer["channel_arn"] == str(site.demo.channel_arn)


def test_a_playback_url_is_for_the_page_and_its_viewer(site: DemoSite) -> None:
    """The claims have the page's origin, the demo's viewer ID and the requested resolution."""
    answer = post(site, "/demo/playback-urls", {"maximum_resolution": "SD"}).json()
    payload = read(token_in(answer["playback_url"])).payload
    assert payload["aws:access-control-allow-origin"] == site.url
    assert payload["aws:viewer-id"] == "demo-viewer"
    assert payload["aws:maximum-resolution"] == "SD"


def test_a_playback_url_does_not_play_in_another_sites_page(site: DemoSite) -> None:
    """The edge refuses the playlist to a page of another origin."""
    answer = post(site, "/demo/playback-urls", {}).json()
    assert edge_response(answer["playback_url"], "https://elsewhere.example")[0] == 403


def test_a_lifetime_of_more_than_ten_minutes_is_capped_at_540_seconds(site: DemoSite) -> None:
    """The page's token has a viewer ID, so the caller's cap applies, as for any caller."""
    assert post(site, "/demo/playback-urls", {"ttl_seconds": 3600}).json()["ttl_seconds"] == 540


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("expired", Reason.EXPIRED),
        ("other-channel", Reason.OTHER_CHANNEL),
        ("unknown-key", Reason.SIGNATURE),
    ],
)
def test_the_edge_refuses_each_fault_for_its_own_reason(
    site: DemoSite, fault: str, reason: Reason
) -> None:
    """The edge returns 403, and the message of the verifier's reason."""
    url = post(site, "/demo/refused-urls", {"fault": fault}).json()["playback_url"]
    status, (refusal,) = edge_response(url, site.url)
    assert status == 403
    assert refusal["error_code"] == "invalid_playback_auth_token"
    assert site.refusal(url) == (reason, refusal["error"])


def test_the_active_key_signs_all_refused_tokens_except_that_of_the_unknown_key(
    site: DemoSite,
) -> None:
    """The expired token and the other channel's token have valid signatures."""
    key = site.demo.view.active(Moment.of(site.demo.clock)).signer.public_key
    tokens = {
        fault: token_in(post(site, "/demo/refused-urls", {"fault": fault}).json()["playback_url"])
        for fault in FAULTS
    }
    assert verify(tokens["expired"], [key]) == key
    assert verify(tokens["other-channel"], [key]) == key
    with pytest.raises(InvalidSignature):
        verify(tokens["unknown-key"], [key])


def test_every_issued_url_writes_an_audit_line(site: DemoSite) -> None:
    """The line has the page's caller and the channel."""
    post(site, "/demo/playback-urls", {})
    line = json.loads(site.audit.getvalue().splitlines()[-1])
    assert line["decision"] == "granted"
    assert line["caller_id"] == "demo-page"
    assert line["channel_arn"] == str(site.demo.channel_arn)


@pytest.mark.parametrize("path", ["/demo/playback-urls", "/demo/refused-urls"])
@pytest.mark.parametrize(
    "origin", [None, "null", "https://elsewhere.example", "http://127.0.0.1:1"]
)
def test_only_the_page_itself_may_post(site: DemoSite, path: str, origin: str | None) -> None:
    """A POST from another page, or without an Origin, is refused before anything is signed."""
    lines_before = site.audit.getvalue()
    headers = {"Content-Type": "application/json"} | ({"Origin": origin} if origin else {})
    response = urllib3.request(
        "POST", site.url + path, body=b'{"fault": "expired"}', headers=headers, retries=False
    )
    assert response.status == 403
    assert response.json()["code"] == "not_permitted"
    assert site.audit.getvalue() == lines_before


@pytest.mark.parametrize("path", ["/demo", "/demo/page/demo.js", "/demo/playback-urls"])
@pytest.mark.parametrize(
    "host", ["rebound.example", "169.254.169.254", "127.0.0.1.example:80", "[::1", ""]
)
def test_a_host_that_is_not_loopback_is_refused(site: DemoSite, path: str, host: str) -> None:
    """Every request with such a Host header is refused (DNS rebinding)."""
    method = "POST" if path == "/demo/playback-urls" else "GET"
    headers = {"Host": host, "Origin": f"http://{host}"}
    response = site.app.test_client().open(path, method=method, headers=headers, json={})
    assert response.status_code in {400, 403}
    assert b"m3u8" not in response.data


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "127.9.9.9"])
def test_every_loopback_host_serves_the_page(site: DemoSite, host: str) -> None:
    """The page loads and gets its URL with each of the loopback host names and addresses."""
    client = site.app.test_client()
    headers = {"Host": host, "Origin": f"http://{host}"}
    with client.get("/demo", headers=headers) as page:
        assert page.status_code == 200
    assert client.post("/demo/playback-urls", headers=headers, json={}).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/demo/playback-urls", {"ttl_seconds": "60"}, "ttl_seconds"),
        ("/demo/playback-urls", {"ttl_seconds": 0}, "ttl_seconds"),
        ("/demo/playback-urls", {"maximum_resolution": "8K"}, "maximum_resolution"),
        ("/demo/playback-urls", {"channel": "arn:aws:ivs:us-west-2:1:channel/x"}, "channel"),
        ("/demo/playback-urls", [], ""),
        ("/demo/refused-urls", {"fault": "mood"}, "fault"),
        ("/demo/refused-urls", {}, "fault"),
    ],
)
def test_a_body_with_invalid_members_is_an_invalid_request(
    site: DemoSite, path: str, body: object, field: str
) -> None:
    """A wrong type, an unknown name or another channel is refused. The next request succeeds."""
    response = post(site, path, body)
    assert response.status == 400
    assert response.json()["code"] == "invalid_request"
    assert [problem["field"] for problem in response.json()["errors"]] == [field]
    assert post(site, "/demo/playback-urls", {}).status == 200


def test_a_body_that_is_not_json_is_refused(site: DemoSite) -> None:
    """For example a form, which any page can post without a CORS preflight."""
    response = urllib3.request(
        "POST",
        site.url + "/demo/playback-urls",
        fields={"ttl_seconds": "60"},
        headers={"Origin": site.url},
        retries=False,
    )
    assert response.status == 415


def test_a_response_with_a_token_is_never_cached(site: DemoSite) -> None:
    """Neither by a browser nor by a proxy."""
    for path, body in (("playback-urls", {}), ("refused-urls", {"fault": "expired"})):
        assert post(site, f"/demo/{path}", body).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/demo", "/demo/page/demo.js", "/demo/page/demo.css"])
def test_the_page_may_connect_to_itself_and_the_edge_only(site: DemoSite, path: str) -> None:
    """The content security policy allows nothing by default, and no other origin."""
    policy = urllib3.request("GET", site.url + path).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert [word for word in policy.split() if "//" in word] == [
        f"{site.local_ivs.url};",
        f"{site.local_ivs.url};",
    ]


def test_a_range_beyond_the_end_of_a_file_is_an_invalid_request(site: DemoSite) -> None:
    """Werkzeug refuses it. It is a client error, not an internal error."""
    response = urllib3.request(
        "GET", f"{site.url}/demo", headers={"Range": "bytes=99999999-"}, retries=False
    )
    assert response.status == 400
    assert response.json()["code"] == "invalid_request"


@pytest.mark.parametrize(
    "edge_origin", ["https://example.playback.live-video.net", "http://10.0.0.1:8001", "", "8001"]
)
def test_a_demo_with_an_edge_that_is_not_on_loopback_is_refused(
    site: DemoSite, edge_origin: str
) -> None:
    """The demo must never issue tokens for a real channel."""
    demo = dataclasses.replace(site.demo, edge_origin=edge_origin)
    with pytest.raises(SettingsInvalid) as refused:
        create_blueprint(demo)
    (problem,) = refused.value.problems
    assert (problem.field, problem.rule) == ("edge_origin", "loopback")
