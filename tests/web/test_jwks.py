from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from tests.keyring.rings import REGION
from tests.support.deployment import Deployment
from tests.web.problem_shape import assert_problem
from tokensvc.keyring.model import Act, KeyState
from tokensvc.token.claims import PlaybackClaims, PlaybackOptions
from tokensvc.token.jws import sign

VERIFYING = Path(__file__).parents[2] / "docs" / "verifying.md"


def test_the_key_set_verifies_what_is_signed(deployment: Deployment) -> None:
    """With another JOSE library, and the public key of the active key pair."""
    client = deployment.client()
    answer = client.post(
        "/v1/playback-urls",
        json={"channel": "demo"},
        headers={"Authorization": f"Bearer {deployment.key}"},
    ).get_json()
    document = client.get("/.well-known/jwks.json").get_json()
    active = deployment.public_keys[deployment.active_key_id]
    (member,) = (key for key in document["keys"] if key["kid"] == active.thumbprint)
    assert (member["kty"], member["crv"], member["alg"]) == ("EC", "P-384", "ES384")
    assert set(member) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    keys = KeySet.import_key_set({"keys": [member]})
    token = jws.deserialize_compact(answer["token"], keys.keys[0], algorithms=["ES384"])
    assert json.loads(token.payload)["aws:channel-arn"] == str(deployment.channel)


def kids(deployment: Deployment) -> list[str]:
    """The IDs of the listed keys, in their order."""
    document = deployment.client().get("/.well-known/jwks.json").get_json()
    return [key["kid"] for key in document["keys"]]


def rotate(deployment: Deployment) -> None:
    """Let the standby become active, and make the next one; the service sees it."""
    rotator = deployment.world.rotator()
    rotator.request_rotation("monthly")
    deployment.world.reconcile(rotator)
    deployment.service.rings[REGION].refresh()


def test_the_standby_is_listed_as_soon_as_it_is_published(own_deployment: Deployment) -> None:
    """So a verifier that caches the set knows every key before it signs."""
    ring = own_deployment.world.ring
    assert [pair.state for pair in ring.pairs] == [KeyState.ACTIVE, KeyState.PUBLISHED]
    expected = [pair.require_public_key().thumbprint for pair in ring.pairs]
    assert kids(own_deployment) == sorted(expected)


def test_after_a_rotation_the_retiring_key_is_still_listed(own_deployment: Deployment) -> None:
    """Its tokens may still play."""
    old_key_id = own_deployment.active_key_id
    rotate(own_deployment)
    assert own_deployment.active_key_id != old_key_id
    public_keys = own_deployment.public_keys
    assert old_key_id in public_keys
    assert kids(own_deployment) == sorted(key.thumbprint for key in public_keys.values())


def test_a_withdrawn_standby_is_not_listed(own_deployment: Deployment) -> None:
    """It has signed nothing, and never will."""
    (standby,) = own_deployment.world.ring.in_state(KeyState.PUBLISHED)
    store = own_deployment.world.store
    stored = store.load()
    assert stored is not None
    withdrawn = stored.ring.withdrawn(
        standby.key_id, Act(own_deployment.world.clock.now(), "ann@desk", "withdrawn")
    )
    store.save(withdrawn, replacing=stored.version)
    own_deployment.service.rings[REGION].refresh()
    active = own_deployment.public_keys[own_deployment.active_key_id]
    assert kids(own_deployment) == [active.thumbprint]


def test_the_documented_verifier_accepts_every_token(own_deployment: Deployment) -> None:
    """The PyJWT example of the documentation, with a set that it read before the rotation."""
    code = re.search(r"```python\n(.*?)```", VERIFYING.read_text(), re.DOTALL)
    assert code is not None
    example: dict[str, Any] = {}
    exec(code[1], example)  # noqa: S102 # The code of our own page.
    cached = own_deployment.client().get("/.well-known/jwks.json").get_json()
    view = own_deployment.service.rings[REGION]

    def token(ttl_seconds: int = 300) -> str:
        # PyJWT reads the time of the machine.
        claims = PlaybackClaims.at(
            time.time(), own_deployment.channel, PlaybackOptions(ttl_seconds=ttl_seconds), None
        )
        return sign(claims, view.active(own_deployment.world.moment()).signer)

    def verified_channel(text: str, channel: object = own_deployment.channel) -> object:
        return example["verified_claims"](text, cached, str(channel))["aws:channel-arn"]

    before = token()
    rotate(own_deployment)
    after = token()
    assert verified_channel(before) == verified_channel(after) == str(own_deployment.channel)
    with pytest.raises(jwt.InvalidTokenError):
        verified_channel(after, own_deployment.public_channel)
    with pytest.raises(jwt.InvalidSignatureError):
        verified_channel(after[:-8] + "AAAAAAAA")


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
