"""`GET /v1/bans` and `DELETE /v1/bans/{ban_id}`: who may see and lift what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from werkzeug.test import TestResponse, create_environ

from tests.support.deployment import Deployment
from tests.web.problem_shape import assert_problem
from tokensvc.access.bans.model import Ban, Target
from tokensvc.access.callers import Scope
from tokensvc.arns import ChannelArn
from tokensvc.waiting import MustWait, no_waiting
from tokensvc.web.app import create_app
from tokensvc.web.waiting_pool import CALLER_ID

OTHER = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/other")
ELSEWHERE = ChannelArn.parse("arn:aws:ivs:us-east-1:123456789012:channel/else")


# These routes are served by Flask alone, and the others are tested elsewhere.
pytestmark = pytest.mark.parametrize("application", [create_app], indirect=True)


@dataclass
class Desk:
    """A moderator, whose grants cover every channel of us-west-2."""

    deployment: Deployment
    key: str

    def ban(self, viewer_id: str, channel: ChannelArn | None, seconds: float = 3_600) -> Ban:
        """Ban a viewer, as another process does."""
        viewer_ids = (viewer_id,) if viewer_id else ()
        return self.deployment.service.moderation.writer.ban(
            Target(viewer_ids, channel), seconds=seconds, by="another"
        )

    def kick(self, viewer_id: str, channel: ChannelArn | None) -> Ban:
        """Kick a viewer, as another process does."""
        return self.deployment.service.moderation.writer.kick(
            Target((viewer_id,), channel), by="another"
        )

    def call(self, method: str, path: str, key: str | None = None) -> TestResponse:
        """The response to the moderator, or to another caller."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return self.deployment.client().open(path, method=method, headers=headers)

    def listed(self, query: str = "", key: str | None = None) -> list[dict[str, Any]]:
        """The bans of a page."""
        response = self.call("GET", f"/v1/bans{query}", key)
        assert response.status_code == 200
        bans = response.get_json()["bans"]
        assert isinstance(bans, list)
        return bans

    def viewers(self, query: str = "", key: str | None = None) -> list[str]:
        """The viewer of each ban of a page, "everyone" for a closed channel."""
        return [(ban["viewer_ids"] or ["everyone"])[0] for ban in self.listed(query, key)]


@pytest.fixture
def desk(own_deployment: Deployment) -> Desk:
    """A moderator."""
    return Desk(own_deployment, own_deployment.new_key("desk", "open", scopes=("moderate",)))


def test_a_ban_is_listed_and_lifted(desk: Desk) -> None:
    """The moderator sees what another process has written. The viewer gets in after the line."""
    channel = desk.deployment.channel
    made = desk.ban("viewer-1", channel)
    mint = {"channel": "demo", "viewer_id": "viewer-1"}
    bearer = {"Authorization": f"Bearer {desk.deployment.key}"}
    (listed,) = desk.listed()
    assert (listed["ban_id"], listed["state"], listed["made_by"]) == (
        made.ban_id,
        "active",
        "another",
    )
    client = desk.deployment.client()
    assert_problem(client.post("/v1/playback-urls", json=mint, headers=bearer), "viewer_banned")

    response = desk.call("DELETE", f"/v1/bans/{made.ban_id}")

    assert response.status_code == 200
    assert response.get_json()["state"] == "lifted"
    event = desk.deployment.audit.events[-1]
    assert (event.decision, event.ban_id, event.viewer_id) == ("lifted", made.ban_id, "viewer-1")
    assert event.request_id == response.headers["X-Request-Id"]
    refused = client.post("/v1/playback-urls", json=mint, headers=bearer)
    assert assert_problem(refused, "viewer_revoked")["retry_after_seconds"] == 136
    desk.deployment.world.clock.advance(136)
    desk.deployment.read_state_again()
    assert client.post("/v1/playback-urls", json=mint, headers=bearer).status_code == 200


def test_a_refusal_is_audited_with_the_ban(desk: Desk) -> None:
    """The client does not see its ID."""
    made = desk.ban("viewer-1", desk.deployment.channel)
    desk.deployment.read_state_again()
    response = desk.deployment.client().post(
        "/v1/playback-urls",
        json={"channel": "demo", "viewer_id": "viewer-1"},
        headers={"Authorization": f"Bearer {desk.deployment.key}"},
    )
    assert made.ban_id not in response.get_data(as_text=True)
    event = desk.deployment.audit.events[-1]
    assert (event.code, event.ban_id) == ("viewer_banned", made.ban_id)


def test_a_caller_sees_what_its_grants_cover(desk: Desk) -> None:
    """Bans on all channels only if its grants cover every channel that any grant covers."""
    desk.ban("here", desk.deployment.channel)
    everywhere = desk.ban("everywhere", None)
    desk.ban("elsewhere", ELSEWHERE)
    both = desk.deployment.new_key("both", "open", "other-region", scopes=("moderate",))
    assert desk.viewers() == ["here"]
    assert set(desk.viewers(key=both)) == {"here", "everywhere", "elsewhere"}
    path = f"/v1/bans/{everywhere.ban_id}"
    assert_problem(desk.call("DELETE", path), "not_found")
    assert desk.call("DELETE", path, both).status_code == 200


def test_a_moderator_is_known_before_the_request_waits_for_a_thread(desk: Desk) -> None:
    """So it waits in the queue of this caller, and not in that of unknown clients."""
    environ = create_environ("/v1/bans", headers={"Authorization": f"Bearer {desk.key}"})
    application = desk.deployment.create_app(desk.deployment.service)
    with no_waiting(), pytest.raises(MustWait):
        application(environ, lambda *_: lambda _: None)
    assert environ[CALLER_ID] == desk.key.split("_")[1]


def test_what_does_not_exist_and_what_may_not_be_seen_look_the_same(desk: Desk) -> None:
    """But for the ID itself."""
    hidden = desk.ban("elsewhere", ELSEWHERE).ban_id
    documents = [
        assert_problem(desk.call("DELETE", f"/v1/bans/{ban_id}"), "not_found")
        for ban_id in (hidden, "0123456789abcdef")
    ]
    texts = [document["detail"].replace(hidden, "0123456789abcdef") for document in documents]
    assert texts[0] == texts[1]
    assert documents[0]["hint"] == documents[1]["hint"]


@pytest.mark.parametrize("scopes", [("mint",), ("operate",), ("mint", "operate")])
def test_other_scopes_are_refused(desk: Desk, scopes: tuple[Scope, ...]) -> None:
    """Before anything is looked up."""
    made = desk.ban("viewer-1", desk.deployment.channel)
    key = desk.deployment.new_key("other", "open", scopes=scopes)
    for method, path in (("GET", "/v1/bans"), ("DELETE", f"/v1/bans/{made.ban_id}")):
        assert_problem(desk.call(method, path, key), "not_permitted")
        assert_problem(desk.deployment.client().open(path, method=method), "unauthenticated")
    assert desk.deployment.service.bans.refresh().find(made.ban_id).lifted_at is None


def test_pages_follow_each_other_while_bans_are_made(desk: Desk) -> None:
    """The newest first. What is made meanwhile is not on a later page, and shifts none."""
    for number in range(5):
        desk.ban(f"viewer-{number}", desk.deployment.channel)
        desk.deployment.world.clock.advance(1)
    first = desk.call("GET", "/v1/bans?limit=2").get_json()
    desk.ban("later", desk.deployment.channel)
    second = desk.call("GET", f"/v1/bans?limit=2&after={first['next']}").get_json()
    third = desk.call("GET", f"/v1/bans?limit=2&after={second['next']}").get_json()
    pages = [[ban["viewer_ids"][0] for ban in page["bans"]] for page in (first, second, third)]
    assert pages == [["viewer-4", "viewer-3"], ["viewer-2", "viewer-1"], ["viewer-0"]]
    assert third["next"] is None


def test_a_list_can_be_limited_to_a_viewer_or_a_channel(desk: Desk) -> None:
    """A ban on all channels applies to each. What has ended is listed on request."""
    desk.ban("viewer-1", desk.deployment.channel)
    desk.ban("viewer-2", OTHER)
    desk.ban("", OTHER, seconds=60)
    desk.deployment.world.clock.advance(60)
    desk.deployment.read_state_again()
    assert set(desk.viewers()) == {"viewer-1", "viewer-2"}
    assert set(desk.viewers("?include_ended=true")) == {"viewer-1", "viewer-2", "everyone"}
    assert desk.viewers("?viewer_id=viewer-1") == ["viewer-1"]
    assert desk.viewers("?channel=demo") == ["viewer-1"]
    assert desk.viewers(f"?channel={OTHER}") == ["viewer-2"]
    assert desk.viewers("?viewer_id=viewer-1&channel=lobby") == []


@pytest.mark.parametrize(
    ("query", "field", "rule"),
    [
        ("limit=0", "limit", "page_size"),
        ("limit=501", "limit", "page_size"),
        ("limit=%D9%A3", "limit", "page_size"),
        ("limit=99999999999999999999", "limit", "page_size"),
        ("after=x", "after", "cursor"),
        ("include_ended=1", "include_ended", "bool_type"),
        ("viewer=a", "", "unknown_field"),
    ],
)
def test_a_wrong_parameter_is_refused(desk: Desk, query: str, field: str, rule: str) -> None:
    """It is not ignored."""
    document = assert_problem(desk.call("GET", f"/v1/bans?{query}"), "invalid_request")
    assert [(error["field"], error["rule"]) for error in document["errors"]] == [(field, rule)]


def test_a_kick_can_not_be_lifted(desk: Desk) -> None:
    """It bans no one. It is listed until IVS has confirmed it."""
    made = desk.kick("viewer-1", desk.deployment.channel)
    assert [ban["kind"] for ban in desk.listed()] == ["kick"]
    assert_problem(desk.call("DELETE", f"/v1/bans/{made.ban_id}"), "invalid_request")
    desk.deployment.service.moderation.writer.confirm(made.ban_id)
    desk.deployment.world.clock.advance(11)
    assert desk.listed() == []


def test_a_ban_that_could_not_be_audited_is_lifted_and_the_moderator_sees_the_error(
    desk: Desk,
) -> None:
    """The change can't be undone, so it is not hidden. To lift it again changes nothing."""
    made = desk.ban("viewer-1", desk.deployment.channel)
    desk.deployment.audit.fails = True
    assert_problem(desk.call("DELETE", f"/v1/bans/{made.ban_id}"), "internal_error")
    desk.deployment.audit.fails = False
    assert desk.call("DELETE", f"/v1/bans/{made.ban_id}").status_code == 200
