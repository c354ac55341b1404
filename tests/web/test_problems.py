from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
from flask import abort
from flask.testing import FlaskClient

from tests.support.deployment import Deployment
from tests.web.problem_shape import assert_problem
from tokensvc.arns import ChannelArn
from tokensvc.errors import CustodyUnavailable, IvsRefused, NotEntitled, SettingsInvalid
from tokensvc.ivs.model import Channel

GETS = ["/healthz", "/readyz", "/.well-known/jwks.json"]
POSTS = ["/v1/playback-urls", "/v1/playback-urls:batch"]
UNKNOWN_KEY = "tsk_000000000000_" + 64 * "0"


def bearer(key: str) -> dict[str, str]:
    """The header that carries an API key."""
    return {"Authorization": f"Bearer {key}"}


# --- Routes and methods


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v1/playback-urls/", "//v1/playback-urls", "/v1/playback-urls:", "/%ff"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_path_without_a_route_is_not_found(
    deployment: Deployment, path: str, method: str
) -> None:
    """With every method, and never as a redirect."""
    assert_problem(deployment.client().open(path, method=method), "not_found")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [*((path, "GET, HEAD") for path in GETS), *((path, "POST") for path in POSTS)],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_a_method_that_a_route_does_not_support_is_refused(
    deployment: Deployment, path: str, allowed: str, method: str
) -> None:
    """The header Allow lists the supported ones. OPTIONS is refused too: the API has no CORS."""
    if method in allowed:
        return
    response = deployment.client().open(path, method=method)
    assert_problem(response, "method_not_allowed")
    assert response.headers["Allow"] == allowed


# --- Authentication


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {UNKNOWN_KEY}",
        f"Bearer {UNKNOWN_KEY}",
        UNKNOWN_KEY,
        f"Token {UNKNOWN_KEY}",
        f"Bearer {UNKNOWN_KEY}, Bearer {UNKNOWN_KEY}",
    ],
)
def test_an_unauthenticated_client_is_refused_first(
    deployment: Deployment, path: str, authorization: str | None
) -> None:
    """Before the body is read, and without a decision about a caller in the audit."""
    headers = {} if authorization is None else {"Authorization": authorization}
    response = deployment.client().post(path, data=b"no JSON", headers=headers)
    document = assert_problem(response, "unauthenticated")
    is_presented = (authorization or "").startswith("Bearer")
    error = ', error="invalid_token"' if is_presented else ""  # RFC 6750 §3.1
    assert response.headers["WWW-Authenticate"] == f'Bearer realm="tokensvc"{error}'
    assert UNKNOWN_KEY not in str(document)
    assert {event.caller_id for event in deployment.audit.events} <= {None}


def test_an_api_key_outside_of_authorization_is_ignored(deployment: Deployment) -> None:
    """In X-Api-Key and in the query, where logs would store it."""
    response = deployment.client().post(
        f"/v1/playback-urls?api_key={deployment.key}",
        json={"channel": "demo"},
        headers={"X-Api-Key": deployment.key},
    )
    assert_problem(response, "unauthenticated")


def test_the_scheme_may_be_written_in_any_case(deployment: Deployment) -> None:
    """RFC 9110 §11.1."""
    response = deployment.client().post(
        "/v1/playback-urls",
        json={"channel": "demo"},
        headers={"Authorization": f"bearer {deployment.key}"},
    )
    assert response.status_code == 200


def test_a_new_key_is_accepted_as_soon_as_it_is_read(own_deployment: Deployment) -> None:
    """Without a restart. The caller gets what its own grant allows."""
    key = own_deployment.new_key("website", "website")
    response = own_deployment.client().post(
        "/v1/playback-urls", json={"channel": "demo", "viewer_id": "v"}, headers=bearer(key)
    )
    assert response.get_json()["ttl_seconds"] == 120


def test_no_caller_is_authenticated_with_outdated_api_keys(
    own_deployment: Deployment, tmp_path: Path
) -> None:
    """121 s after the last read, without the state; callers are served when it is back."""
    client, state_file, moved = own_deployment.client(), tmp_path / "state.sqlite3", tmp_path / "x"
    state_file.rename(moved)
    own_deployment.world.clock.advance(121)
    arguments = {"json": {"channel": "demo"}, "headers": bearer(own_deployment.key)}
    assert_problem(client.post("/v1/playback-urls", **arguments), "state_unavailable")
    moved.rename(state_file)
    assert client.post("/v1/playback-urls", **arguments).status_code == 200


# --- Bodies


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "text/json"]
)
def test_a_body_without_the_json_content_type_is_refused(
    deployment: Deployment, path: str, content_type: str | None
) -> None:
    """So a form in a browser can't post here either."""
    response = deployment.client().post(
        path, data=b"{}", content_type=content_type, headers=bearer(deployment.key)
    )
    assert_problem(response, "unsupported_media_type")


def test_the_content_type_may_have_a_charset(deployment: Deployment) -> None:
    """Most clients send UTF-8 as the parameter; the body is always read as UTF-8."""
    response = deployment.client().post(
        "/v1/playback-urls",
        data=b'{"channel":"demo"}',
        content_type="application/json; charset=utf-8",
        headers=bearer(deployment.key),
    )
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("path", "most"), [("/v1/playback-urls", 65_536), ("/v1/playback-urls:batch", 1_048_576)]
)
def test_a_body_that_is_too_large_is_not_read(deployment: Deployment, path: str, most: int) -> None:
    """One byte above 64 KiB, or 1 MiB for a batch. At the limit it is read: it is not JSON."""
    headers = bearer(deployment.key) | {"Content-Type": "application/json"}
    client = deployment.client()
    assert_problem(client.post(path, data=most * b" ", headers=headers), "invalid_request")
    assert_problem(client.post(path, data=(most + 1) * b" ", headers=headers), "body_too_large")


@pytest.mark.parametrize("path", POSTS)
def test_a_large_content_length_is_refused_at_once(deployment: Deployment, path: str) -> None:
    """No byte of the body is read."""
    body = io.BytesIO(10_000_000 * b" ")
    response = deployment.client().post(
        path,
        input_stream=body,
        content_length=10_000_000,
        content_type="application/json",
        headers=bearer(deployment.key),
    )
    assert_problem(response, "body_too_large")
    assert len(body.read()) == 10_000_000  # Nothing was read before.


@pytest.mark.parametrize("path", POSTS)
def test_a_body_without_content_length_is_read_to_the_limit_only(
    deployment: Deployment, path: str
) -> None:
    """A chunked body, as gunicorn passes it on, is not read further once it is too large.

    It is refused even if its beginning is complete JSON.
    """
    body = io.BytesIO(b"{}" + 10_000_000 * b" ")
    response = deployment.client().post(
        path,
        input_stream=body,
        # The test client sends a Content-Length if it can; a chunked request has none.
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
        content_type="application/json",
        headers=bearer(deployment.key),
    )
    assert_problem(response, "body_too_large")
    assert 60_000 < 10_000_002 - len(body.read()) < 2_000_000


@pytest.mark.parametrize("has_content_length", [True, False])
@pytest.mark.parametrize(("longest", "path"), [(65_536, POSTS[0]), (1_048_576, POSTS[1])])
def test_the_longest_body_is_read_and_one_byte_more_is_not(
    deployment: Deployment, path: str, longest: int, *, has_content_length: bool
) -> None:
    """64 KiB, or 1 MiB for a batch, with or without a Content-Length; then its errors count."""
    for length, code in [(longest, "invalid_request"), (longest + 1, "body_too_large")]:
        response = deployment.client().post(
            path,
            input_stream=io.BytesIO(b"{}".ljust(length)),
            environ_overrides={
                "wsgi.input_terminated": True,
                "CONTENT_LENGTH": str(length) if has_content_length else "",
            },
            content_type="application/json",
            headers=bearer(deployment.key),
        )
        assert_problem(response, code)


# --- Errors of the service


def client_over(deployment: Deployment, raised: Exception) -> FlaskClient:
    """A client of a service whose channel lookup fails with that exception."""

    def fetch(arn: ChannelArn) -> Channel:
        raise raised

    return deployment.client_with_fetch(fetch)


SECRET_WORDS = "password=hunter2"


@pytest.mark.parametrize(
    "raised",
    [
        ZeroDivisionError(SECRET_WORDS),
        SettingsInvalid(SECRET_WORDS),
        OSError(SECRET_WORDS),
    ],
)
def test_an_internal_error_does_not_show_its_message(
    deployment: Deployment, raised: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets the request ID, under which the log has the traceback."""
    with caplog.at_level(logging.ERROR):
        response = client_over(deployment, raised).post(
            "/v1/playback-urls", json={"channel": "demo"}, headers=bearer(deployment.key)
        )
    document = assert_problem(response, "internal_error")
    assert SECRET_WORDS not in response.get_data(as_text=True)
    (record,) = [record for record in caplog.records if record.name == "tokensvc.web.problems"]
    assert document["request_id"] in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is raised


def test_an_internal_error_in_a_batch_affects_one_item_only(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """The other items get their URLs, and the error is logged."""
    broken = "arn:aws:ivs:us-west-2:123456789012:channel/broken"

    def fetch(arn: ChannelArn) -> Channel:
        if str(arn) == broken:
            raise ZeroDivisionError(SECRET_WORDS)
        return Channel(arn, "", is_private=True, playback_url="https://example.com/a.m3u8")

    response = deployment.client_with_fetch(fetch).post(
        "/v1/playback-urls:batch",
        json={"requests": [{"channel": "demo"}, {"channel": broken}, {"channel": "demo"}]},
        headers=bearer(deployment.key),
    )
    first, failed, last = response.get_json()["results"]
    assert first["token"]
    assert last["token"]
    assert failed["code"] == "internal_error"
    assert SECRET_WORDS not in str(failed)
    assert "ZeroDivisionError" in caplog.text


def test_a_temporary_error_has_retry_after(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """The seconds are in the header and in the document; the path is in one log line only."""
    raised = CustodyUnavailable("/srv/keys can't be read.", retry_after_seconds=7)
    response = client_over(deployment, raised).post(
        "/v1/playback-urls", json={"channel": "demo"}, headers=bearer(deployment.key)
    )
    (record,) = [record for record in caplog.records if record.name == "tokensvc.web.problems"]
    assert "custody_unavailable" in record.getMessage()
    assert str(raised) in record.getMessage()
    assert record.exc_info is None
    document = assert_problem(response, "custody_unavailable")
    assert response.headers["Retry-After"] == "7"
    assert "/srv/keys" not in str(document)


def test_a_refusal_by_ivs_is_ivs_unavailable(deployment: Deployment) -> None:
    """Only the log names the missing permission."""
    refusal = IvsRefused("ivs:GetChannel is missing.", aws_code="AccessDeniedException")
    response = client_over(deployment, refusal).post(
        "/v1/playback-urls", json={"channel": "demo"}, headers=bearer(deployment.key)
    )
    document = assert_problem(response, "ivs_unavailable")
    assert "GetChannel" not in str(document)


def test_an_error_of_a_blueprint_is_a_problem_document(deployment: Deployment) -> None:
    """A blueprint may raise any error of the tree."""
    app = deployment.app()

    @app.get("/forbidden")
    def forbidden() -> str:
        raise NotEntitled("some detail", hint="some hint")

    document = assert_problem(app.test_client().get("/forbidden"), "not_entitled")
    assert (document["detail"], document["hint"]) == ("some detail", "some hint")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "invalid_request"),
        (404, "not_found"),
        (413, "body_too_large"),
        (415, "unsupported_media_type"),
        (418, "internal_error"),
        (500, "internal_error"),
    ],
)
def test_an_error_of_flask_is_a_problem_document(
    deployment: Deployment, status: int, code: str
) -> None:
    """Never an HTML page."""
    app = deployment.app()

    @app.get("/aborted")
    def aborted() -> str:
        abort(status)

    assert_problem(app.test_client().get("/aborted"), code)


def test_json_that_is_nested_too_deeply_is_refused(deployment: Deployment) -> None:
    """Too deeply for the parser, or less deeply where a string is needed."""
    client, headers = deployment.client(), bearer(deployment.key)
    for depth in (150, 250, *range(900, 1_000), 20_000):
        body = '{"channel":' + "[" * depth + "]" * depth + "}"
        response = client.post(
            "/v1/playback-urls", data=body, headers=headers, content_type="application/json"
        )
        assert_problem(response, "invalid_request")


def test_a_lone_surrogate_is_not_valid_json(deployment: Deployment) -> None:
    """It can't be encoded as UTF-8, so it must not get any further."""
    response = deployment.client().post(
        "/v1/playback-urls",
        data='{"channel":"demo","viewer_id":"\\ud800"}',
        headers=bearer(deployment.key),
        content_type="application/json",
    )
    document = assert_problem(response, "invalid_request")
    assert [(error["field"], error["rule"]) for error in document["errors"]] == [("", "json")]
