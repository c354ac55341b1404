"""Refreshes through both routes: one viewing keeps its session version, and a kick ends it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import urllib3
from flask.testing import FlaskClient

from tests.support.deployment import Deployment
from tests.web.problem_shape import assert_problem, assert_problem_document
from tokensvc.access.bans.log import BanLog
from tokensvc.access.bans.model import BanTerms, Target
from tokensvc.access.bans.writing import BanWriter
from tokensvc.access.callers import Caller, Identity
from tokensvc.access.requests import PlaybackRequest
from tokensvc.audit import json_line
from tokensvc.errors import InvalidRequest

SINGLE = "/v1/playback-urls"
BATCH = "/v1/playback-urls:batch"
WATCH = {"channel": "demo", "viewer_id": "viewer-1"}

Post = Callable[..., Any]


def client_of(deployment: Deployment) -> FlaskClient:
    """A client with the API key of the deployment."""
    client = deployment.client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {deployment.key}"
    return client


def granted(client: FlaskClient, **members: Any) -> dict[str, Any]:
    """The answer to a request of viewer-1, which must be granted."""
    response = client.post(SINGLE, json={**WATCH, **members})
    assert response.status_code == 200
    answer: dict[str, Any] = response.get_json()
    return answer


def version(token: str) -> int:
    """The session version in the token, decoded without the code under test."""
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    found: int = claims["aws:viewer-session-version"]
    return found


def status_at_edge(answer: dict[str, Any]) -> int:
    """The HTTP status that Local IVS's edge answers to a player."""
    return urllib3.request("GET", answer["playback_url"], retries=False).status


def test_one_viewing_is_one_thread_and_a_kick_ends_it(own_deployment: Deployment) -> None:
    """Refreshed twice, once after it expired. Revoking the first version stops the third token."""
    clock = own_deployment.world.clock
    client = client_of(own_deployment)
    began = int(clock.now())
    first = granted(client)
    clock.advance(240)
    second = granted(client, refresh_of=first["token"])
    clock.advance(500)  # The second token expired 200 s ago.
    third = granted(client, refresh_of=second["token"])
    assert {version(each["token"]) for each in (first, second, third)} == {began}
    assert [event.session_version for event in own_deployment.audit.events] == 3 * [began]
    other = granted(client)
    assert version(other["token"]) == began + 740
    assert [status_at_edge(third), status_at_edge(other)] == [200, 200]

    ivs = own_deployment.world.ivs.client()
    ivs.start_viewer_session_revocation(
        channelArn=str(own_deployment.channel),
        viewerId="viewer-1",
        viewerSessionVersionsLessThanOrEqualTo=began + 739,
    )
    assert [status_at_edge(third), status_at_edge(other)] == [403, 200]


def test_a_kicked_session_is_not_refreshed(own_deployment: Deployment) -> None:
    """Also after the line has passed, when a new session may begin: it is another thread."""
    world, client = own_deployment.world, client_of(own_deployment)
    first = granted(client)
    world.clock.advance(100)
    terms = BanTerms(clock_skew_seconds=10, access_max_age_seconds=120)
    bans = own_deployment.service.bans
    writer = BanWriter(BanLog(world.state, world.clock), world.clock, terms, bans.refresh)
    kicked_at = int(world.clock.now())
    writer.kick(Target(("viewer-1",), own_deployment.channel), by="moderator")
    bans.refresh()

    body = {**WATCH, "refresh_of": first["token"]}
    document = client.post(SINGLE, json=body).get_json()
    assert (document["code"], document["retry_after_seconds"]) == ("viewer_revoked", 11)
    world.clock.advance(11)
    assert client.post(SINGLE, json=body).get_json()["code"] == "viewer_revoked"
    (_, *events) = own_deployment.audit.events
    assert [event.session_version for event in events] == 2 * [version(first["token"])]
    second = granted(client)
    assert version(second["token"]) == kicked_at + 11
    assert version(granted(client, refresh_of=second["token"])["token"]) == kicked_at + 11


def test_a_refresh_after_a_rotation_and_after_a_day(own_deployment: Deployment) -> None:
    """The key that signed is retiring, and its tokens are ours. A session ends after 24 hours."""
    client = client_of(own_deployment)
    began = int(own_deployment.world.clock.now())
    first = granted(client)
    rotator = own_deployment.world.rotator()
    rotator.request_rotation("monthly")
    own_deployment.world.reconcile(rotator)
    own_deployment.read_state_again()
    second = granted(client, refresh_of=first["token"])
    assert second["key_id"] != first["key_id"]
    assert version(second["token"]) == began

    own_deployment.world.clock.advance(began + 86_400 - own_deployment.world.clock.now())
    own_deployment.read_state_again()
    own_deployment.service.clock_watch.look()
    response = client.post(SINGLE, json={**WATCH, "refresh_of": second["token"]})
    assert_problem(response, "invalid_request")
    assert version(granted(client)["token"]) == began + 86_400


def test_a_token_that_is_not_the_last_of_this_viewing_is_refused(deployment: Deployment) -> None:
    """Another viewer's, a foreign one, none, or one without a viewer: one rule, no more detail."""
    client = client_of(deployment)
    token = granted(client)["token"]
    without_viewer = client.post(SINGLE, json={"channel": "demo"}).get_json()["token"]
    documents = []
    for viewer_id, refreshed in (
        ("viewer-2", token),
        ("viewer-1", without_viewer),
        ("viewer-1", token[:-4] + "AAAA"),
        ("viewer-1", "x" * 2_048),
        ("viewer-1", ""),
    ):
        body = {"channel": "demo", "viewer_id": viewer_id, "refresh_of": refreshed}
        document = assert_problem(client.post(SINGLE, json=body), "invalid_request")
        documents.append({**document, "request_id": ""})
    assert [error["rule"] for error in documents[0]["errors"]] == ["refresh_of"]
    assert all(document == documents[0] for document in documents)

    body = {"channel": "demo", "refresh_of": token}
    document = assert_problem(client.post(SINGLE, json=body), "invalid_request")
    assert [error["rule"] for error in document["errors"]] == ["refresh_viewer_id"]
    document = assert_problem(
        client.post(SINGLE, json={**WATCH, "refresh_of": "x" * 2_049}), "invalid_request"
    )
    assert [error["rule"] for error in document["errors"]] == ["string_too_long"]


def test_a_user_refreshes_the_own_session(deployment: Deployment) -> None:
    """Its request needs no viewer ID, and no other user may refresh its token."""
    identity = Identity("https://id.example.com", "user-7", (40 * "v",), {})
    user = Caller("oidc:web:v", "web", ("open",), identity=identity)
    first = deployment.issuer.issue(user, PlaybackRequest(channel="demo"))
    assert first.token
    request = PlaybackRequest(channel="demo", refresh_of=first.token)
    second = deployment.issuer.issue(user, request)
    assert second.token
    assert second.viewer_id == 40 * "v"
    assert version(second.token) == version(first.token)

    other = replace(identity, subject="user-8", viewer_ids=(40 * "w",))
    with pytest.raises(InvalidRequest) as refusal:
        deployment.issuer.issue(replace(user, identity=other), request)
    assert [problem.rule for problem in refusal.value.problems] == ["refresh_of"]


def test_the_items_of_a_batch_are_refreshed(deployment: Deployment) -> None:
    """Each with its own token."""
    client = client_of(deployment)
    token = granted(client)["token"]
    items = [{**WATCH, "refresh_of": token}, {**WATCH, "refresh_of": token[1:]}]
    results = client.post(BATCH, json={"requests": items}).get_json()["results"]
    assert version(results[0]["token"]) == version(token)
    assert_problem_document(results[1], "invalid_request")


def test_the_token_is_written_nowhere(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in an answer, nor in the audit or the log, whether or not it is refreshed."""
    client = client_of(deployment)
    token = granted(client)["token"]
    secret = token.rpartition(".")[2]
    with caplog.at_level("DEBUG"):
        answers = [
            client.post(SINGLE, json={**WATCH, "refresh_of": token, **more}).get_data(as_text=True)
            for more in ({}, {"viewer_id": "viewer-2"}, {"ttl": 1}, {"viewer_id": 5})
        ]
    lines = [json_line(event.members()).decode() for event in deployment.audit.events]
    assert len(lines) == 3  # The other two are no requests.
    written = [*answers, *lines, caplog.text, *map(repr, deployment.audit.events)]
    assert not any(secret in text for text in written)
