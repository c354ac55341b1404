from __future__ import annotations

import dataclasses
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from tests.web.demo.site import DemoSite
from tokensvc.clock import Moment
from tokensvc.errors import InvalidSignature, SettingsInvalid
from tokensvc.tokens import read, verify
from tokensvc.web.demo.blueprint import create_blueprint

FAULTS = ("expired", "other-channel", "unknown-key")


def ask(site: DemoSite, path: str, body: Any, **headers: str) -> urllib3.BaseHTTPResponse:
    """The backend's answer to what the page posts."""
    return urllib3.request(
        "POST", site.url + path, json=body, headers={"Origin": site.url} | headers, retries=False
    )


def token_in(playback_url: str) -> str:
    """The URL's one token."""
    (token,) = parse_qs(urlsplit(playback_url).query)["token"]
    return token


def edges_answer(playback_url: str, origin: str) -> tuple[int, Any]:
    """Status and body of the playlist's URL, asked for by a page of that origin."""
    response = urllib3.request("GET", playback_url, headers={"Origin": origin}, retries=False)
    text = response.data.decode()
    return response.status, text if response.status == 200 else json.loads(text)


def test_a_playback_url_plays_and_the_active_key_signed_it(site: DemoSite) -> None:
    """The page's URL opens the playlist, under the key that the ring says is active."""
    answer = ask(site, "/demo/playback-urls", {"ttl_seconds": 60}).json()
    active = site.demo.view.active(Moment.of(site.demo.clock))
    assert edges_answer(answer["playback_url"], site.url)[0] == 200
    key = active.signer.public_key
    assert verify(token_in(answer["playback_url"]), [key]) == key
    assert answer["key_id"] == active.key_id
    assert answer["ttl_seconds"] == 60
    assert answer["refresh_after_seconds"] == 48
    assert answer["channel_arn"] == str(site.demo.channel_arn)


def test_a_playback_url_is_for_the_page_and_its_viewer(site: DemoSite) -> None:
    """The claims name the page's own origin, the demo's viewer and the wished resolution."""
    answer = ask(site, "/demo/playback-urls", {"maximum_resolution": "SD"}).json()
    payload = read(token_in(answer["playback_url"])).payload
    assert payload["aws:access-control-allow-origin"] == site.url
    assert payload["aws:viewer-id"] == "demo-viewer"
    assert payload["aws:maximum-resolution"] == "SD"


def test_a_playback_url_does_not_play_in_another_sites_page(site: DemoSite) -> None:
    """The edge refuses the playlist to a page of another origin."""
    answer = ask(site, "/demo/playback-urls", {}).json()
    assert edges_answer(answer["playback_url"], "https://elsewhere.example")[0] == 403


def test_a_life_beyond_ten_minutes_is_granted_as_540_seconds(site: DemoSite) -> None:
    """The caller's caps hold for the page as for anybody: it names a viewer."""
    assert ask(site, "/demo/playback-urls", {"ttl_seconds": 3600}).json()["ttl_seconds"] == 540


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("expired", "expired"),
        ("other-channel", "another channel"),
        ("unknown-key", "made this signature"),
    ],
)
def test_each_fault_is_refused_by_the_edge_for_that_fault(
    site: DemoSite, fault: str, words: str
) -> None:
    """The edge answers 403 and names what is wrong with the token."""
    url = ask(site, "/demo/refused-urls", {"fault": fault}).json()["playback_url"]
    status, (refusal,) = edges_answer(url, site.url)
    assert status == 403
    assert refusal["error_code"] == "invalid_playback_auth_token"
    assert words in refusal["error"]


def test_which_key_signed_a_refused_token(site: DemoSite) -> None:
    """The ring's active key signs all of them but the stranger's."""
    key = site.demo.view.active(Moment.of(site.demo.clock)).signer.public_key
    tokens = {
        fault: token_in(ask(site, "/demo/refused-urls", {"fault": fault}).json()["playback_url"])
        for fault in FAULTS
    }
    assert verify(tokens["expired"], [key]) == key
    assert verify(tokens["other-channel"], [key]) == key
    with pytest.raises(InvalidSignature):
        verify(tokens["unknown-key"], [key])


def test_every_issued_url_leaves_an_audit_line(site: DemoSite) -> None:
    """The page's caller is in the audit trail with its channel."""
    ask(site, "/demo/playback-urls", {})
    line = json.loads(site.audit.getvalue().splitlines()[-1])
    assert line["decision"] == "granted"
    assert line["caller_id"] == "demo-page"
    assert line["channel_arn"] == str(site.demo.channel_arn)


@pytest.mark.parametrize("path", ["/demo/playback-urls", "/demo/refused-urls"])
@pytest.mark.parametrize(
    "origin", [None, "null", "https://elsewhere.example", "http://127.0.0.1:1"]
)
def test_only_the_page_itself_may_ask(site: DemoSite, path: str, origin: str | None) -> None:
    """A post of another page, or of no page, is refused before anything is signed."""
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
def test_a_name_pointed_at_this_machine_gets_nothing(site: DemoSite, path: str, host: str) -> None:
    """Whatever is asked under a Host that is not loopback is refused (DNS rebinding)."""
    method = "POST" if path == "/demo/playback-urls" else "GET"
    headers = {"Host": host, "Origin": f"http://{host}"}
    response = site.app.test_client().open(path, method=method, headers=headers, json={})
    assert response.status_code in {400, 403}
    assert b"m3u8" not in response.data


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "127.9.9.9"])
def test_every_name_of_loopback_serves_the_page(site: DemoSite, host: str) -> None:
    """The page opens and gets its URL under each of loopback's own names."""
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
def test_what_the_page_never_asks_is_an_invalid_request(
    site: DemoSite, path: str, body: object, field: str
) -> None:
    """A wrong type, an unknown name or another channel is refused, and the next wish is served."""
    response = ask(site, path, body)
    assert response.status == 400
    assert response.json()["code"] == "invalid_request"
    assert [problem["field"] for problem in response.json()["errors"]] == [field]
    assert ask(site, "/demo/playback-urls", {}).status == 200


def test_a_body_that_is_not_json_is_refused(site: DemoSite) -> None:
    """A form, which any page can post without asking the browser first, is no wish."""
    response = urllib3.request(
        "POST",
        site.url + "/demo/playback-urls",
        fields={"ttl_seconds": "60"},
        headers={"Origin": site.url},
        retries=False,
    )
    assert response.status == 415


def test_an_answer_with_a_token_is_never_stored(site: DemoSite) -> None:
    """Neither a browser nor a proxy keeps the URL."""
    for path, body in (("playback-urls", {}), ("refused-urls", {"fault": "expired"})):
        assert ask(site, f"/demo/{path}", body).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/demo", "/demo/page/demo.js", "/demo/page/demo.css"])
def test_the_page_may_load_its_own_files_and_the_edge_alone(site: DemoSite, path: str) -> None:
    """The policy begins at nothing, and names no other origin than the edge's."""
    policy = urllib3.request("GET", site.url + path).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert [word for word in policy.split() if "//" in word] == [
        f"{site.local_ivs.url};",
        f"{site.local_ivs.url};",
    ]


def test_what_werkzeug_refuses_of_a_file_is_the_askers_fault(site: DemoSite) -> None:
    """A range beyond the page's end is no fault of the service's own."""
    answer = urllib3.request(
        "GET", f"{site.url}/demo", headers={"Range": "bytes=99999999-"}, retries=False
    )
    assert answer.status == 400
    assert answer.json()["code"] == "invalid_request"


@pytest.mark.parametrize(
    "edge_origin", ["https://example.playback.live-video.net", "http://10.0.0.1:8001", "", "8001"]
)
def test_a_demo_that_would_play_from_elsewhere_is_not_made(
    site: DemoSite, edge_origin: str
) -> None:
    """Only loopback may be the edge: a demo must never spend a real channel's tokens."""
    demo = dataclasses.replace(site.demo, edge_origin=edge_origin)
    with pytest.raises(SettingsInvalid, match="loopback"):
        create_blueprint(demo)
