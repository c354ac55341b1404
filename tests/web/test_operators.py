"""`GET /v1/keys` and `POST /v1/tokens:inspect`."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.deployment import Deployment
from tests.web.problem_shape import assert_problem

INSPECT = "/v1/tokens:inspect"


@pytest.fixture
def operator(deployment: Deployment) -> dict[str, str]:
    """The header of an operator's API key."""
    number = len(deployment.service.api_keys.latest().value.keys)
    key = deployment.new_key(f"operator {number}", scopes=("operate",))
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def client(deployment: Deployment) -> FlaskClient:
    """A client of the app."""
    return deployment.client()


def token_of(deployment: Deployment, client: FlaskClient) -> dict[str, Any]:
    """The answer to a request for a playback URL, by the caller of the deployment."""
    headers = {"Authorization": f"Bearer {deployment.key}"}
    answer = client.post("/v1/playback-urls", json={"channel": "demo"}, headers=headers)
    assert isinstance(answer.json, dict)
    return answer.json


def findings(answer: TestResponse) -> list[str]:
    """The rules in the answer to an inspection."""
    assert answer.status_code == 200, answer.text
    return [finding["rule"] for finding in answer.get_json()["findings"]]


def test_an_operator_sees_why_ivs_would_refuse_a_token(
    deployment: Deployment, client: FlaskClient, operator: dict[str, str]
) -> None:
    """A URL or a token, the channel that is to be played, and the origin of the page."""
    issued = token_of(deployment, client)
    good = client.post(INSPECT, json={"token": issued["playback_url"]}, headers=operator)
    assert (findings(good), good.get_json()["signed_by"]) == ([], deployment.active_key_id)
    assert issued["token"].rpartition(".")[2] not in good.text
    other = {"token": issued["token"], "channel_arn": str(deployment.public_channel)}
    answer = client.post(INSPECT, json=other, headers=operator)
    assert findings(answer) == ["channel_arn_asked_for"]
    deployment.world.clock.advance(301)
    answer = client.post(INSPECT, json={"token": issued["token"]}, headers=operator)
    assert findings(answer) == ["exp_in_future"]
    assert findings(client.post(INSPECT, json={"token": "x"}, headers=operator)) == [
        "token_segments"
    ]


def test_an_operator_sees_that_a_viewer_is_banned(
    deployment: Deployment, client: FlaskClient, operator: dict[str, str]
) -> None:
    """The token was issued before the ban, and its signature is good."""
    headers = {"Authorization": f"Bearer {deployment.key}"}
    number = len(deployment.service.api_keys.latest().value.keys)
    body = {"channel": "demo", "viewer_id": f"viewer-{number}"}
    token = client.post("/v1/playback-urls", json=body, headers=headers).get_json()["token"]
    moderator = deployment.new_key(f"moderator {number}", "open", scopes=("moderate",))
    answer = client.post(
        "/v1/viewer-session-revocations",
        json={**body, "ban_seconds": 600},
        headers={"Authorization": f"Bearer {moderator}"},
    )
    assert answer.status_code == 202, answer.text
    inspected = client.post(INSPECT, json={"token": token}, headers=operator)
    assert findings(inspected) == ["viewer_banned"]


def test_a_channel_that_is_no_arn_is_an_invalid_request(
    client: FlaskClient, operator: dict[str, str]
) -> None:
    """The field is named."""
    answer = client.post(INSPECT, json={"token": "x", "channel_arn": "demo"}, headers=operator)
    document = assert_problem(answer, "invalid_request")
    assert [error["field"] for error in document["errors"]] == ["channel_arn"]


def test_an_operator_sees_the_key_pairs_and_their_states(
    deployment: Deployment, client: FlaskClient, operator: dict[str, str]
) -> None:
    """As the rings record them: IVS is not asked, so that it is unknown what it has."""
    keys = client.get("/v1/keys", headers=operator).get_json()["keys"]
    assert [(key["key_id"], key["state"], key["in_ivs"]) for key in keys] == [
        (deployment.active_key_id, "active", None),
        (keys[1]["key_id"], "published", None),
    ]
    assert {key["region"] for key in keys} == {"us-west-2"}


def test_others_than_operators_see_neither(deployment: Deployment, client: FlaskClient) -> None:
    """A backend that may request URLs, and a client without an API key."""
    headers = {"Authorization": f"Bearer {deployment.key}"}
    assert_problem(client.get("/v1/keys", headers=headers), "not_permitted")
    assert_problem(client.post(INSPECT, json={"token": "x"}, headers=headers), "not_permitted")
    assert_problem(client.get("/v1/keys"), "unauthenticated")
    assert_problem(client.post(INSPECT, json={"token": "x"}), "unauthenticated")
