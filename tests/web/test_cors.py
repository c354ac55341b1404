"""Pages of allowed origins may request playback URLs, and pages of others may not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from tests.support import event_loop
from tests.support.clock import ManualClock
from tests.support.deployment import Deployment
from tests.support.front_requests import Request
from tests.support.serving import serving
from tokensvc.access.request_limits import RequestLimits, RequestRates
from tokensvc.rates import OneProcess
from tokensvc.web.app import create_app
from tokensvc.web.cors import Cors
from tokensvc.web.front import Application, Front
from tokensvc.web.http1 import RECEIVED_AT, FieldParser
from tokensvc.web.overload import MIN_SERVED

SINGLE = "/v1/playback-urls"
BATCH = "/v1/playback-urls:batch"
PAGE = "https://www.example.com"
FOREIGN = "https://www.example.com.evil.example"
ALLOWED = {
    "Access-Control-Allow-Origin": PAGE,
    "Access-Control-Expose-Headers": "Retry-After, X-Request-Id, RateLimit, RateLimit-Policy",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Vary": "Origin",
}
PREFLIGHT = {
    **ALLOWED,
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Request-Id",
    "Access-Control-Max-Age": "7200",
}
FOR_OTHERS = {"Cross-Origin-Resource-Policy": "same-origin", "Vary": "Origin"}


def fields(headers: Headers | Mapping[str, str]) -> dict[str, str]:
    """The header fields that decide what a page of another origin gets."""
    names = {"vary", "cross-origin-resource-policy"}
    return {
        name: value
        for name, value in headers.items()
        if name.lower() in names or name.lower().startswith("access-control-")
    }


@pytest.fixture
def client(deployment: Deployment) -> FlaskClient:
    """A client of a service that allows the origin PAGE."""
    service = deployment.service_with(allowed_origins=(PAGE, "http://localhost:3000"))
    return deployment.client_of(service)


def preflight(
    client: FlaskClient, origin: str, path: str = SINGLE, method: str = "POST"
) -> TestResponse:
    """The response to a preflight, as browsers send it."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return client.options(path, headers=headers)


@pytest.mark.parametrize("path", [SINGLE, BATCH])
def test_a_preflight_of_an_allowed_origin(client: FlaskClient, path: str) -> None:
    """Answered without credentials, and remembered for two hours."""
    response = preflight(client, PAGE, path)
    assert (response.status_code, response.data) == (204, b"")
    assert fields(response.headers) == PREFLIGHT
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Request-Id"]


@pytest.mark.parametrize("path", [SINGLE, BATCH])
def test_every_answer_to_an_allowed_origin_can_be_read(
    client: FlaskClient, deployment: Deployment, path: str
) -> None:
    """A URL, and each kind of refusal."""
    key = {"Authorization": f"Bearer {deployment.key}", "Origin": PAGE}
    item = {"channel": "demo"}
    body = item if path == SINGLE else {"requests": [item]}
    too_long = b" " * (1024 * 1024 + 1)
    statuses = {}
    for name, response in {
        "granted": client.post(path, json=body, headers=key),
        "no JSON": client.post(path, data=b"{", content_type="application/json", headers=key),
        "no key": client.post(path, json=body, headers={"Origin": PAGE}),
        "method": client.get(path, headers=key),
        "type": client.post(path, data=b"{}", content_type="text/plain", headers=key),
        "size": client.post(path, data=too_long, content_type="application/json", headers=key),
    }.items():
        statuses[name] = response.status_code
        assert fields(response.headers) == ALLOWED, name
    assert list(statuses.values()) == [200, 400, 401, 405, 415, 413]


@pytest.mark.parametrize("origin", [FOREIGN, "null", PAGE.upper(), f"{PAGE}:443", f"{PAGE}, a"])
def test_a_foreign_origin_gets_no_permission(
    client: FlaskClient, deployment: Deployment, origin: str
) -> None:
    """Neither for its preflight nor for a request; a cache keeps the answers apart."""
    answer = preflight(client, origin)
    assert (answer.status_code, fields(answer.headers)) == (405, FOR_OTHERS)
    headers = {"Authorization": f"Bearer {deployment.key}", "Origin": origin}
    answer = client.post(SINGLE, json={"channel": "demo"}, headers=headers)
    assert (answer.status_code, fields(answer.headers)) == (200, FOR_OTHERS)


@pytest.mark.parametrize("path", ["/v1/keys", "/healthz", "/readyz", "/v1/bans", "/"])
def test_other_routes_have_no_cors(client: FlaskClient, path: str) -> None:
    """They are not for browsers."""
    same_origin = {"Cross-Origin-Resource-Policy": "same-origin"}
    assert fields(client.get(path, headers={"Origin": PAGE}).headers) == same_origin
    answer = preflight(client, PAGE, path, "GET")
    assert (answer.status_code in {404, 405}, fields(answer.headers)) == (True, same_origin)


def test_without_the_setting_nothing_is_different(deployment: Deployment) -> None:
    """An OPTIONS request is refused, and no answer has a field of CORS."""
    client = deployment.client()
    same_origin = {"Cross-Origin-Resource-Policy": "same-origin"}
    answer = preflight(client, PAGE)
    assert (answer.status_code, fields(answer.headers)) == (405, same_origin)
    headers = {"Authorization": f"Bearer {deployment.key}", "Origin": PAGE}
    answer = client.post(SINGLE, json={"channel": "demo"}, headers=headers)
    assert (answer.status_code, fields(answer.headers)) == (200, same_origin)


def test_an_options_request_that_is_no_preflight_is_refused(client: FlaskClient) -> None:
    """With CORS, so that a page sees the status."""
    answer = client.options(SINGLE, headers={"Origin": PAGE})
    assert (answer.status_code, fields(answer.headers)) == (405, ALLOWED)


@pytest.mark.parametrize("application", [create_app], indirect=True)
def test_what_the_front_refuses_can_be_read_too(deployment: Deployment) -> None:
    """A worker with too much to do refuses requests; a preflight is answered all the same."""
    app = cast("Application", deployment.app())
    front = Front(app, threads=1, cors=Cors([PAGE]))
    late = {RECEIVED_AT: 0.0, "PATH_INFO": f"/prefix{SINGLE}"}  # Read long ago.
    asked = {**late, "REQUEST_METHOD": "OPTIONS", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"}

    async def main() -> list[Any]:
        for _ in range(MIN_SERVED):
            await Request("/nothing", extra={RECEIVED_AT: 0.0}).send_to(front)
        requests = [(PAGE, late), (FOREIGN, late), (PAGE, asked)]
        return [
            await Request(SINGLE, {}, {"origin": origin}, extra).send_to(front)
            for origin, extra in requests
        ]

    refused, foreign, answered = event_loop.run(main())
    assert (refused.status, refused.json()["code"]) == (503, "overloaded")
    assert fields(refused.headers) == {name.lower(): value for name, value in ALLOWED.items()}
    assert refused.headers["retry-after"] == "5"
    assert foreign.status == 503
    assert "access-control-allow-origin" not in foreign.headers
    assert answered.status == 204
    assert fields(answered.headers) == {name.lower(): value for name, value in PREFLIGHT.items()}


@pytest.mark.parametrize(
    ("allowed", "sent", "origin"),
    [
        ([PAGE, "https://b.example"], f"Origin: {PAGE}\r\nX: y", PAGE),
        ([PAGE, "https://b.example"], "X: y", None),
        ([PAGE], "X: y", PAGE),  # Its page could not read the refusal otherwise.
        ([PAGE], f"Origin: {FOREIGN}\r\nX: y", None),
        ([PAGE], "X: y\r\n", None),  # The whole head: a request without an origin.
        ([PAGE], f"Origin: {PAGE}\r\n", PAGE),
    ],
)
def test_what_the_connection_refuses(allowed: list[str], sent: str, origin: str | None) -> None:
    """By what was read of the request."""
    parser = FieldParser()
    parser.feed(f"POST {SINGLE}?a=b HTTP/1.1\r\nHost: a\r\n{sent}\r\n".encode())
    added = Cors(allowed).fields_of_refused(parser)
    assert added.get("Access-Control-Allow-Origin") == origin
    assert added["Vary"] == "Origin"


def test_a_connection_that_has_read_nothing_refuses_without_cors() -> None:
    """There is no route yet."""
    parser = FieldParser()
    parser.feed(b"POST ")
    assert Cors([PAGE]).fields_of_refused(parser) == {}


# --- In a browser

REQUEST = """async ([url, key]) => {
    const response = await fetch(`${url}/v1/playback-urls`, {
        method: "POST",
        headers: {Authorization: `Bearer ${key}`, "Content-Type": "application/json"},
        body: JSON.stringify({channel: "demo"}),
    }).catch((error) => error);
    if (response instanceof Error) return {error: response.name};
    const document = await response.json();
    return {
        status: response.status,
        code: document.code ?? null,
        hasUrl: "playback_url" in document,
        retryAfter: response.headers.get("Retry-After"),
        rateLimit: response.headers.get("RateLimit"),
        requestId: response.headers.get("X-Request-Id") !== null,
    };
}"""


@pytest.fixture
def pages() -> Iterator[str]:
    """The address of a server with an empty page: its names 127.0.0.1 and localhost differ."""
    app = Flask("pages")
    app.get("/")(lambda: "<!doctype html><title>A page</title>")
    app.get("/favicon.ico", endpoint="icon")(lambda: "")
    with serving(app) as url:
        yield url


@pytest.mark.browser
@pytest.mark.parametrize("application", [create_app], indirect=True)
def test_a_page_of_another_origin_gets_a_url_and_reads_why_it_is_refused(
    deployment: Deployment, page: Page, pages: str
) -> None:
    """With a bearer token, in Chromium. A page of a foreign origin gets nothing."""
    rates = RequestRates(caller_per_second=1, caller_burst=2)
    limits = RequestLimits.of(rates, ManualClock(), OneProcess(), (), deployment.audit)
    service = deployment.service_with(allowed_origins=(pages,), request_limits=limits)
    with serving(deployment.create_app(service)) as url:
        page.goto(pages)
        first, second, refused = (page.evaluate(REQUEST, [url, deployment.key]) for _ in range(3))
        unauthenticated = page.evaluate(REQUEST, [url, "tsk_none"])
        page.goto(pages.replace("127.0.0.1", "localhost"))
        foreign = page.evaluate(REQUEST, [url, deployment.key])
    granted = {"status": 200, "code": None, "hasUrl": True, "retryAfter": None, "requestId": True}
    assert first == {**granted, "rateLimit": '"caller";r=1;t=1'}
    assert second["status"] == 200
    assert refused == {
        "status": 429,
        "code": "rate_limited",
        "hasUrl": False,
        "retryAfter": "1",
        "rateLimit": '"caller";r=0;t=1',
        "requestId": True,
    }
    assert (unauthenticated["status"], unauthenticated["code"]) == (401, "unauthenticated")
    assert foreign == {"error": "TypeError"}
