from __future__ import annotations

import dataclasses
import json
import os
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from flask import Flask
from local_ivs.edge.refusals import Reason

from demo.backend import create_app
from demo.configuration import ConfigurationInvalid
from tests.demo.site import DemoSite, running_demo_site, served
from tests.support.aws import set_aws_endpoint
from tokensvc.errors import InvalidSignature
from tokensvc.token.jws import read, verify

if TYPE_CHECKING:
    from pathlib import Path

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
    answer = post(site, "/playback-urls", {"ttl_seconds": 60}).json()
    key_id, key = site.active_key()
    assert edge_response(answer["playback_url"], site.url)[0] == 200
    assert verify(token_in(answer["playback_url"]), [key]) == key
    assert answer["key_id"] == key_id
    assert answer["ttl_seconds"] == 60
    assert answer["refresh_after_seconds"] == 48
    assert answer["channel_arn"] == str(site.channel_arn)


def test_a_playback_url_is_for_the_page_and_its_viewer(site: DemoSite) -> None:
    """The claims have the page's origin, the demo's viewer ID and the requested resolution."""
    answer = post(site, "/playback-urls", {"maximum_resolution": "SD"}).json()
    payload = read(token_in(answer["playback_url"])).payload
    assert payload["aws:access-control-allow-origin"] == site.url
    assert payload["aws:viewer-id"] == "demo-viewer"
    assert payload["aws:maximum-resolution"] == "SD"


def test_a_playback_url_does_not_play_in_another_sites_page(site: DemoSite) -> None:
    """The edge refuses the playlist to a page of another origin."""
    answer = post(site, "/playback-urls", {}).json()
    assert edge_response(answer["playback_url"], "https://elsewhere.example")[0] == 403


def test_a_lifetime_of_more_than_ten_minutes_is_capped_at_540_seconds(site: DemoSite) -> None:
    """The page's token has a viewer ID, so the caller's cap applies, as for any caller."""
    assert post(site, "/playback-urls", {"ttl_seconds": 3600}).json()["ttl_seconds"] == 540


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
    url = post(site, "/refused-urls", {"fault": fault}).json()["playback_url"]
    status, (refusal,) = edge_response(url, site.url)
    assert status == 403
    assert refusal["error_code"] == "invalid_playback_auth_token"
    assert site.refusal(url) == (reason, refusal["error"])


def test_the_active_key_signs_all_refused_tokens_except_that_of_the_unknown_key(
    site: DemoSite,
) -> None:
    """The expired token and the other channel's token have valid signatures."""
    _, key = site.active_key()
    tokens = {
        fault: token_in(post(site, "/refused-urls", {"fault": fault}).json()["playback_url"])
        for fault in FAULTS
    }
    assert verify(tokens["expired"], [key]) == key
    assert verify(tokens["other-channel"], [key]) == key
    with pytest.raises(InvalidSignature):
        verify(tokens["unknown-key"], [key])


def test_every_issued_url_is_in_the_audit_log_of_the_service(site: DemoSite) -> None:
    """The line has the caller of the backend's API key, and the channel."""
    post(site, "/playback-urls", {})
    line = json.loads(site.audit.getvalue().splitlines()[-1])
    keys = site.service.api_keys.latest().value.keys
    (api_key,) = (key for key in keys if key.name == "demo")
    assert line["decision"] == "granted"
    assert line["caller_id"] == api_key.key_id
    assert line["channel_arn"] == str(site.channel_arn)


def test_the_page_never_gets_the_api_key(site: DemoSite) -> None:
    """The backend sends it to the service only."""
    files = ("", *(f"page/{name}" for name in ("demo.js", "dom.js", "examples.js", "token.js")))
    for path in files:
        response = urllib3.request("GET", f"{site.url}/{path}")
        assert response.status == 200
        assert b"tsk_" not in response.data
    for path, body in (("/playback-urls", {}), ("/refused-urls", {"fault": "expired"})):
        response = post(site, path, body)
        assert site.configuration.api_key not in f"{response.headers}{response.data!r}"
    assert site.configuration.api_key not in repr(site.configuration)


def test_the_service_has_no_page(site: DemoSite) -> None:
    """The page and its backend belong to the example application."""
    for path in ("/", "/demo", "/page/demo.js", "/demo/page/demo.js"):
        assert urllib3.request("GET", site.service_url + path, retries=False).status == 404
    for path in ("/playback-urls", "/demo/playback-urls"):
        response = urllib3.request(
            "POST",
            site.service_url + path,
            json={},
            headers={"Origin": site.service_url},
            retries=False,
        )
        assert response.status == 404


def test_a_refusal_of_the_service_is_passed_on(site: DemoSite) -> None:
    """With its code and its hint, so that the page can show what to do."""
    configuration = dataclasses.replace(site.configuration, channel="no-such-channel")
    with served(create_app(configuration)) as url:
        response = urllib3.request(
            "POST", f"{url}/playback-urls", json={}, headers={"Origin": url}, retries=False
        )
    assert response.status == 403
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "not_entitled"
    assert response.json()["hint"]


def test_a_service_that_does_not_respond_is_reported(site: DemoSite) -> None:
    """The service may have stopped, or another program may have its port."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        unreachable = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with served(Flask("another program")) as another_program:
        for service_url in (unreachable, another_program):
            configuration = dataclasses.replace(site.configuration, service_url=service_url)
            with served(create_app(configuration)) as url:
                response = urllib3.request(
                    "POST", f"{url}/playback-urls", json={}, headers={"Origin": url}, retries=False
                )
            assert response.status == 503
            assert response.json()["code"] == "service_unavailable"
            assert response.json()["hint"]


def test_a_public_other_channel_is_reported_with_the_command_that_protects_it(
    site: DemoSite,
) -> None:
    """A service may be set to return plain URLs for public channels. They have no token."""
    service = Flask("service")
    plain = {"playback_url": "http://127.0.0.1:1/a.m3u8", "token": None}
    service.post("/v1/playback-urls")(lambda: plain)
    with served(service) as service_url:
        configuration = dataclasses.replace(site.configuration, service_url=service_url)
        with served(create_app(configuration)) as url:
            response = urllib3.request(
                "POST",
                f"{url}/refused-urls",
                json={"fault": "other-channel"},
                headers={"Origin": url},
                retries=False,
            )
    assert response.status == 409
    assert response.json()["code"] == "channel_not_private"
    assert "`tokensvc channels protect other`" in response.json()["hint"]


def test_a_running_site_neither_changes_the_environment_nor_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests share one site. The environment belongs to each test."""
    before = dict(os.environ)
    with running_demo_site(tmp_path) as site:
        assert dict(os.environ) == before
        set_aws_endpoint(monkeypatch, tmp_path, "http://127.0.0.1:9")
        assert post(site, "/playback-urls", {}).status == 200


def test_the_backend_ignores_a_proxy_in_the_environment(
    site: DemoSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API key is sent to the service only."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post(site, "/playback-urls", {}).status == 200


@pytest.mark.parametrize("path", ["/playback-urls", "/refused-urls"])
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


@pytest.mark.parametrize("path", ["/", "/page/demo.js", "/playback-urls"])
@pytest.mark.parametrize(
    "host", ["rebound.example", "169.254.169.254", "127.0.0.1.example:80", "[::1", ""]
)
def test_a_host_that_is_not_loopback_is_refused(site: DemoSite, path: str, host: str) -> None:
    """Every request with such a Host header is refused (DNS rebinding)."""
    method = "POST" if path == "/playback-urls" else "GET"
    headers = {"Host": host, "Origin": f"http://{host}"}
    response = site.app.test_client().open(path, method=method, headers=headers, json={})
    assert response.status_code in {400, 403}
    assert b"m3u8" not in response.data


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "127.9.9.9"])
def test_every_loopback_host_serves_the_page(site: DemoSite, host: str) -> None:
    """The page loads and gets its URL with each of the loopback host names and addresses."""
    client = site.app.test_client()
    headers = {"Host": host, "Origin": f"http://{host}"}
    with client.get("/", headers=headers) as page:
        assert page.status_code == 200
    assert client.post("/playback-urls", headers=headers, json={}).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/playback-urls", {"ttl_seconds": "60"}, "ttl_seconds"),
        ("/playback-urls", {"ttl_seconds": 0}, "ttl_seconds"),
        ("/playback-urls", {"maximum_resolution": "8K"}, "maximum_resolution"),
        ("/playback-urls", {"channel": "arn:aws:ivs:us-west-2:1:channel/x"}, "channel"),
        ("/playback-urls", [], ""),
        ("/refused-urls", {"fault": "mood"}, "fault"),
        ("/refused-urls", {}, "fault"),
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
    assert post(site, "/playback-urls", {}).status == 200


def test_a_body_that_is_not_json_is_refused(site: DemoSite) -> None:
    """For example a form, which any page can post without a CORS preflight."""
    response = urllib3.request(
        "POST",
        site.url + "/playback-urls",
        fields={"ttl_seconds": "60"},
        headers={"Origin": site.url},
        retries=False,
    )
    assert response.status == 415


def test_a_response_with_a_token_is_never_cached(site: DemoSite) -> None:
    """Neither by a browser nor by a proxy."""
    for path, body in (("playback-urls", {}), ("refused-urls", {"fault": "expired"})):
        assert post(site, f"/{path}", body).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/page/demo.js", "/page/demo.css"])
def test_the_page_may_connect_to_itself_and_the_edge_only(site: DemoSite, path: str) -> None:
    """The content security policy allows nothing by default, and of the service one script."""
    policy = urllib3.request("GET", site.url + path).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert [word for word in policy.split() if "//" in word] == [
        f"{site.service_url}/v1/player.js;",
        site.local_ivs.url,
        f"{site.service_url}/v1/playback-urls;",
        f"{site.local_ivs.url};",
    ]


def test_a_range_beyond_the_end_of_a_file_is_an_error_of_the_client(site: DemoSite) -> None:
    """Werkzeug refuses it. It is not an internal error."""
    response = urllib3.request(
        "GET", f"{site.url}/", headers={"Range": "bytes=99999999-"}, retries=False
    )
    assert response.status == 416
    assert response.json()["code"] == "requested_range_not_satisfiable"


@pytest.mark.parametrize(
    "edge_url", ["https://example.playback.live-video.net", "http://10.0.0.1:8001", "", "8001"]
)
def test_a_demo_with_an_edge_that_is_not_on_loopback_is_refused(
    site: DemoSite, edge_url: str
) -> None:
    """The page must not give playback URLs of real channels to anyone who opens it."""
    with pytest.raises(ConfigurationInvalid, match="DEMO_EDGE_URL"):
        dataclasses.replace(site.configuration, edge_url=edge_url)


@pytest.mark.parametrize("service_url", ["https://tokens.example.com", "http://192.0.2.7:8000", ""])
def test_a_demo_with_a_service_that_is_not_on_loopback_is_refused(
    site: DemoSite, service_url: str
) -> None:
    """The API key must not leave this machine unencrypted."""
    with pytest.raises(ConfigurationInvalid, match="DEMO_SERVICE_URL"):
        dataclasses.replace(site.configuration, service_url=service_url)
