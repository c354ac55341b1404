"""What a banned or kicked viewer's player gets from the edge of Local IVS."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import urllib3

from tests.support.deployment import OPEN, Deployment
from tokensvc.access.bans.model import Ban, Target
from tokensvc.access.requests import PlaybackRequest
from tokensvc.clock import Moment
from tokensvc.errors import StateUnavailable, ViewerBanned, ViewerRevoked
from tokensvc.web.app import create_app

REQUEST = PlaybackRequest(channel="demo", viewer_id="viewer-1")


# These routes are served by Flask alone, and the others are tested elsewhere.
pytestmark = pytest.mark.parametrize("application", [create_app], indirect=True)


@dataclass
class Stage:
    """A deployment whose worker reads its bans only when `poll` is called."""

    deployment: Deployment

    @property
    def target(self) -> Target:
        """The viewer on the channel."""
        return Target(("viewer-1",), self.deployment.channel)

    def mint(self) -> str:
        """A playback URL for the viewer."""
        return self.deployment.issuer.issue(OPEN, REQUEST).playback_url

    def plays(self, url: str) -> bool:
        """Whether a player that begins with the URL gets a playlist."""
        status = urllib3.request("GET", url, retries=False).status
        assert status in {200, 403}
        return status == 200

    def kick(self) -> Ban:
        """A kick by another process, as it is stored."""
        return self.deployment.service.moderation.writer.kick(self.target, by="mod")

    def ban(self, seconds: float) -> Ban:
        """A ban by another process, as it is stored."""
        return self.deployment.service.moderation.writer.ban(self.target, seconds=seconds, by="mod")

    def revoke(self, ban: Ban) -> None:
        """Revoke the sessions up to the line, at IVS."""
        ivs = self.deployment.world.ivs.client()
        answer = ivs.batch_start_viewer_session_revocation(
            viewerSessions=[
                {
                    "channelArn": str(self.deployment.channel),
                    "viewerId": "viewer-1",
                    "viewerSessionVersionsLessThanOrEqualTo": ban.line,
                }
            ]
        )
        assert answer["errors"] == []

    def poll(self) -> None:
        """Read the bans."""
        self.deployment.service.bans.refresh()

    def wait(self, seconds: float) -> None:
        """Let time pass for everything but the bans of the worker."""
        self.deployment.world.clock.advance(seconds)


@pytest.fixture
def stage(own_deployment: Deployment) -> Stage:
    """A viewer who watches."""
    own_deployment.service.bans.close()
    return Stage(own_deployment)


def test_a_mint_and_a_kick_in_the_same_second(stage: Stage) -> None:
    """The viewer is out, and may come back when the line has passed."""
    before, kick, meanwhile = stage.mint(), stage.kick(), stage.mint()
    assert stage.plays(before)
    stage.revoke(kick)
    assert not stage.plays(before)
    assert not stage.plays(meanwhile)
    stage.poll()
    with pytest.raises(ViewerRevoked):
        stage.mint()
    stage.wait(10)
    with pytest.raises(ViewerRevoked):
        stage.mint()
    stage.wait(1)
    assert stage.plays(stage.mint())
    assert not stage.plays(before)


def test_a_worker_that_can_not_read_the_bans_lets_no_banned_viewer_in(stage: Stage) -> None:
    """What it signs until it refuses does not play. Its clock may be 10 s ahead."""
    stage.poll()
    ban = stage.ban(3_600)
    stage.revoke(ban)
    stage.deployment.world.clock.jump_wall(10)
    for _ in range(4):
        assert not stage.plays(stage.mint())
        stage.wait(27.5)
    moved = stage.deployment.world.folder / "moved.sqlite3"
    state_file = stage.deployment.world.folder / "state.sqlite3"
    state_file.rename(moved)
    stage.wait(11)
    moment = Moment.of(stage.deployment.world.clock)
    with pytest.raises(StateUnavailable):
        stage.deployment.service.bans.within(120, moment)
    moved.rename(state_file)
    with pytest.raises(ViewerBanned):
        stage.mint()


def test_when_a_ban_is_over_the_viewer_plays_again(stage: Stage) -> None:
    """With a new URL. One from before the ban does not play."""
    before = stage.mint()
    ban = stage.ban(60)
    stage.revoke(ban)
    stage.poll()
    stage.wait(59)
    with pytest.raises(ViewerBanned):
        stage.mint()
    stage.wait(11)
    with pytest.raises(ViewerRevoked):
        stage.mint()
    stage.wait(1)
    assert stage.plays(stage.mint())
    assert not stage.plays(before)


def test_the_bare_call_of_aws_stops_nothing(stage: Stage) -> None:
    """Without a version it revokes those up to 0 (botocore's model of IVS)."""
    url = stage.mint()
    ivs = stage.deployment.world.ivs.client()
    ivs.start_viewer_session_revocation(
        channelArn=str(stage.deployment.channel), viewerId="viewer-1"
    )
    assert stage.plays(url)
