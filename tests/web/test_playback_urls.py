from __future__ import annotations

import json
import logging
from dataclasses import fields
from typing import Any, NoReturn

import pytest
import urllib3
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.support.deployment import Deployment, MemoryAudit, directory_over
from tests.web.problem_shape import assert_problem, assert_problem_document
from tokensvc.access.requests import PlaybackRequest
from tokensvc.arns import ChannelArn
from tokensvc.audit import AuditEvent
from tokensvc.clock import rfc3339
from tokensvc.ivs.model import Channel
from tokensvc.token.jws import verify

SINGLE = "/v1/playback-urls"
BATCH = "/v1/playback-urls:batch"


def post(
    deployment: Deployment, path: str, body: object, client: FlaskClient | None = None
) -> TestResponse:
    """The whole response of the route to the deployment's caller."""
    return (client or deployment.client()).post(
        path, json=body, headers={"Authorization": f"Bearer {deployment.key}"}, buffered=True
    )


def post_raw(deployment: Deployment, path: str, body: bytes) -> TestResponse:
    """As `post`, with a body that may be anything."""
    return deployment.client().post(
        path,
        data=body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {deployment.key}"},
    )


def rules(document: dict[str, Any]) -> set[tuple[str, str]]:
    """The field and rule of each error in a problem document."""
    return {(error["field"], error["rule"]) for error in document["errors"]}


def test_a_private_channel_is_answered_with_a_url_that_plays(deployment: Deployment) -> None:
    """The response has the documented members, and the active key pair signed the token."""
    response = post(deployment, SINGLE, {"channel": "demo", "viewer_id": "viewer-1"})
    answer = response.get_json()
    now = int(deployment.world.clock.now())
    token = answer["token"]
    assert response.status_code == 200
    assert answer == {
        "playback_url": answer["playback_url"],
        "token": token,
        "channel_arn": str(deployment.channel),
        "viewer_id": "viewer-1",
        "expires_at": rfc3339(now + 300),
        "ttl_seconds": 300,
        "refresh_after_seconds": 240,
        "key_id": deployment.active_key_id,
        "watch_until": None,
    }
    active = deployment.public_keys[deployment.active_key_id]
    assert verify(token, deployment.public_keys.values()) == active
    assert answer["playback_url"].endswith(f"?token={token}")
    assert urllib3.request("GET", answer["playback_url"], retries=False).status == 200


def test_a_response_with_a_token_may_not_be_cached(deployment: Deployment) -> None:
    """Neither a single one nor a batch; a page of another origin may not read it either."""
    for path, body in ((SINGLE, {"channel": "demo"}), (BATCH, {"requests": [{"channel": "demo"}]})):
        response = post(deployment, path, body)
        assert response.status_code == 200
        assert response.content_type == "application/json"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in response.headers


def test_every_option_is_accepted(deployment: Deployment) -> None:
    """A TTL above IVS's ten minutes is lowered to 540 s, and the response says so."""
    response = post(
        deployment,
        SINGLE,
        {
            "channel": str(deployment.channel),
            "viewer_id": "viewer-1",
            "ttl_seconds": 3_600,
            "allowed_origins": ["https://app.example.com"],
            "strict_origin_enforcement": True,
            "single_use": True,
            "maximum_resolution": "HD",
        },
    )
    assert response.get_json()["ttl_seconds"] == 540


def test_null_means_that_an_optional_member_is_absent(deployment: Deployment) -> None:
    """For every optional member."""
    optional = [field.name for field in fields(PlaybackRequest) if field.name != "channel"]
    body = {"channel": "demo", **dict.fromkeys(optional)}
    assert len(body) == len(fields(PlaybackRequest))
    assert post(deployment, SINGLE, body).get_json()["ttl_seconds"] == 300


@pytest.mark.parametrize(
    ("body", "broken"),
    [
        ({}, {("channel", "required")}),
        ({"channel": 5}, {("channel", "string_type")}),
        ({"channel": ""}, {("channel", "string_too_short")}),
        ({"channel": 129 * "a"}, {("channel", "string_too_long")}),
        ({"channel": "demo", "ttl_seconds": "300"}, {("ttl_seconds", "int_type")}),
        ({"channel": "demo", "ttl_seconds": 300.0}, {("ttl_seconds", "int_type")}),
        ({"channel": "demo", "ttl_seconds": True}, {("ttl_seconds", "int_type")}),
        ({"channel": "demo", "ttl_seconds": 0}, {("ttl_seconds", "greater_than_equal")}),
        ({"channel": "demo", "ttl": 300}, {("ttl", "unknown_field")}),
        ({"channel": "demo", "single_use": "yes"}, {("single_use", "bool_type")}),
        ({"channel": None}, {("channel", "string_type")}),
        ({"channel": "demo", "viewer": None}, {("viewer", "unknown_field")}),
        ({"channel": "demo", "maximum_resolution": "4K"}, {("maximum_resolution", "enum")}),
        ({"channel": "demo", "allowed_origins": "*"}, {("allowed_origins", "tuple_type")}),
        ({"channel": "demo", "allowed_origins": [1]}, {("allowed_origins.0", "string_type")}),
        ({"channel": "demo", "allowed_origins": 101 * ["*"]}, {("allowed_origins", "too_long")}),
        (
            {"viewer": "v", "ttl_seconds": "1", "single_use": 1},
            {
                ("channel", "required"),
                ("viewer", "unknown_field"),
                ("ttl_seconds", "int_type"),
                ("single_use", "bool_type"),
            },
        ),
    ],
)
def test_every_wrong_field_is_reported_with_its_rule(
    deployment: Deployment, body: dict[str, object], broken: set[tuple[str, str]]
) -> None:
    """All errors in one response."""
    document = assert_problem(post(deployment, SINGLE, body), "invalid_request")
    assert rules(document) == broken


def test_every_broken_claim_rule_is_reported(deployment: Deployment) -> None:
    """Rules of IVS and of this service, under the names of the request's fields."""
    body = {
        "channel": "demo",
        "viewer_id": "someone@example.com",
        "allowed_origins": ["https://example.com/path"],
    }
    document = assert_problem(post(deployment, SINGLE, body), "invalid_request")
    assert {field for field, _ in rules(document)} == {"viewer_id", "allowed_origins"}


@pytest.mark.parametrize("path", [SINGLE, BATCH])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"channel"',
        b"{",
        b'{"channel":"demo"}}',
        b"{'channel':'demo'}",
        b'{"channel":"demo","channel":"demo"}',
        b'{"channel":"demo","ttl_seconds":NaN}',
        b'{"channel":"demo","ttl_seconds":Infinity}',
        b'{"channel":"demo","ttl_seconds":' + 5_000 * b"9" + b"}",
        b'\xef\xbb\xbf{"channel":"demo"}',
        b'{"channel":"\xff"}',
        '{"channel":"demo"}'.encode("utf-16"),
        30_000 * b"[",
        10_000 * b'{"a":',
    ],
)
def test_a_body_that_is_not_a_strict_json_object_is_refused(
    deployment: Deployment, path: str, body: bytes
) -> None:
    """Including JSON that two parsers could read differently."""
    assert_problem(post_raw(deployment, path, body), "invalid_request")


@settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=10,
        ).map(lambda value: json.dumps(value).encode()),
        st.fixed_dictionaries(
            {"channel": st.just("demo") | st.text()},
            optional={
                "viewer_id": st.none() | st.text(max_size=50),
                "ttl_seconds": st.none() | st.integers(),
                "allowed_origins": st.lists(st.text(max_size=20), max_size=7),
                "strict_origin_enforcement": st.booleans(),
                "single_use": st.booleans(),
                "maximum_resolution": st.sampled_from([None, "SD", "HD", "FULL_HD", "hd"]),
            },
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_body_gets_a_url_or_a_client_error(deployment: Deployment, body: bytes) -> None:
    """No body causes an error of the service (5xx)."""
    response = post_raw(deployment, SINGLE, body)
    if response.status_code == 200:
        assert response.get_json()["token"]
        return
    code = response.get_json()["code"]
    assert code in {"invalid_request", "not_entitled"}
    assert_problem(response, code)


# --- Batches


def test_a_batch_returns_results_in_the_order_of_its_requests(deployment: Deployment) -> None:
    """URLs and problem documents in one list."""
    requests: list[object] = [
        {"channel": "demo", "viewer_id": "viewer-1"},
        {"channel": "lobby"},
        {"channel": "demo", "ttl_seconds": "300"},
        "demo",
        {"channel": "arn:aws:ivs:us-east-1:123456789012:channel/abc"},
        {"channel": "demo", "viewer_id": "viewer-2"},
    ]
    response = post(deployment, BATCH, {"requests": requests})
    assert response.status_code == 200
    first, public, wrong, not_an_object, elsewhere, last = response.get_json()["results"]
    assert first["viewer_id"] == "viewer-1"
    assert last["viewer_id"] == "viewer-2"
    assert_problem_document(public, "channel_not_private")
    assert_problem_document(wrong, "invalid_request")
    assert rules(wrong) == {("ttl_seconds", "int_type")}
    assert_problem_document(not_an_object, "invalid_request")
    assert_problem_document(elsewhere, "not_entitled")


def test_a_batch_issues_nothing_after_ten_seconds(own_deployment: Deployment) -> None:
    """Each audit line may take until its timeout; the requests that are left get `overloaded`."""
    clock = own_deployment.world.clock

    class SlowAudit(MemoryAudit):
        def write(self, event: AuditEvent) -> None:
            clock.advance(6)
            super().write(event)

    audit = SlowAudit()
    service = own_deployment.service_with(issuer=own_deployment.issuer_with(audit=audit))
    body = {"requests": 5 * [{"channel": "demo"}]}
    response = post(own_deployment, BATCH, body, own_deployment.client_of(service))
    codes = [result.get("code", "") for result in response.get_json()["results"]]
    assert codes == [*2 * [""], *3 * ["overloaded"]]
    assert [event.decision for event in audit.events] == 2 * ["granted"]


def test_a_batch_may_have_a_hundred_requests(deployment: Deployment) -> None:
    """Each gets its own token, signed by the active key."""
    requests = [{"channel": "demo", "viewer_id": f"viewer-{n}"} for n in range(100)]
    results = post(deployment, BATCH, {"requests": requests}).get_json()["results"]
    active = deployment.public_keys[deployment.active_key_id]
    assert [result["viewer_id"] for result in results] == [f"viewer-{n}" for n in range(100)]
    assert {verify(result["token"], [active]) for result in results} == {active}


def test_a_hundred_channels_take_two_calls_to_ivs(own_deployment: Deployment) -> None:
    """BatchGetChannel takes fifty ARNs, and uses none of the five GetChannel calls per second."""
    arns = private_channels(own_deployment, 100)
    requests = [{"channel": arn} for arn in arns]
    results = post(own_deployment, BATCH, {"requests": requests}).get_json()["results"]
    assert [result["channel_arn"] for result in results] == arns
    active = own_deployment.public_keys[own_deployment.active_key_id]
    assert {verify(result["token"], [active]) for result in results} == {active}
    assert look_ups(own_deployment) == ["BatchGetChannel", "BatchGetChannel"]


def test_a_batch_looks_up_only_channels_that_a_grant_covers(
    own_deployment: Deployment,
) -> None:
    """No invalid ARN, no name that is not configured, and no channel of an invalid request."""
    first, second = private_channels(own_deployment, 2)
    requests: list[object] = [
        {"channel": first},
        {"channel": "arn:aws:ivs:us-west-2:210987654321:channel/abc"},
        {"channel": "arn:aws:ivs:us-east-1:123456789012:channel/abc"},
        {"channel": "arn:nonsense"},
        {"channel": "nowhere"},
        {"channel": str(own_deployment.channel), "ttl_seconds": "300"},
        {"channel": second},
    ]
    results = post(own_deployment, BATCH, {"requests": requests}).get_json()["results"]
    assert [result.get("code", "granted") for result in results] == [
        "granted",
        "not_entitled",
        "not_entitled",
        "invalid_request",
        "not_entitled",
        "invalid_request",
        "granted",
    ]
    assert look_ups(own_deployment) == ["BatchGetChannel"]


@pytest.mark.parametrize("error", ["AccessDeniedException", "ServiceUnavailable"])
def test_a_batch_looks_up_channels_one_by_one_when_batch_get_channel_fails(
    own_deployment: Deployment, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    """For example when only GetChannel is permitted. The failure is logged once."""
    arns = private_channels(own_deployment, 4)
    fault = {"operation": "BatchGetChannel", "kind": "error", "error": error, "times": 3}
    url = f"{own_deployment.world.ivs.url}/_local/faults"
    assert urllib3.request("POST", url, json=fault, retries=False).status == 201
    requests = [{"channel": arn} for arn in arns]
    with caplog.at_level(logging.WARNING):
        results = post(own_deployment, BATCH, {"requests": requests}).get_json()["results"]
    assert [result["channel_arn"] for result in results] == arns
    assert all(result["token"] for result in results)
    assert look_ups(own_deployment).count("GetChannel") == 4
    (record,) = [record for record in caplog.records if "tokensvc" in record.name]
    assert (record.name, record.levelname) == ("tokensvc.ivs.lookups", "WARNING")


def test_a_failed_prefetch_does_not_fail_the_batch(
    own_deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is logged, and each channel is looked up separately."""

    def fetch_batch(arns: object) -> NoReturn:
        raise ZeroDivisionError

    def fetch(arn: ChannelArn) -> Channel:
        return Channel(arn, "", is_private=True, playback_url="https://example.com/a.m3u8")

    directory = directory_over(fetch, own_deployment.world.clock, fetch_batch)
    service = own_deployment.service_with(issuer=own_deployment.issuer_with(directory=directory))
    body = {"requests": [{"channel": "demo"}, {"channel": "lobby"}]}
    response = post(own_deployment, BATCH, body, own_deployment.client_of(service))
    assert [bool(result["token"]) for result in response.get_json()["results"]] == [True, True]
    assert "ZeroDivisionError" in caplog.text


def private_channels(deployment: Deployment, count: int) -> list[str]:
    """Create that many private channels and return their ARNs."""
    ivs = deployment.world.ivs.client()
    return [ivs.create_channel(authorized=True)["channel"]["arn"] for _ in range(count)]


def look_ups(deployment: Deployment) -> list[str]:
    """The calls that looked up channels in IVS, in no particular order."""
    answer = urllib3.request("GET", f"{deployment.world.ivs.url}/_local/requests", retries=False)
    operations = [request["what"] for request in answer.json()["requests"]]
    return [name for name in operations if name in {"GetChannel", "BatchGetChannel"}]


@pytest.mark.parametrize(
    ("body", "broken"),
    [
        ({}, ("requests", "required")),
        ({"requests": []}, ("requests", "too_short")),
        ({"requests": 101 * [{"channel": "demo"}]}, ("requests", "too_long")),
        ({"requests": {"channel": "demo"}}, ("requests", "list_type")),
        ({"requests": [{"channel": "demo"}], "atomic": True}, ("atomic", "unknown_field")),
    ],
)
def test_an_invalid_batch_is_refused_as_a_whole(
    deployment: Deployment, body: dict[str, object], broken: tuple[str, str]
) -> None:
    """A batch has 1 to 100 requests and no other member. No request of it is decided."""
    document = assert_problem(post(deployment, BATCH, body), "invalid_request")
    assert rules(document) == {broken}
    assert deployment.audit.events == []


def test_each_decision_of_a_batch_is_audited(deployment: Deployment) -> None:
    """One line for each, with the ID of the HTTP request."""
    requests = [{"channel": "demo"}, {"channel": "lobby"}, {"channel": "demo"}]
    response = post(deployment, BATCH, {"requests": requests})
    decisions = [(event.decision, event.code) for event in deployment.audit.events]
    assert decisions == [("granted", ""), ("refused", "channel_not_private"), ("granted", "")]
    request_id = response.headers["X-Request-Id"]
    assert {event.request_id for event in deployment.audit.events} == {request_id}
