"""`POST /v1/viewer-session-revocations`, on Local IVS and its playback edge."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
import urllib3
from werkzeug.test import TestResponse

from tests.support.deployment import Deployment
from tests.support.settings import SECRET
from tests.web.problem_shape import assert_problem
from tests.web.provoking import SINGLE
from tokensvc.access import recorded_secrets
from tokensvc.access.bans.model import Ban
from tokensvc.access.callers import Scope
from tokensvc.access.viewer_ids import ViewerIds
from tokensvc.clock import rfc3339
from tokensvc.revokers import build_revoker
from tokensvc.settings.issuers import IssuerSettings
from tokensvc.settings.viewer_ids import ViewerIdSettings
from tokensvc.web.app import create_app

PATH = "/v1/viewer-session-revocations"
# The route is Flask's in both applications.
pytestmark = pytest.mark.parametrize("application", [create_app], indirect=True)
LONG_NAMES = [f"arn:aws:ivs:us-west-2:123456789012:channel/c{n}" for n in range(101)]


def post(deployment: Deployment, body: object, key: str | None = None) -> TestResponse:
    """The response to a moderator whose grants cover every channel, or to that key."""
    key = key or moderator(deployment, "open", "website", "other-region")
    headers = {"Authorization": f"Bearer {key}"}
    return deployment.client().post(PATH, json=body, headers=headers)


def moderator(
    deployment: Deployment, *grants: str, scopes: tuple[Scope, ...] = ("moderate",)
) -> str:
    """A new API key with those grants."""
    number = len(deployment.service.api_keys.latest().value.keys)
    return deployment.new_key(f"moderator {number}", *grants, scopes=scopes)


def playback_url(deployment: Deployment, viewer_id: str) -> str:
    """A playback URL for that viewer of the demo channel."""
    body = {"channel": "demo", "viewer_id": viewer_id}
    headers = {"Authorization": f"Bearer {deployment.key}"}
    url: str = (
        deployment.client().post(SINGLE, json=body, headers=headers).get_json()["playback_url"]
    )
    return url


def variant_in(playback_url: str) -> str:
    """The URL of a variant playlist of a session that begins."""
    answer = urllib3.request("GET", playback_url, retries=False)
    assert answer.status == 200, answer.data
    return [line for line in answer.data.decode().splitlines() if not line.startswith("#")][-1]


def status(deployment: Deployment, variant: str) -> int:
    """What the edge answers to the player's next request."""
    return urllib3.request("GET", deployment.world.ivs.url + variant, retries=False).status


def stored(deployment: Deployment, ban_id: str) -> Ban:
    """The ban as it is stored."""
    return deployment.service.bans.refresh().find(ban_id)


def plan_fault(deployment: Deployment, **fault: Any) -> None:
    """Let the next calls that revoke sessions fail."""
    url = f"{deployment.world.ivs.url}/_local/faults"
    fault = {"operation": "BatchStartViewerSessionRevocation", "kind": "error", **fault}
    assert urllib3.request("POST", url, json=fault, retries=False).status < 300


def rules(response: TestResponse) -> list[tuple[str, str]]:
    """The field and rule of each error."""
    errors = assert_problem(response, "invalid_request")["errors"]
    return [(error["field"], error["rule"]) for error in errors]


def test_a_kick_ends_the_session_at_once(own_deployment: Deployment) -> None:
    """The answer says that IVS has confirmed it, and from when on the viewer may come back."""
    deployment = own_deployment
    variant = variant_in(playback_url(deployment, "alice"))
    assert status(deployment, variant) == 200
    now = int(deployment.world.clock.now())
    deployment.audit.events.clear()

    response = post(deployment, {"viewer_id": "alice", "channel": "demo", "note": "spam"})

    assert response.status_code == 202
    (kicked,) = response.get_json()["revocations"]
    assert response.get_json() == {
        "revocations": [
            {
                "ban_id": kicked["ban_id"],
                "viewer_ids": ["alice"],
                "channel_arn": str(deployment.channel),
                "banned_until": None,
                "line_passes_at": rfc3339(now + 11),
                "pending": False,
            }
        ],
        "pending": 0,
        "expected_at": None,
    }
    assert status(deployment, variant) == 403
    assert (
        stored(deployment, kicked["ban_id"]).note,
        stored(deployment, kicked["ban_id"]).line,
    ) == (
        "spam",
        now + 10,
    )
    (event,) = deployment.audit.events
    assert (event.decision, event.viewer_id, event.ban_id) == ("kicked", "alice", kicked["ban_id"])
    body = {"channel": "demo", "viewer_id": "alice"}
    headers = {"Authorization": f"Bearer {deployment.key}"}
    refused = deployment.client().post(SINGLE, json=body, headers=headers)
    assert assert_problem(refused, "viewer_revoked")["retry_after_seconds"] == 11
    deployment.world.clock.advance(11)
    variant_in(playback_url(deployment, "alice"))


def test_a_ban_ends_the_sessions_and_lets_the_viewer_in_when_it_is_over(
    own_deployment: Deployment,
) -> None:
    """This process refuses at once: it need not wait for its next look at the state."""
    deployment = own_deployment
    variant = variant_in(playback_url(deployment, "alice"))

    banned = post(
        deployment, {"viewer_id": "alice", "channels": ["demo"], "ban_seconds": 600}
    ).get_json()

    assert banned["pending"] == 0
    assert status(deployment, variant) == 403
    body = {"channel": "demo", "viewer_id": "alice"}
    headers = {"Authorization": f"Bearer {deployment.key}"}
    for seconds in (0, 599):
        deployment.world.clock.advance(seconds)
        deployment.read_state_again()
        refused = deployment.client().post(SINGLE, json=body, headers=headers)
        assert_problem(refused, "viewer_banned")
    deployment.world.clock.advance(2)
    variant_in(playback_url(deployment, "alice"))


def test_on_all_channels(own_deployment: Deployment) -> None:
    """One ban for all; other viewers go on."""
    deployment = own_deployment
    alice = variant_in(playback_url(deployment, "alice"))
    bob = variant_in(playback_url(deployment, "bob"))

    answer = post(deployment, {"viewer_id": "alice", "all_channels": True}).get_json()

    assert [one["channel_arn"] for one in answer["revocations"]] == [None]
    assert answer["pending"] == 0
    assert [status(deployment, variant) for variant in (alice, bob)] == [403, 200]


def test_while_ivs_fails_the_kick_is_stored_and_pending(own_deployment: Deployment) -> None:
    """The same request again goes on with it; the answer says when it is expected."""
    deployment = own_deployment
    variant = variant_in(playback_url(deployment, "alice"))
    plan_fault(deployment, error="InternalServerException", times=3)  # The SDK sends it thrice.
    body = {"viewer_id": "alice", "channel": "demo"}
    key = moderator(deployment, "open")

    first = post(deployment, body, key).get_json()
    (pending,) = first["revocations"]
    assert (pending["pending"], first["pending"]) == (True, 1)
    assert first["expected_at"] == rfc3339(deployment.world.clock.now() + 4.5)
    assert stored(deployment, pending["ban_id"]).unconfirmed
    assert status(deployment, variant) == 200
    (second,) = post(deployment, body, key).get_json()["revocations"]

    assert second == {**pending, "pending": False}
    assert status(deployment, variant) == 403


def test_a_second_kick_ends_what_began_since_a_first_one_that_is_pending(
    own_deployment: Deployment,
) -> None:
    """A worker whose clock is 10 s ahead lets the viewer in 1 s after the first kick."""
    deployment = own_deployment
    body = {"viewer_id": "alice", "channel": "demo"}
    key = moderator(deployment, "open")
    plan_fault(deployment, error="InternalServerException", times=3)
    (first,) = post(deployment, body, key).get_json()["revocations"]
    deployment.world.clock.jump_wall(11)
    variant = variant_in(playback_url(deployment, "alice"))
    deployment.world.clock.jump_wall(-10)  # The time of the worker that answers the moderator.

    (second,) = post(deployment, body, key).get_json()["revocations"]

    assert second["ban_id"] != first["ban_id"]
    assert second["line_passes_at"] == rfc3339(deployment.world.clock.now() + 11)
    assert status(deployment, variant) == 403


def test_a_user_of_an_issuer_that_is_not_configured_can_not_be_banned(
    own_deployment: Deployment,
) -> None:
    """It would have no effect: the slash at the end counts. Nothing is stored."""
    deployment = own_deployment
    recorded_secrets.record(deployment.world.state, ViewerIds([SECRET]))
    issuer = IssuerSettings(issuer="https://a.example.com/", audience=("tokensvc",))
    settings = deployment.settings.model_copy(
        update={
            "issuers": {"main": issuer},
            "viewer_ids": ViewerIdSettings.model_validate({"secret": SECRET.hex()}),
        }
    )
    clock, state, bans = deployment.world.clock, deployment.world.state, deployment.service.bans
    key = moderator(deployment, "open")
    with ExitStack() as resources:
        revoker = build_revoker(settings, clock, state, bans, deployment.audit, None, resources)
        client = deployment.client_of(deployment.service_with(revoker=revoker))
        headers = {"Authorization": f"Bearer {key}"}
        body = {"subject": "ann", "channel": "demo", "ban_seconds": 60}
        for unknown in ("https://a.example.com", "https://A.example.com/", "main"):
            refused = client.post(PATH, json={"issuer": unknown, **body}, headers=headers)
            assert rules(refused) == [("issuer", "unknown_issuer")]
        assert bans.refresh().number == 0

        known = client.post(PATH, json={"issuer": issuer.issuer, **body}, headers=headers)
        assert known.status_code == 202


def test_a_user_with_an_id_under_two_secrets_counts_twice(own_deployment: Deployment) -> None:
    """So 51 channels are 102 pairs, more than 100. Nothing is stored."""
    deployment = own_deployment
    earlier = bytes(reversed(SECRET))
    recorded_secrets.record(deployment.world.state, ViewerIds([SECRET, earlier]))
    issuer = IssuerSettings(issuer="https://a.example.com/", audience=("tokensvc",))
    both = ViewerIdSettings.model_validate({"secret": f"{SECRET.hex()} {earlier.hex()}"})
    settings = deployment.settings.model_copy(
        update={"issuers": {"main": issuer}, "viewer_ids": both}
    )
    clock, state, bans = deployment.world.clock, deployment.world.state, deployment.service.bans
    headers = {"Authorization": f"Bearer {moderator(deployment, 'open')}"}
    with ExitStack() as resources:
        revoker = build_revoker(settings, clock, state, bans, deployment.audit, None, resources)
        client = deployment.client_of(deployment.service_with(revoker=revoker))
        user = {"issuer": issuer.issuer, "subject": "ann"}

        refused = client.post(PATH, json={**user, "channels": LONG_NAMES[:51]}, headers=headers)
        assert rules(refused) == [("channels", "too_many_pairs")]
        assert bans.refresh().number == 0

        accepted = client.post(PATH, json={**user, "channels": LONG_NAMES[:50]}, headers=headers)
        assert accepted.status_code == 202


def test_a_throttled_call_is_made_again_at_once(own_deployment: Deployment) -> None:
    """Another process may have used the two calls of this second."""
    plan_fault(own_deployment, error="ThrottlingException")

    answer = post(own_deployment, {"viewer_id": "alice", "channel": "demo"}).get_json()

    assert answer["pending"] == 0


def test_several_channels_are_revoked_in_one_request(own_deployment: Deployment) -> None:
    """Twenty in a call. Channels that do not exist have no viewers."""
    body = {"viewer_id": "alice", "channels": ["demo", *LONG_NAMES[:20], "demo"]}

    answer = post(own_deployment, body).get_json()

    assert len(answer["revocations"]) == 21
    assert answer["pending"] == 0


@pytest.mark.parametrize(
    ("body", "broken"),
    [
        ({"channel": "demo"}, ("viewer_id", "one_viewer")),
        (
            {"channel": "demo", "viewer_id": "v", "issuer": "i", "subject": "s"},
            ("viewer_id", "one_viewer"),
        ),
        ({"channel": "demo", "issuer": "i"}, ("viewer_id", "one_viewer")),
        ({"viewer_id": "v"}, ("channel", "one_of_channels")),
        ({"viewer_id": "v", "channels": []}, ("channel", "one_of_channels")),
        (
            {"viewer_id": "v", "channel": "demo", "all_channels": True},
            ("channel", "one_of_channels"),
        ),
        ({"viewer_id": 41 * "v", "channel": "demo"}, ("viewer_id", "viewer_id_length")),
        ({"viewer_id": "v", "channel": "demo", "note": "a\nb"}, ("note", "one_line")),
        (
            {"viewer_id": "v", "channel": "demo", "ban_seconds": 0},
            ("ban_seconds", "greater_than_equal"),
        ),
        (
            {"viewer_id": "v", "channel": "demo", "ban_seconds": 315_360_001},
            ("ban_seconds", "less_than_equal"),
        ),
        ({"viewer_id": "v", "channels": LONG_NAMES}, ("channels", "too_long")),
        ({"viewer_id": "v", "channel": "arn:nonsense"}, ("channel", "channel_arn")),
        ({"issuer": "i", "subject": "s", "channel": "demo"}, ("issuer", "no_viewer_id_secret")),
    ],
)
def test_a_request_that_breaks_a_rule(
    deployment: Deployment, body: dict[str, Any], broken: tuple[str, str]
) -> None:
    """Nothing is stored."""
    before = deployment.service.bans.refresh().number

    assert rules(post(deployment, body)) == [broken]

    assert deployment.service.bans.refresh().number == before


@pytest.mark.parametrize(
    ("grants", "scopes", "body", "code"),
    [
        (("open",), ("mint", "operate"), {"channel": "demo"}, "not_permitted"),
        (("other-region",), ("moderate",), {"channel": "demo"}, "not_entitled"),
        (("open",), ("moderate",), {"channel": "no-such-name"}, "not_entitled"),
        (("open",), ("moderate",), {"all_channels": True}, "not_entitled"),
        (("open",), ("moderate",), {"channels": ["demo", *LONG_NAMES[:1], "x"]}, "not_entitled"),
    ],
)
def test_a_moderator_acts_on_the_channels_of_its_grants_only(
    deployment: Deployment,
    grants: tuple[str, ...],
    scopes: tuple[Scope, ...],
    body: dict[str, Any],
    code: str,
) -> None:
    """All channels are for those whose grants cover whatever any grant covers. It is audited."""
    before = deployment.service.bans.refresh().number
    key = moderator(deployment, *grants, scopes=scopes)

    assert_problem(post(deployment, {"viewer_id": "alice", **body}, key), code)

    assert deployment.service.bans.refresh().number == before
    (event,) = deployment.audit.events
    assert (event.decision, event.code) == ("refused", code)
