"""Rule 11: rotation runs as a command, never inside a web worker."""

from __future__ import annotations

import urllib3

from tests.keyring.rings import DRAIN_SECONDS
from tests.support.deployment import Deployment


def key_pair_operations(deployment: Deployment) -> list[str]:
    """The key pair operations among the latest requests to Local IVS."""
    answer = urllib3.request("GET", f"{deployment.world.ivs.url}/_local/requests").json()
    return [request["what"] for request in answer["requests"] if "KeyPair" in request["what"]]


def test_a_worker_does_not_execute_a_step_of_a_rotation_that_is_due(
    own_deployment: Deployment,
) -> None:
    """A rotation request waits and a retiring key pair has drained: the worker only signs."""
    world, client = own_deployment.world, own_deployment.client()
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(DRAIN_SECONDS)
    world.rotator().request_rotation("again", force=True)
    before, operations_before = world.ring, key_pair_operations(own_deployment)
    assert operations_before

    answer = client.post(
        "/v1/playback-urls",
        json={"channel": "demo"},
        headers={"Authorization": f"Bearer {own_deployment.key}"},
    )
    for path in ("/healthz", "/readyz", "/.well-known/jwks.json"):
        assert client.get(path).status_code == 200

    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["key_id"] == own_deployment.active_key_id
    assert world.ring == before
    assert key_pair_operations(own_deployment) == operations_before
