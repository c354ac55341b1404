"""`watch_until` in a request for a playback URL: the answer, the token, and the stored due end."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.fleet.links import Condition, Link
from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.support.deployment import OPEN, Deployment
from tests.web.problem_shape import assert_problem
from tests.web.provoking import BATCH, SINGLE
from tokensvc.access.requests import PlaybackRequest
from tokensvc.clock import rfc3339
from tokensvc.ivs.viewer_sessions import Viewer
from tokensvc.playback.revocation.due_ends import DueEnd, DueEnds
from tokensvc.settings.model import PlaybackSettings
from tokensvc.waiting import MustWait, no_waiting


def post(deployment: Deployment, path: str, body: object) -> TestResponse:
    """The response of the route to the deployment's caller."""
    return deployment.client().post(
        path, json=body, headers={"Authorization": f"Bearer {deployment.key}"}, buffered=True
    )


def stored(deployment: Deployment, viewer_id: str) -> list[DueEnd]:
    """The stored due ends of that viewer."""
    every = [one.due_end for one in DueEnds(deployment.world.state).all()]
    return [one for one in every if one.viewer.viewer_id == viewer_id]


def test_the_token_expires_at_the_end_and_the_end_is_stored(deployment: Deployment) -> None:
    """Before the URL is handed out; the answer and the audit line say when playback ends."""
    now = deployment.world.clock.now()
    ends_at = int(now) + 30
    body = {"channel": "demo", "viewer_id": "preview", "watch_until": rfc3339(ends_at)}

    answer = post(deployment, SINGLE, body).get_json()

    assert answer["watch_until"] == rfc3339(ends_at)
    assert answer["expires_at"] == rfc3339(ends_at)
    assert answer["ttl_seconds"] == 30
    viewer = Viewer(deployment.channel, "preview")
    assert stored(deployment, "preview") == [DueEnd(viewer, int(now), now, ends_at)]
    (event,) = deployment.audit.events
    assert event.watch_until == ends_at


def test_an_end_after_the_token_s_own_changes_no_ttl(deployment: Deployment) -> None:
    """The token is for the start of playback only."""
    ends_at = int(deployment.world.clock.now()) + 7_200
    body = {"channel": "demo", "viewer_id": "film", "watch_until": rfc3339(ends_at)}

    answer = post(deployment, SINGLE, body).get_json()

    assert answer["ttl_seconds"] == 300
    assert answer["watch_until"] == rfc3339(ends_at)


def test_the_items_of_a_batch_have_their_own_ends(deployment: Deployment) -> None:
    """One that is wrong fails alone."""
    now = int(deployment.world.clock.now())
    items: list[dict[str, Any]] = [
        {"channel": "demo", "viewer_id": "b1", "watch_until": rfc3339(now + 60)},
        {"channel": "demo", "watch_until": rfc3339(now + 60)},
        {"channel": "demo", "viewer_id": "b3"},
    ]

    first, second, third = post(deployment, BATCH, {"requests": items}).get_json()["results"]

    assert first["watch_until"] == rfc3339(now + 60)
    assert [(one["field"], one["rule"]) for one in second["errors"]] == [
        ("viewer_id", "viewer_id_required")
    ]
    assert third["watch_until"] is None
    assert [one.ends_at for one in stored(deployment, "b1")] == [now + 60]
    assert stored(deployment, "b3") == []


@pytest.mark.parametrize("condition", [Condition.DOWN, Condition.LOSES_ANSWERS])
def test_without_a_stored_end_there_is_no_url(deployment: Deployment, condition: Condition) -> None:
    """The next request is answered when the state can be written again."""
    link = Link(condition)
    state = MemoryState(MemoryStore(), link)
    issuer = deployment.issuer_with(state=state)
    client = deployment.client_of(deployment.service_with(issuer=issuer))
    ends_at = int(deployment.world.clock.now()) + 30
    body = {"channel": "demo", "viewer_id": "alice", "watch_until": rfc3339(ends_at)}
    headers = {"Authorization": f"Bearer {deployment.key}"}

    assert_problem(client.post(SINGLE, json=body, headers=headers), "state_unavailable")
    link.condition = Condition.UP
    answer = client.post(SINGLE, json=body, headers=headers)

    assert answer.status_code == 200
    assert [event.decision for event in deployment.audit.events] == ["refused", "granted"]


def test_a_public_channel_has_no_end(deployment: Deployment) -> None:
    """Its plain URL has no token and no session, so nothing could end it."""
    ends_at = rfc3339(deployment.world.clock.now() + 30)
    issuer = deployment.issuer_with(playback=PlaybackSettings(allow_plain_urls=True))
    client = deployment.client_of(deployment.service_with(issuer=issuer))
    body = {"channel": "lobby", "viewer_id": "alice", "watch_until": ends_at}
    headers = {"Authorization": f"Bearer {deployment.key}"}

    assert_problem(client.post(SINGLE, json=body, headers=headers), "channel_not_private")
    del body["watch_until"]
    assert client.post(SINGLE, json=body, headers=headers).status_code == 200


def test_such_a_request_waits_in_a_thread_and_nothing_is_done_before(
    deployment: Deployment,
) -> None:
    """On the event loop nothing is stored or audited, because the request comes again."""
    ends_at = rfc3339(deployment.world.clock.now() + 30)
    request = PlaybackRequest(channel="demo", viewer_id="loop", watch_until=ends_at)

    with no_waiting(), pytest.raises(MustWait):
        deployment.issuer.issue(OPEN, request)

    assert stored(deployment, "loop") == []
    assert deployment.audit.events == []


def test_a_grant_ends_every_session_and_a_refresh_keeps_the_end(own_deployment: Deployment) -> None:
    """A preview of 30 s; the refresh has a new token for what is left of it."""
    deployment = own_deployment
    key = deployment.new_key("previews", "preview")
    headers = {"Authorization": f"Bearer {key}"}
    clock, client = deployment.world.clock, deployment.client()
    begin = int(clock.now())
    body = {"channel": "demo", "viewer_id": "guest"}

    first = client.post(SINGLE, json=body, headers=headers).get_json()
    clock.advance(24)
    again = {**body, "refresh_of": first["token"]}
    second = client.post(SINGLE, json=again, headers=headers).get_json()
    clock.advance(6)
    third = client.post(SINGLE, json=again, headers=headers)
    anonymous = client.post(SINGLE, json={"channel": "demo"}, headers=headers)

    assert [one["watch_until"] for one in (first, second)] == 2 * [rfc3339(begin + 30)]
    assert [one["ttl_seconds"] for one in (first, second)] == [30, 6]
    assert_problem(third, "viewer_revoked")
    assert_problem(anonymous, "invalid_request")
    assert [one.ends_at for one in stored(deployment, "guest")] == [begin + 30]
