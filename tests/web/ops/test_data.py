"""`GET /v1/ops`: what one process knows, for operators."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from flask.testing import FlaskClient

from tests.keyring.rings import DRAIN_SECONDS
from tests.support.deployment import Deployment
from tests.support.oidc_deployment import oidc_deployment
from tests.support.settings import SECRET
from tests.web.problem_shape import assert_problem
from tokensvc.access.viewer_ids import ViewerIds
from tokensvc.service import build

PATH = "/v1/ops"


def client_of(deployment: Deployment) -> FlaskClient:
    """A client of a service with the page, with the API key of a backend."""
    client = deployment.client_of(deployment.service_with_ops_page())
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {deployment.key}"
    return client


def operator_of(deployment: Deployment) -> dict[str, str]:
    """The header of an operator's new API key."""
    number = len(deployment.service.api_keys.latest().value.keys)
    key = deployment.new_key(f"operator {number}", scopes=("operate",))
    return {"Authorization": f"Bearer {key}"}


def shown(client: FlaskClient, operator: dict[str, str]) -> dict[str, Any]:
    """What the page shows."""
    answer = client.get(PATH, headers=operator)
    assert answer.status_code == 200, answer.text
    members: dict[str, Any] = answer.get_json()
    return members


def test_it_is_off_by_default(deployment: Deployment) -> None:
    """Then no path of it exists, and no decision is kept."""
    operator = operator_of(deployment)
    assert deployment.settings.service.ops_page is False
    assert deployment.service.recent_decisions is None
    off = deployment.client()
    for path in (PATH, "/ops", "/ops/ops.js"):
        assert_problem(off.get(path, headers=operator), "not_found")
    assert_problem(off.post(PATH, headers=operator), "not_found")


def test_the_setting_turns_it_on(deployment: Deployment) -> None:
    """For a service that is built from the settings, which then keeps its decisions."""
    operator = operator_of(deployment)
    settings = deployment.settings
    on = settings.service.model_copy(update={"ops_page": True})
    service = build(
        settings.model_copy(update={"service": on}),
        deployment.world.clock,
        deployment.audit,
        state=deployment.world.state,
        directory=deployment.service.directory,
    )
    service.read()
    client = deployment.client_of(service)
    headers = {"Authorization": f"Bearer {deployment.key}"}
    client.post("/v1/playback-urls", json={"channel": "demo"}, headers=headers)
    assert shown(client, operator)["decisions"]["granted"] == 1
    assert len(deployment.audit.events) == 1
    service.close()


def test_others_than_operators_do_not_see_it(deployment: Deployment) -> None:
    """A backend that may request URLs, a key that is not valid, and a client without one."""
    client = client_of(deployment)
    assert_problem(client.get(PATH), "not_permitted")
    wrong = {"Authorization": "Bearer tsk_000000000000_wrong"}
    assert_problem(client.get(PATH, headers=wrong), "unauthenticated")
    assert_problem(client.get(PATH, headers={"Authorization": ""}), "unauthenticated")


def test_a_ring_with_a_standby_waits_for_nothing(deployment: Deployment) -> None:
    """Each key pair has the times of its life so far."""
    client, operator = client_of(deployment), operator_of(deployment)
    answer = shown(client, operator)
    assert answer["process_id"] == os.getpid()
    assert answer["processes"] == 2  # The default of `service.workers`.
    (region,) = answer["regions"]
    active, standby = region["key_pairs"]
    assert region["region"] == "us-west-2"
    assert region["next_step"] is None
    assert region["reconcile"] is None
    assert active["key_id"] == deployment.active_key_id
    assert (active["state"], active["activated_at"]) == ("active", "2027-01-15T08:01:00Z")
    assert (standby["state"], standby["published_at"]) == ("published", "2027-01-15T08:01:00Z")
    assert standby["activated_at"] is None
    assert active["drained_at"] is None


def test_a_drain_has_its_end_and_is_the_next_step(own_deployment: Deployment) -> None:
    """As soon as the process has read the ring, without another request to Amazon IVS."""
    client, operator = client_of(own_deployment), operator_of(own_deployment)
    world, before = own_deployment.world, own_deployment.active_key_id
    world.rotator().request_rotation(reason="monthly")
    world.reconcile()
    own_deployment.read_state_again()
    (region,) = shown(client, operator)["regions"]
    draining = next(pair for pair in region["key_pairs"] if pair["key_id"] == before)
    switched_at = world.clock.now()
    assert draining["state"] == "retiring"
    assert draining["signing_ended_at"] == time_text(switched_at)
    assert draining["drained_at"] == time_text(switched_at + DRAIN_SECONDS)
    step = region["next_step"]
    assert (step["action"], step["key_id"]) == ("delete", before)
    assert (step["at"], step["is_due"]) == (draining["drained_at"], False)
    world.clock.advance(DRAIN_SECONDS)
    (region,) = shown(client, operator)["regions"]
    assert region["next_step"]["is_due"] is True


def test_a_rotation_request_is_shown(own_deployment: Deployment) -> None:
    """With who made it and why."""
    client, operator = client_of(own_deployment), operator_of(own_deployment)
    own_deployment.world.rotator().request_rotation(reason="monthly")
    own_deployment.read_state_again()
    (region,) = shown(client, operator)["regions"]
    assert "monthly" in region["rotation_request"]
    assert region["next_step"]["action"] == "switch"
    assert region["next_step"]["is_due"] is True


def test_decisions_are_shown_with_their_caller_and_without_their_viewer(
    deployment: Deployment,
) -> None:
    """The newest first, refusals counted by code; a secret in a channel is not shown."""
    client, operator = client_of(deployment), operator_of(deployment)
    headers = {"X-Request-Id": "first"}
    body = {"channel": "demo", "viewer_id": "viewer-17"}
    granted = client.post("/v1/playback-urls", json=body, headers=headers)
    token = granted.get_json()["token"]
    for channel in ("unknown", "unknown", deployment.key):
        client.post("/v1/playback-urls", json={"channel": channel})
    client.get("/v1/keys", headers={"Authorization": "Bearer wrong"})
    answer = shown(client, operator)
    decisions = answer["decisions"]
    assert decisions["granted"] == 1
    assert decisions["refused"] == [
        {"code": "not_entitled", "count": 3},
        {"code": "unauthenticated", "count": 1},
    ]
    first = decisions["latest"][-1]
    assert first["decision"] == "granted"
    assert first["channel"] == "demo"
    assert first["channel_arn"] == str(deployment.channel)
    assert first["grant"] == "open"
    assert first["request_id"] == "first"
    assert deployment.key.startswith(f"tsk_{first['caller_id']}_")
    assert [each["code"] for each in decisions["latest"][:2]] == ["unauthenticated", "not_entitled"]
    text = json.dumps(answer)
    assert "viewer-17" not in text
    assert token.rpartition(".")[2] not in text
    assert deployment.key not in text


def test_channels_are_shown_with_the_age_of_their_answer(own_deployment: Deployment) -> None:
    """Those about which something is known, without a look-up."""
    client, operator = client_of(own_deployment), operator_of(own_deployment)
    assert shown(client, operator)["channels"] == {"cached": 0, "listed": []}
    for channel in ("demo", "lobby"):
        client.post("/v1/playback-urls", json={"channel": channel})
    own_deployment.world.clock.advance(100)
    channels = shown(client, operator)["channels"]
    assert channels["cached"] == 2
    lobby, demo = channels["listed"]
    assert (demo["names"], demo["answer"], demo["age_seconds"]) == (["demo"], "private", 100)
    assert (lobby["names"], lobby["answer"], lobby["age_seconds"]) == (["lobby"], "public", 100)
    assert 170 <= demo["refresh_in_seconds"] <= 200  # 300 s less a random tenth, 100 s ago.


def test_bans_are_shown_without_the_viewer(own_deployment: Deployment) -> None:
    """How many, the newest, and who made them."""
    client, operator = client_of(own_deployment), operator_of(own_deployment)
    key = own_deployment.new_key("mod", "open", scopes=("moderate",))
    moderator = {"Authorization": f"Bearer {key}"}
    body = {"viewer_id": "viewer-17", "channel": "demo", "ban_seconds": 600, "note": "rude"}
    client.post("/v1/viewer-session-revocations", json=body, headers=moderator)
    answer = shown(client, operator)
    bans = answer["bans"]
    assert (bans["kept"], bans["active"]) == (1, 1)
    (ban,) = bans["latest"]
    assert (ban["kind"], ban["state"]) == ("ban", "active")
    assert ban["channel_arn"] == str(own_deployment.channel)
    assert key.startswith(f"tsk_{ban['made_by']}_")
    text = json.dumps(answer)
    assert "viewer-17" not in text
    assert "rude" not in text


def test_the_viewer_ids_in_the_ids_of_users_are_not_shown(own_deployment: Deployment) -> None:
    """The ID of a caller who signs in ends with the viewer ID: only the issuer is shown."""
    terms = {"scopes": ("mint", "moderate")}
    with oidc_deployment(own_deployment, **terms) as oidc:
        service = dataclasses.replace(own_deployment.service_with_ops_page(), oidc=oidc.callers)
        client, operator = own_deployment.client_of(service), operator_of(own_deployment)
        user = {"Authorization": f"Bearer {oidc.token(sub='ann')}"}
        for path, body in (
            ("/v1/playback-urls", {"channel": "demo"}),
            ("/v1/viewer-session-revocations", {"channel": "demo", "viewer_id": "viewer-17"}),
        ):
            assert client.post(path, json=body, headers=user).status_code in {200, 202}
        answer = shown(client, operator)
    (viewer_id, *_) = ViewerIds([SECRET]).of(oidc.issuer.url, "ann")
    (decision,), (ban,) = answer["decisions"]["latest"], answer["bans"]["latest"]
    assert (decision["caller_id"], ban["made_by"]) == ("oidc:main", "oidc:main")
    assert viewer_id not in json.dumps(answer)


def test_views_have_their_ages_and_limits(own_deployment: Deployment) -> None:
    """In seconds; the ring's limit is the one of its terms."""
    client, operator = client_of(own_deployment), operator_of(own_deployment)
    own_deployment.world.clock.advance(30)
    views = {view["name"]: view for view in shown(client, operator)["views"]}
    assert views["ring us-west-2"]["age_seconds"] == 30
    assert views["ring us-west-2"]["max_age_seconds"] == 120
    assert views["bans"]["age_seconds"] == 30
    assert views["API keys"]["max_age_seconds"] == 120
    assert views["API keys"]["code"] == ""
    assert views["runs of reconcile"]["max_age_seconds"] is None


def time_text(unix_seconds: float) -> str:
    """That time as in an answer; the example time is 2027-01-15T08:00:00Z."""
    minutes, seconds = divmod(int(unix_seconds) - 1_800_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"2027-01-15T{8 + hours:02}:{minutes:02}:{seconds:02}Z"
