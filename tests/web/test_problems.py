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
from tokensvc.errors import CustodyDamaged, CustodyUnavailable, IvsRefused, NotPermitted
from tokensvc.ivs.model import Channel
from tokensvc.web.app import create_app

GETS = ["/healthz", "/readyz", "/.well-known/jwks.json"]
POSTS = ["/v1/playback-urls", "/v1/playback-urls:batch"]
STRANGERS = "tsk_000000000000_" + 64 * "0"


def bearer(key: str) -> dict[str, str]:
    """The header that carries an API key."""
    return {"Authorization": f"Bearer {key}"}


# --- Routes and methods


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v1/playback-urls/", "//v1/playback-urls", "/v1/playback-urls:", "/%ff"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_path_without_a_route_is_a_problem(
    deployment: Deployment, path: str, method: str
) -> None:
    """Whatever the method, and never a redirect."""
    assert_problem(deployment.client().open(path, method=method), "not_found")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [*((path, "GET, HEAD") for path in GETS), *((path, "POST") for path in POSTS)],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_a_method_that_a_route_does_not_serve_is_a_problem(
    deployment: Deployment, path: str, allowed: str, method: str
) -> None:
    """The header Allow lists those that it does; OPTIONS is no door for other origins."""
    if method in allowed:
        return
    response = deployment.client().open(path, method=method)
    assert_problem(response, "method_not_allowed")
    assert response.headers["Allow"] == allowed


# --- Who asks


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {STRANGERS}",
        f"Bearer {STRANGERS}",
        STRANGERS,
        f"Token {STRANGERS}",
        f"Bearer {STRANGERS}, Bearer {STRANGERS}",
    ],
)
def test_a_stranger_is_refused_before_anything_else(
    deployment: Deployment, path: str, authorization: str | None
) -> None:
    """Before the body is looked at, and without a decision to audit."""
    headers = {} if authorization is None else {"Authorization": authorization}
    response = deployment.client().post(path, data=b"no JSON", headers=headers)
    document = assert_problem(response, "unauthenticated")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="tokensvc"'
    assert STRANGERS not in str(document)
    assert deployment.audit.events == []


def test_a_key_elsewhere_than_in_authorization_does_not_count(deployment: Deployment) -> None:
    """Neither in X-Api-Key nor in the query, where logs would keep it."""
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


def test_a_new_key_lets_its_caller_in_when_it_was_read(own_deployment: Deployment) -> None:
    """Without a restart; the caller gets what its own grant allows."""
    key = own_deployment.new_key("website", "website")
    response = own_deployment.client().post(
        "/v1/playback-urls", json={"channel": "demo", "viewer_id": "v"}, headers=bearer(key)
    )
    assert response.get_json()["ttl_seconds"] == 120


def test_nobody_is_let_in_by_keys_known_too_long_ago(
    own_deployment: Deployment, tmp_path: Path
) -> None:
    """121 s after the last read, with the state away; when it is back, callers are served."""
    client, state_file, moved = own_deployment.client(), tmp_path / "state.sqlite3", tmp_path / "x"
    state_file.rename(moved)
    own_deployment.world.clock.advance(121)
    asked = {"json": {"channel": "demo"}, "headers": bearer(own_deployment.key)}
    assert_problem(client.post("/v1/playback-urls", **asked), "state_unavailable")
    moved.rename(state_file)
    assert client.post("/v1/playback-urls", **asked).status_code == 200


# --- Bodies


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "text/json"]
)
def test_a_body_that_does_not_say_json_is_a_problem(
    deployment: Deployment, path: str, content_type: str | None
) -> None:
    """A browser's form can't post here either."""
    response = deployment.client().post(
        path, data=b"{}", content_type=content_type, headers=bearer(deployment.key)
    )
    assert_problem(response, "unsupported_media_type")


def test_json_may_name_its_charset(deployment: Deployment) -> None:
    """The parameter is UTF-8 for most clients, and UTF-8 is what is read."""
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
    """One byte above 64 KiB, or 1 MiB for a batch; at the limit it is read, and no JSON."""
    headers = bearer(deployment.key) | {"Content-Type": "application/json"}
    client = deployment.client()
    assert_problem(client.post(path, data=most * b" ", headers=headers), "invalid_request")
    assert_problem(client.post(path, data=(most + 1) * b" ", headers=headers), "body_too_large")


@pytest.mark.parametrize("path", POSTS)
def test_ten_megabytes_are_refused_by_their_announcement(deployment: Deployment, path: str) -> None:
    """By Content-Length alone: not one byte of the body is read."""
    body = io.BytesIO(10_000_000 * b" ")
    response = deployment.client().post(
        path,
        input_stream=body,
        content_length=10_000_000,
        content_type="application/json",
        headers=bearer(deployment.key),
    )
    assert_problem(response, "body_too_large")
    assert body.tell() == 0


@pytest.mark.parametrize("path", POSTS)
def test_a_body_without_an_announcement_is_read_to_the_limit_only(
    deployment: Deployment, path: str
) -> None:
    """A chunked body, as gunicorn hands it on, is cut off where it becomes too large.

    It is not taken for what it begins with, either, be that whole JSON.
    """
    body = io.BytesIO(b"{}" + 10_000_000 * b" ")
    response = deployment.client().post(
        path,
        input_stream=body,
        # The test client announces what it can measure; a chunked request announces nothing.
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
        content_type="application/json",
        headers=bearer(deployment.key),
    )
    assert_problem(response, "body_too_large")
    assert 60_000 < body.tell() < 2_000_000


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(("longest", "path"), [(65_536, POSTS[0]), (1_048_576, POSTS[1])])
def test_the_longest_body_is_read_and_one_byte_more_is_not(
    deployment: Deployment, path: str, longest: int, *, announced: bool
) -> None:
    """64 KiB, and 1 MiB for a batch, announced or not; what is wrong in it is told then."""
    for length, code in [(longest, "invalid_request"), (longest + 1, "body_too_large")]:
        response = deployment.client().post(
            path,
            input_stream=io.BytesIO(b"{}".ljust(length)),
            environ_overrides={
                "wsgi.input_terminated": True,
                "CONTENT_LENGTH": str(length) if announced else "",
            },
            content_type="application/json",
            headers=bearer(deployment.key),
        )
        assert_problem(response, code)


# --- What the service is to blame for


def client_over(deployment: Deployment, raised: Exception) -> FlaskClient:
    """A client of a service whose look-up of channels fails with that exception."""

    def fetch(arn: ChannelArn) -> Channel:
        raise raised

    return deployment.client_with_fetch(fetch)


SECRET_WORDS = "password=hunter2"


@pytest.mark.parametrize(
    "raised",
    [
        ZeroDivisionError(SECRET_WORDS),
        CustodyDamaged(SECRET_WORDS),
        OSError(SECRET_WORDS),
    ],
)
def test_a_fault_of_the_service_is_told_without_its_words(
    deployment: Deployment, raised: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets the request's ID, under which the log has the traceback."""
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


def test_a_fault_in_a_batch_spoils_its_own_item_only(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are answered, and the fault is logged."""
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
    first, fault, last = response.get_json()["results"]
    assert first["token"]
    assert last["token"]
    assert fault["code"] == "internal_error"
    assert SECRET_WORDS not in str(fault)
    assert "ZeroDivisionError" in caplog.text


def test_what_passes_by_itself_is_told_with_retry_after(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """503, the seconds in the header and in the document; the path is in one line of the log."""
    raised = CustodyUnavailable("/srv/keys can't be read.", retry_after_seconds=7)
    response = client_over(deployment, raised).post(
        "/v1/playback-urls", json={"channel": "demo"}, headers=bearer(deployment.key)
    )
    (record,) = [record for record in caplog.records if record.name == "tokensvc.web.problems"]
    assert record.getMessage().endswith("custody_unavailable: /srv/keys can't be read.")
    assert record.exc_info is None
    document = assert_problem(response, "custody_unavailable")
    assert response.headers["Retry-After"] == "7"
    assert "/srv/keys" not in str(document)


def test_a_refusal_of_ivs_is_told_as_ivs_being_away(deployment: Deployment) -> None:
    """What permission is missing is for the operator's log alone."""
    refusal = IvsRefused("ivs:GetChannel is missing.", aws_code="AccessDeniedException")
    response = client_over(deployment, refusal).post(
        "/v1/playback-urls", json={"channel": "demo"}, headers=bearer(deployment.key)
    )
    document = assert_problem(response, "ivs_unavailable")
    assert "GetChannel" not in str(document)


def test_an_error_with_any_status_of_the_tree_has_the_shape(deployment: Deployment) -> None:
    """A blueprint such as the player page raises, and is answered in the same shape."""
    app = create_app(deployment.service)

    @app.get("/forbidden")
    def forbidden() -> str:
        raise NotPermitted("This is not for you.", hint="Ask an operator.")

    document = assert_problem(app.test_client().get("/forbidden"), "not_permitted")
    assert (document["detail"], document["hint"]) == ("This is not for you.", "Ask an operator.")


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
def test_what_flask_itself_refuses_has_the_shape(
    deployment: Deployment, status: int, code: str
) -> None:
    """No page of HTML comes from here, whoever aborts."""
    app = create_app(deployment.service)

    @app.get("/aborted")
    def aborted() -> str:
        abort(status)

    assert_problem(app.test_client().get("/aborted"), code)


# --- The request's ID


@pytest.mark.parametrize("request_id", ["a", "Root=1-67891233-abc".replace("=", "-"), 64 * "x"])
def test_a_request_keeps_the_id_that_it_came_with(deployment: Deployment, request_id: str) -> None:
    """In the answer and in the audit."""
    response = deployment.client().post(
        "/v1/playback-urls",
        json={"channel": "demo"},
        headers=bearer(deployment.key) | {"X-Request-Id": request_id},
    )
    assert response.headers["X-Request-Id"] == request_id
    assert [event.request_id for event in deployment.audit.events] == [request_id]


@pytest.mark.parametrize("offered", ["", 65 * "x", "two words", "tab\there", "ü", "a;b", '"a"'])
def test_a_request_with_an_id_that_could_forge_a_log_gets_a_new_one(
    deployment: Deployment, offered: str
) -> None:
    """32 hex digits, another for each request."""
    answers = [
        deployment.client()
        .get("/healthz", headers={"X-Request-Id": offered})
        .headers["X-Request-Id"]
        for _ in range(2)
    ]
    assert len(set(answers)) == 2
    assert all(len(answer) == 32 and int(answer, 16) for answer in answers)


def test_json_of_any_depth_is_a_problem(deployment: Deployment) -> None:
    """Deeper than what reads it, what writes it again, or what checks it can follow."""
    client, headers = deployment.client(), bearer(deployment.key)
    for depth in (150, 250, *range(900, 1_000), 20_000):
        body = '{"channel":' + "[" * depth + "]" * depth + "}"
        response = client.post(
            "/v1/playback-urls", data=body, headers=headers, content_type="application/json"
        )
        assert_problem(response, "invalid_request")


def test_half_a_surrogate_pair_is_no_json(deployment: Deployment) -> None:
    """It can't be written back, so no reader may meet it further in."""
    response = deployment.client().post(
        "/v1/playback-urls",
        data='{"channel":"demo","viewer_id":"\\ud800"}',
        headers=bearer(deployment.key),
        content_type="application/json",
    )
    document = assert_problem(response, "invalid_request")
    assert [(error["field"], error["rule"]) for error in document["errors"]] == [("", "json")]
