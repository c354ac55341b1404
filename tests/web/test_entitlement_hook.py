"""Requests that the entitlement hook decides, through both routes, over real HTTP to a hook."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from tests.support import event_loop
from tests.support.deployment import OPEN, Deployment, directory_over
from tests.support.front_requests import Answer, Request
from tests.support.webhook_receiver import SECRET, WebhookReceiver, join_senders, webhook_receiver
from tests.web.problem_shape import assert_problem, assert_problem_document
from tokensvc.access.requests import PlaybackRequest
from tokensvc.clock import rfc3339
from tokensvc.errors import SettingsInvalid
from tokensvc.service import Service, build
from tokensvc.settings.entitlement import EntitlementSettings
from tokensvc.web.app import create_app
from tokensvc.web.front import Application, Front

SINGLE = "/v1/playback-urls"
BATCH = "/v1/playback-urls:batch"
WATCH = {"channel": "demo", "viewer_id": "viewer-1"}


def answer(**members: Any) -> bytes:
    """The body of an answer of the hook."""
    return json.dumps({"decision": "allow", **members}).encode()


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as receiver:
        receiver.otherwise = answer()
        yield receiver


@pytest.fixture(name="service")
def _service(deployment: Deployment, receiver: WebhookReceiver) -> Iterator[Service]:
    """The service of the deployment, whose grant `open` asks the hook."""
    grants = deployment.settings.grants
    asking = grants["open"].model_copy(update={"entitlement": True})
    hook = EntitlementSettings(url=receiver.url, secret=SecretStr(SECRET), timeout_seconds=1)
    settings = deployment.settings.model_copy(
        update={"grants": {**grants, "open": asking}, "entitlement": hook}
    )
    made = build(
        settings,
        deployment.world.clock,
        deployment.audit,
        state=deployment.world.state,
        rings=deployment.service.rings,
        bans=deployment.service.bans,
        directory=deployment.issuer._directory,
    )
    yield deployment.service_with(issuer=made.issuer, entitlement_hook=made.entitlement_hook)
    made.resources.close()


@pytest.fixture(name="client")
def _client(deployment: Deployment, service: Service) -> FlaskClient:
    client = deployment.client_of(service)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {deployment.key}"
    return client


def claims(token: str) -> dict[str, Any]:
    """The claims of the token, decoded without the code under test."""
    payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return payload


def test_the_hook_limits_what_is_granted(
    client: FlaskClient, receiver: WebhookReceiver, deployment: Deployment
) -> None:
    """Every option. What would be wider is not."""
    now = int(deployment.world.clock.now())
    receiver.behaviors = [
        answer(
            max_ttl_seconds=60,
            maximum_resolution="SD",
            allowed_origins=["https://a.example.com"],
            strict_origin_enforcement=True,
            single_use=True,
        )
    ]
    body = {**WATCH, "ttl_seconds": 120, "maximum_resolution": "HD"}
    granted = client.post(SINGLE, json=body).get_json()
    token = claims(granted["token"])
    assert token.pop("aws:single-use-uuid")
    assert token == {
        "aws:channel-arn": str(deployment.channel),
        "aws:access-control-allow-origin": "https://a.example.com",
        "aws:strict-origin-enforcement": True,
        "aws:viewer-id": "viewer-1",
        "aws:viewer-session-version": now,
        "aws:maximum-resolution": "SD",
        "exp": now + 60,
    }
    assert granted["ttl_seconds"] == 60

    receiver.behaviors = [answer(max_ttl_seconds=3_600, maximum_resolution="FULL_HD")]
    granted = client.post(SINGLE, json=body).get_json()
    assert granted["ttl_seconds"] == 120
    assert claims(granted["token"])["aws:maximum-resolution"] == "HD"


def test_watch_until_ends_the_token(
    client: FlaskClient, receiver: WebhookReceiver, deployment: Deployment
) -> None:
    """`exp` is no later; when it has passed, the request is refused."""
    now = int(deployment.world.clock.now())
    receiver.behaviors = [answer(watch_until=rfc3339(now + after)) for after in (30, 0)]
    assert claims(client.post(SINGLE, json=WATCH).get_json()["token"])["exp"] == now + 30
    assert_problem(client.post(SINGLE, json=WATCH), "not_entitled")


def test_the_hook_gets_what_the_decision_depends_on(
    client: FlaskClient, receiver: WebhookReceiver, deployment: Deployment
) -> None:
    """And is not asked about a request that is refused anyway, or a public channel."""
    for body, code in (
        ({"channel": "nowhere"}, "not_entitled"),
        ({"channel": "demo", "viewer_id": "ann@example.com"}, "invalid_request"),
        ({"channel": "lobby"}, "channel_not_private"),
    ):
        assert_problem(client.post(SINGLE, json=body), code)
    assert receiver.messages == []

    client.post(SINGLE, json=WATCH, headers={"X-Request-Id": "request-7"})
    (message,) = receiver.messages
    data = message.data
    assert data["request_id"] == "request-7"
    assert data["caller"]["name"] == "backend"
    assert data["channel"] == {"arn": str(deployment.channel), "name": "demo"}
    assert data["viewer_id"] == "viewer-1"
    assert data["granted"]["ttl_seconds"] == 300


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"decision": "deny", "reason": "No subscription."}, "No subscription."),
        ({"decision": "deny"}, ""),
        ({"strict_origin_enforcement": True}, ""),
        ({"allowed_origins": ["https://b.example.com"]}, ""),
    ],
)
def test_a_refusal_has_the_rule_and_the_reason(
    client: FlaskClient,
    receiver: WebhookReceiver,
    deployment: Deployment,
    members: dict[str, Any],
    message: str,
) -> None:
    """Also where the answer requires what this request can't have. It is audited."""
    receiver.behaviors = [answer(**members)]
    origins = [] if "strict_origin_enforcement" in members else ["https://a.example.com"]
    document = assert_problem(
        client.post(SINGLE, json={**WATCH, "allowed_origins": origins}), "not_entitled"
    )
    (error,) = document["errors"]
    assert error["rule"] == "entitlement_hook"
    assert message in {"", error["message"]}
    (event,) = deployment.audit.events
    assert (event.decision, event.code, event.grant) == ("refused", "not_entitled", "open")


@pytest.mark.parametrize("behavior", [500, 302, b"<html>", 20_000 * b" ", "close"])
def test_without_a_valid_answer_nothing_is_granted(
    client: FlaskClient, receiver: WebhookReceiver, behavior: Any
) -> None:
    """Until there is one again. Other grants do not need it."""
    receiver.behaviors = [behavior] * (2 if behavior == "close" else 1)
    assert_problem(client.post(SINGLE, json=WATCH), "entitlement_unavailable")
    assert client.post(SINGLE, json=WATCH).status_code == 200


def test_a_hook_that_hangs_costs_its_time_out(
    client: FlaskClient, receiver: WebhookReceiver, deployment: Deployment, service: Service
) -> None:
    """1 s here. Meanwhile a grant without a hook is served."""
    receiver.otherwise = "hang"
    began = time.monotonic()
    assert_problem(client.post(SINGLE, json=WATCH), "entitlement_unavailable")
    assert 0.9 < time.monotonic() - began < 10
    key = deployment.new_key(f"other {time.monotonic_ns()}", "website")
    response = deployment.client_of(service).post(
        SINGLE, json=WATCH, headers={"Authorization": f"Bearer {key}"}
    )
    assert response.status_code == 200


def test_a_batch_asks_about_its_items_at_once(
    client: FlaskClient, receiver: WebhookReceiver
) -> None:
    """Each item gets the answer to its own question; a refused item does not affect the others."""
    receiver.otherwise = answer(decision="deny")
    receiver.behaviors = [answer(cache_seconds=60)]
    assert client.post(SINGLE, json=WATCH).status_code == 200
    items = [WATCH, {**WATCH, "viewer_id": "viewer-2"}, {"channel": "nowhere"}]
    results = client.post(BATCH, json={"requests": items}).get_json()["results"]
    assert "playback_url" in results[0]
    for result in results[1:]:
        assert_problem_document(result, "not_entitled")
    assert [message.data["viewer_id"] for message in receiver.messages] == ["viewer-1", "viewer-2"]


@pytest.mark.parametrize("status", [500, 401])
def test_readiness_notes_that_the_hook_fails(
    client: FlaskClient, receiver: WebhookReceiver, status: int
) -> None:
    """After three failures in a row, also if it does not know the secret."""

    def code() -> str:
        response = client.get("/readyz")
        assert response.status_code == 200
        (check,) = [one for one in response.get_json()["checks"] if "hook" in one["name"]]
        return str(check["code"])

    receiver.otherwise = status
    codes = []
    for _ in range(3):
        codes.append(code())
        assert_problem(client.post(SINGLE, json=WATCH), "entitlement_unavailable")
    assert codes == ["", "", ""]
    assert code() == "entitlement_unavailable"


@pytest.mark.parametrize("application", [create_app], indirect=True)
def test_no_thread_for_requests_waits_for_the_hook(
    deployment: Deployment, service: Service, receiver: WebhookReceiver
) -> None:
    """On the event loop: a single request for an unknown channel, and a batch of 30."""
    front = Front(cast("Application", create_app(service)), threads=1)
    front._pool = cast("Any", None)
    headers = {"authorization": f"Bearer {deployment.key}"}
    channel = deployment.issuer._directory.get(deployment.channel)
    service.issuer._directory = directory_over(lambda _: channel, deployment.world.clock)

    def post(path: str, body: object) -> Any:
        made: Answer | None = event_loop.run(Request(path, body, headers).send_to(front))
        assert made is not None
        return made.json()

    assert "token" in post(SINGLE, WATCH)
    items = [{**WATCH, "viewer_id": f"viewer-{number}"} for number in range(30)]
    results = post(BATCH, {"requests": items})["results"]
    assert [result.get("viewer_id") for result in results] == [
        f"viewer-{number}" for number in range(30)
    ]
    assert len(receiver.messages) == 31
    join_senders()


@pytest.mark.parametrize("application", [create_app], indirect=True)
def test_the_hook_is_asked_once_although_a_due_end_is_stored_in_a_thread(
    deployment: Deployment, service: Service, receiver: WebhookReceiver
) -> None:
    """The request runs three times: until it waits for the hook, for the write, and then."""
    deployment.issuer.issue(OPEN, PlaybackRequest(channel="demo"), "request-1")
    end = int(deployment.world.clock.now()) + 60
    receiver.otherwise = answer(watch_until=rfc3339(end))
    front = Front(cast("Application", create_app(service)), threads=1)
    body = {**WATCH, "viewer_id": "viewer-8"}
    request = Request(SINGLE, body, {"authorization": f"Bearer {deployment.key}"})
    made = event_loop.run(request.send_to(front))
    assert made is not None
    granted = made.json()
    assert (granted["watch_until"], granted["expires_at"]) == (rfc3339(end), rfc3339(end))
    assert len(receiver.messages) == 1

    join_senders()
    assert event_loop.run(request.send_to(front)) is not None  # The answer was not kept for it.
    assert len(receiver.messages) == 2


def test_a_secret_that_is_none_stops_the_start(deployment: Deployment, tmp_path: Path) -> None:
    """With the name of the setting."""
    hook = EntitlementSettings(url="https://hook.test/", secret_file=tmp_path / "missing")
    settings = deployment.settings.model_copy(update={"entitlement": hook})
    with pytest.raises(SettingsInvalid) as refused:
        build(settings, deployment.world.clock, deployment.audit, state=deployment.world.state)
    assert "entitlement.secret_file" in refused.value.hint
