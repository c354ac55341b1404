from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.tokens import NOW, claims
from local_ivs.database import Database
from local_ivs.edge.origins import OriginRule
from local_ivs.edge.refusals import (
    SessionUnknownError,
    TokenUsedError,
    ViewerRevokedError,
)
from local_ivs.edge.revocations import Revocation, all_revocations, revoke
from local_ivs.edge.segments import Resolution
from local_ivs.edge.sessions import Sessions
from local_ivs.edge.verifier import Admission
from local_ivs.testing import (
    Account,
    Channel,
    KeyPair,
    LocalIvsServer,
    ManualClock,
    Player,
    refusal_in,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARN = "arn:aws:ivs:us-west-2:123456789012:channel/sessions"
UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
REFUSED = "playback_auth_error"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty state."""
    database = Database(tmp_path / "local-ivs.sqlite3")
    yield database
    database.close()


@pytest.fixture
def sessions(database: Database) -> Sessions:
    """No sessions yet."""
    return Sessions(database)


def admission(
    viewer_id: str | None = None, version: int = 0, single_use_uuid: str | None = None
) -> Admission:
    """What a token allows."""
    return Admission(
        expires_at=NOW + 300,
        origin_rule=OriginRule("https://a.example", strict=True),
        viewer_id=viewer_id,
        viewer_session_version=version,
        single_use_uuid=single_use_uuid,
        maximum_resolution=Resolution.HD,
    )


def revoke_up_to(database: Database, viewer_id: str, version: int, at: float = NOW) -> None:
    """Revoke the viewer's sessions up to that version."""
    with database.transaction() as connection:
        revoke(connection, Revocation(ARN, viewer_id, version, at))


def test_a_stored_session_is_equal_to_the_opened_one(sessions: Sessions) -> None:
    """With everything that its token allows. It expires in 300 s."""
    opened = sessions.open(ARN, admission("viewer-1", 7), NOW)
    found = sessions.get(opened.id, NOW + 1)
    assert found == opened
    assert found.viewer_id == "viewer-1"
    assert found.viewer_session_version == 7
    assert found.origin_rule == OriginRule("https://a.example", strict=True)
    assert found.maximum_resolution is Resolution.HD
    assert found.expires_at == NOW + 300


def test_a_playlist_request_extends_a_session_to_300_seconds_from_then(sessions: Sessions) -> None:
    """The session expires exactly then. A session that does not exist is refused likewise."""
    opened = sessions.open(ARN, None, NOW)
    sessions.keep_alive(opened, NOW + 200)
    assert sessions.get(opened.id, NOW + 499.999).expires_at == NOW + 500
    with pytest.raises(SessionUnknownError):
        sessions.get(opened.id, NOW + 500)
    with pytest.raises(SessionUnknownError):
        sessions.get("unknown", NOW)


def test_a_session_is_not_extended_in_the_first_150_of_its_300_seconds(sessions: Sessions) -> None:
    """At 149 s the expiry stays at 300 s, at 150 s it moves to 450 s."""
    opened = sessions.open(ARN, None, NOW)
    sessions.keep_alive(opened, NOW + 149)
    assert sessions.get(opened.id, NOW + 149).expires_at == NOW + 300
    sessions.keep_alive(opened, NOW + 150)
    assert sessions.get(opened.id, NOW + 150).expires_at == NOW + 450


def test_keep_alive_does_not_revive_an_expired_session(sessions: Sessions) -> None:
    """For example when a slow request arrives after the expiry."""
    opened = sessions.open(ARN, None, NOW)
    sessions.open(ARN, None, NOW + 300)
    sessions.keep_alive(opened, NOW + 301)
    with pytest.raises(SessionUnknownError):
        sessions.get(opened.id, NOW + 301)


def test_the_current_sessions_are_the_unexpired_ones_newest_first(sessions: Sessions) -> None:
    """A session that expires exactly now is not in the list."""
    start = float(NOW)
    old, middle, new = (sessions.open(ARN, None, start + step) for step in (0, 10, 20))
    assert sessions.current(start + 100) == (new, middle, old)
    assert sessions.current(start + 300) == (new, middle)


def test_expired_sessions_and_used_tokens_are_deleted_from_the_state(
    sessions: Sessions, database: Database
) -> None:
    """The next start deletes them, so that the state doesn't grow without limit."""
    sessions.open(ARN, admission(single_use_uuid=UUID), NOW)
    sessions.open(ARN, None, NOW + 1_000_000)
    with database.reading() as connection:
        oldest = connection.execute("SELECT min(expires_at) FROM playback_sessions").fetchone()[0]
        used = connection.execute("SELECT count(*) FROM used_tokens").fetchone()[0]
    assert oldest == NOW + 1_000_300
    assert used == 0


def test_a_used_token_is_stored_until_it_expires_for_each_channel(sessions: Sessions) -> None:
    """The same UUID on another channel belongs to another token."""
    uuid = "00000000-0000-4000-8000-000000000001"
    sessions.open(ARN, admission(single_use_uuid=uuid), NOW)
    with pytest.raises(TokenUsedError):
        sessions.open(ARN, admission(single_use_uuid=uuid.upper()), NOW + 299.999)
    sessions.open(ARN + "2", admission(single_use_uuid=uuid), NOW)


def test_a_start_by_a_revoked_viewer_uses_no_token_and_opens_no_session(
    sessions: Sessions, database: Database
) -> None:
    """The transaction is rolled back, so the token can be used with a higher version."""
    uuid = "00000000-0000-4000-8000-000000000002"
    revoke_up_to(database, "revoked", 5)
    with pytest.raises(ViewerRevokedError):
        sessions.open(ARN, admission("revoked", 5, uuid), NOW)
    with database.reading() as connection:
        query = "SELECT count(*) FROM playback_sessions WHERE viewer_id = 'revoked'"
        assert connection.execute(query).fetchone()[0] == 0
    assert sessions.open(ARN, admission("revoked", 6, uuid), NOW).viewer_session_version == 6


def test_the_higher_version_of_two_revocations_applies(
    sessions: Sessions, database: Database
) -> None:
    """In either order. The later time is stored."""
    for viewer, versions in (("up", (3, 8)), ("down", (8, 3))):
        for step, version in enumerate(versions):
            revoke_up_to(database, viewer, version, NOW + step)
    with database.reading() as connection:
        assert all_revocations(connection) == (
            Revocation(ARN, "down", 8, NOW + 1),
            Revocation(ARN, "up", 8, NOW + 1),
        )


VIEWERS = count()


# All examples share one state, but each has its own viewer.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    version=st.integers(-(2**63), 2**63 - 1),
    revoked_versions=st.lists(st.integers(0, 2**63 - 1), max_size=3),
    viewer=st.text(min_size=1, max_size=30),
)
def test_a_session_plays_exactly_when_its_version_is_above_all_revoked_versions(
    sessions: Sessions, database: Database, version: int, revoked_versions: list[int], viewer: str
) -> None:
    """Both for a running session and for a new start."""
    viewer_id = f"{viewer}-{next(VIEWERS)}"
    running = sessions.open(ARN, admission(viewer_id, version), NOW)
    for revoked_version in revoked_versions:
        revoke_up_to(database, viewer_id, revoked_version)
    if all(version > revoked_version for revoked_version in revoked_versions):
        assert sessions.get(running.id, NOW) == running
        sessions.open(ARN, admission(viewer_id, version), NOW)
    else:
        with pytest.raises(ViewerRevokedError):
            sessions.get(running.id, NOW)
        with pytest.raises(ViewerRevokedError):
            sessions.open(ARN, admission(viewer_id, version), NOW)


def test_a_revocation_stops_running_playbacks_up_to_its_version_only(
    player: Player, account: Account, channel: Channel, pair: KeyPair
) -> None:
    """Over HTTP: higher versions, other viewers and other channels continue to play."""
    other = account.create_channel()

    def token(where: Channel, viewer: str, version: int) -> str:
        return pair.token(claims(where.arn, viewer_id=viewer, viewer_session_version=version))

    stopped = [player.watch(channel, token(channel, "v", version)) for version in (-1, 4, 5)]
    continued = [
        player.watch(channel, token(channel, "v", 6)),
        player.watch(channel, token(channel, "w", 5)),
        player.watch(channel, pair.token(claims(channel.arn, viewer_session_version=5))),
        player.watch(other, token(other, "v", 5)),
    ]
    segments = [playback.segment_url() for playback in stopped]
    account.ivs.start_viewer_session_revocation(
        channelArn=channel.arn, viewerId="v", viewerSessionVersionsLessThanOrEqualTo=5
    )
    for playback, segment in zip(stopped, segments, strict=True):
        code, error = refusal_in(playback.playlist())
        assert code == REFUSED
        assert "aws:viewer-session-version" in error
        assert refusal_in(player.get(segment))[0] == REFUSED
    for playback in continued:
        assert player.get(playback.segment_url()).status == 200
    assert refusal_in(player.start(channel, token(channel, "v", 5)))[0] == REFUSED
    assert player.start(channel, token(channel, "v", 6)).status == 200


def test_a_session_lasts_while_its_player_requests_playlists_and_expires_when_idle(
    server: LocalIvsServer, player: Player, channel: Channel, pair: KeyPair, clock: ManualClock
) -> None:
    """An hour with a playlist every 100 s, long after the token's expiry. Then 300 s idle."""
    playback = player.watch(channel, pair.token(claims(channel.arn)))
    for _ in range(36):
        clock.advance(100)
        assert playback.playlist().status == 200
    segment = playback.segment_url()
    clock.advance(300)
    assert refusal_in(playback.playlist())[0] == REFUSED
    assert refusal_in(player.get(segment))[0] == REFUSED
    session_id = segment.split("/")[3]
    with pytest.raises(SessionUnknownError):
        Sessions(server.database).get(session_id, clock.now())


def test_an_unknown_session_is_refused(player: Player) -> None:
    """In each kind of URL that has a session ID."""
    for path in (
        "/v1/playlist/unknown/sd.m3u8",
        "/v1/segment/unknown/sd/init.mp4",
        "/v1/segment/unknown/sd/1.m4s",
    ):
        assert refusal_in(player.get(path))[0] == REFUSED


def test_sessions_used_tokens_and_revocations_survive_a_restart(
    tmp_path: Path, pair: KeyPair, player: Player
) -> None:
    """A second Local IVS in the same folder has the same state."""
    clock = ManualClock()
    with LocalIvsServer(tmp_path, clock) as first:
        account = Account(first, "123456789012")
        account.import_key(pair)
        channel = account.create_channel()
        token = pair.token(claims(channel.arn, viewer_id="v", single_use_uuid=UUID))
        playback = Player(player.pool, first.url).watch(channel, token)
        account.ivs.start_viewer_session_revocation(channelArn=channel.arn, viewerId="w")
    with LocalIvsServer(tmp_path, clock) as second:
        again = Player(player.pool, second.url)
        assert again.get(playback.variants[0]).status == 200
        assert "aws:single-use-uuid" in refusal_in(again.start(channel, token))[1]
        revoked = pair.token(claims(channel.arn, viewer_id="w"))
        assert "aws:viewer-session-version" in refusal_in(again.start(channel, revoked))[1]
