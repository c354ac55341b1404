"""The active key is marked compromised: no token and not ready, until another one takes over."""

from __future__ import annotations

from typing import Any

from werkzeug.test import TestResponse

from tests.support.deployment import Deployment
from tests.web.problem_shape import assert_problem, assert_problem_document


def post(deployment: Deployment, path: str, body: dict[str, Any]) -> TestResponse:
    """The response to the caller of the deployment."""
    bearer = {"Authorization": f"Bearer {deployment.key}"}
    return deployment.client().post(path, json=body, headers=bearer)


def test_no_token_is_signed_by_a_compromised_key(own_deployment: Deployment) -> None:
    """Alone or in a batch, until another key pair has taken over; that one signs then."""
    world, compromised = own_deployment.world, own_deployment.active_key_id
    world.revoke([compromised], "laptop lost")
    own_deployment.read_state_again()
    requests = {"requests": [{"channel": "demo"}, {"channel": "lobby"}]}

    alone = post(own_deployment, "/v1/playback-urls", {"channel": "demo"})
    batch = post(own_deployment, "/v1/playback-urls:batch", requests)

    assert_problem(alone, "no_signing_key")
    assert batch.status_code == 200
    private, public = batch.get_json()["results"]
    assert_problem_document(private, "no_signing_key")
    assert_problem_document(public, "channel_not_private")
    world.reconcile()
    own_deployment.read_state_again()
    after = post(own_deployment, "/v1/playback-urls:batch", requests).get_json()["results"]
    assert after[0]["key_id"] == own_deployment.active_key_id != compromised


def test_the_service_is_not_ready_until_the_switch(own_deployment: Deployment) -> None:
    """Every replica has that fault, so none is taken out of service for it."""
    client, world = own_deployment.client(), own_deployment.world
    world.revoke([own_deployment.active_key_id], "laptop lost")
    own_deployment.read_state_again()

    document = assert_problem(client.get("/readyz"), "no_signing_key")

    assert [error["field"] for error in document["errors"]] == ["ring us-west-2"]
    assert client.get("/readyz?scope=replica").status_code == 200
    world.reconcile()
    own_deployment.read_state_again()
    assert client.get("/readyz").status_code == 200
