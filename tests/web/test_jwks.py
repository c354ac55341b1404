from __future__ import annotations

import json

from joserfc import jws
from joserfc.jwk import KeySet

from tests.support.deployment import Deployment
from tests.web.problem_shape import assert_problem


def test_the_key_set_verifies_what_is_signed(deployment: Deployment) -> None:
    """With another JOSE library, and the public key of the active key pair only."""
    client = deployment.client()
    answer = client.post(
        "/v1/playback-urls",
        json={"channel": "demo"},
        headers={"Authorization": f"Bearer {deployment.key}"},
    ).get_json()
    document = client.get("/.well-known/jwks.json").get_json()
    (member,) = document["keys"]
    active = deployment.public_keys[deployment.active_key_id]
    assert member["kid"] == active.thumbprint
    assert (member["kty"], member["crv"], member["alg"]) == ("EC", "P-384", "ES384")
    assert set(member) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    keys = KeySet.import_key_set(document)
    token = jws.deserialize_compact(answer["token"], keys.keys[0], algorithms=["ES384"])
    assert json.loads(token.payload)["aws:channel-arn"] == str(deployment.channel)


def test_after_a_rotation_the_retiring_key_is_still_listed(own_deployment: Deployment) -> None:
    """Its tokens may still play. The standby, which has signed nothing, is not listed."""
    old_key_id = own_deployment.active_key_id
    rotator = own_deployment.world.rotator()
    rotator.request_rotation("monthly")
    own_deployment.world.reconcile(rotator)
    own_deployment.world.clock.advance(121)
    listed = own_deployment.client().get("/.well-known/jwks.json").get_json()["keys"]
    signed = [
        own_deployment.public_keys[key_id] for key_id in (old_key_id, own_deployment.active_key_id)
    ]
    assert [key["kid"] for key in listed] == sorted(key.thumbprint for key in signed)


def test_the_key_set_may_be_cached_and_read_from_anywhere(deployment: Deployment) -> None:
    """For 60 seconds; the key set is public."""
    response = deployment.client().get("/.well-known/jwks.json")
    assert response.headers["Cache-Control"] == "public, max-age=60"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


def test_no_private_member_is_in_the_key_set(deployment: Deployment) -> None:
    """The member `d` would be the private key."""
    text = deployment.client().get("/.well-known/jwks.json").get_data(as_text=True)
    assert '"d"' not in text


def test_a_key_set_that_is_too_old_is_refused(own_deployment: Deployment) -> None:
    """The verifier gets a 503 that no cache may store."""
    world = own_deployment.world
    (world.folder / "state.sqlite3").rename(world.folder / "moved")
    world.clock.advance(121)
    assert_problem(own_deployment.client().get("/.well-known/jwks.json"), "state_unavailable")
