from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.localivs.edge.stage import NOW, Account, Channel, KeyPair, Player, claims, refusal_in
from tests.support.clock import ManualClock
from tests.support.local_ivs import LocalIvsServer
from tokensvc.localivs.database import Database
from tokensvc.localivs.edge.origins import OriginRule
from tokensvc.localivs.edge.refusals import (
    SessionUnknownError,
    TokenUsedError,
    ViewerRevokedError,
)
from tokensvc.localivs.edge.revocations import Revocation, all_revocations, revoke
from tokensvc.localivs.edge.segments import Resolution
from tokensvc.localivs.edge.sessions import Sessions
from tokensvc.localivs.edge.verifier import Admission

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
    """What a token grants to a viewer."""
    return Admission(
        expires_at=NOW + 300,
        origin_rule=OriginRule("https://a.example", strict=True),
        viewer_id=viewer_id,
        viewer_session_version=version,
        single_use_uuid=single_use_uuid,
        maximum_resolution=Resolution.HD,
    )


def draw_line(database: Database, viewer_id: str, version: int, at: float = NOW) -> None:
    """Revoke the viewer's sessions up to that version."""
    with database.transaction() as connection:
        revoke(connection, Revocation(ARN, viewer_id, version, at))


def test_a_session_is_given_back_as_it_was_opened(sessions: Sessions) -> None:
    """All that its token granted, and 300 s to the first playlist."""
    opened = sessions.open(ARN, admission("viewer-1", 7), NOW)
    found = sessions.get(opened.id, NOW + 1)
    assert found == opened
    assert found.viewer_id == "viewer-1"
    assert found.viewer_session_version == 7
    assert found.origin_rule == OriginRule("https://a.example", strict=True)
    assert found.maximum_resolution is Resolution.HD
    assert found.expires_at == NOW + 300


def test_a_playlist_in_a_sessions_second_half_gives_it_300_seconds_more(sessions: Sessions) -> None:
    """It ends at the very second; an unknown one never began."""
    opened = sessions.open(ARN, None, NOW)
    sessions.keep_alive(opened, NOW + 200)
    assert sessions.get(opened.id, NOW + 499.999).expires_at == NOW + 500
    with pytest.raises(SessionUnknownError):
        sessions.get(opened.id, NOW + 500)
    with pytest.raises(SessionUnknownError):
        sessions.get("nobody", NOW)


def test_a_session_in_the_first_half_of_its_time_costs_no_write(sessions: Sessions) -> None:
    """Kept alive at 149 s it still ends at 300 s, at 150 s it doesn't."""
    opened = sessions.open(ARN, None, NOW)
    sessions.keep_alive(opened, NOW + 149)
    assert sessions.get(opened.id, NOW + 149).expires_at == NOW + 300
    sessions.keep_alive(opened, NOW + 150)
    assert sessions.get(opened.id, NOW + 150).expires_at == NOW + 450


def test_keeping_alive_does_not_revive_an_ended_session(sessions: Sessions) -> None:
    """A slow request that comes after the end finds nothing to keep."""
    opened = sessions.open(ARN, None, NOW)
    sessions.open(ARN, None, NOW + 300)
    sessions.keep_alive(opened, NOW + 301)
    with pytest.raises(SessionUnknownError):
        sessions.get(opened.id, NOW + 301)


def test_the_current_sessions_are_the_unexpired_ones_newest_first(sessions: Sessions) -> None:
    """The one that ends now isn't among them."""
    start = float(NOW)
    old, middle, new = (sessions.open(ARN, None, start + step) for step in (0, 10, 20))
    assert sessions.current(start + 100) == (new, middle, old)
    assert sessions.current(start + 300) == (new, middle)


def test_ended_sessions_and_forgotten_tokens_leave_the_state(
    sessions: Sessions, database: Database
) -> None:
    """A later start sweeps them out: the state doesn't grow for ever."""
    sessions.open(ARN, admission(single_use_uuid=UUID), NOW)
    sessions.open(ARN, None, NOW + 1_000_000)
    with database.reading() as connection:
        oldest = connection.execute("SELECT min(expires_at) FROM playback_sessions").fetchone()[0]
        used = connection.execute("SELECT count(*) FROM used_tokens").fetchone()[0]
    assert oldest == NOW + 1_000_300
    assert used == 0


def test_a_used_token_is_remembered_until_it_expires_and_by_channel(sessions: Sessions) -> None:
    """The same UUID on another channel is another token."""
    uuid = "00000000-0000-4000-8000-000000000001"
    sessions.open(ARN, admission(single_use_uuid=uuid), NOW)
    with pytest.raises(TokenUsedError):
        sessions.open(ARN, admission(single_use_uuid=uuid.upper()), NOW + 299.999)
    sessions.open(ARN + "2", admission(single_use_uuid=uuid), NOW)


def test_a_revoked_start_uses_up_no_token_and_opens_no_session(
    sessions: Sessions, database: Database
) -> None:
    """Both or neither: the transaction is undone."""
    uuid = "00000000-0000-4000-8000-000000000002"
    draw_line(database, "gone", 5)
    with pytest.raises(ViewerRevokedError):
        sessions.open(ARN, admission("gone", 5, uuid), NOW)
    with database.reading() as connection:
        query = "SELECT count(*) FROM playback_sessions WHERE viewer_id = 'gone'"
        assert connection.execute(query).fetchone()[0] == 0
    assert sessions.open(ARN, admission("gone", 6, uuid), NOW).viewer_session_version == 6


def test_of_two_revocations_the_higher_version_stands(
    sessions: Sessions, database: Database
) -> None:
    """In either order; the later time is the one that is told."""
    for viewer, versions in (("up", (3, 8)), ("down", (8, 3))):
        for step, version in enumerate(versions):
            draw_line(database, viewer, version, NOW + step)
    with database.reading() as connection:
        assert all_revocations(connection) == (
            Revocation(ARN, "down", 8, NOW + 1),
            Revocation(ARN, "up", 8, NOW + 1),
        )


VIEWERS = count()


# The state is the same for every example, but each has a viewer of its own.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    version=st.integers(-(2**63), 2**63 - 1),
    lines=st.lists(st.integers(0, 2**63 - 1), max_size=3),
    viewer=st.text(min_size=1, max_size=30),
)
def test_a_session_plays_exactly_when_its_version_is_above_every_line(
    sessions: Sessions, database: Database, version: int, lines: list[int], viewer: str
) -> None:
    """Whether the line is drawn before the start or while it runs."""
    viewer_id = f"{viewer}-{next(VIEWERS)}"
    running = sessions.open(ARN, admission(viewer_id, version), NOW)
    for line in lines:
        draw_line(database, viewer_id, line)
    if all(version > line for line in lines):
        assert sessions.get(running.id, NOW) == running
        sessions.open(ARN, admission(viewer_id, version), NOW)
    else:
        with pytest.raises(ViewerRevokedError):
            sessions.get(running.id, NOW)
        with pytest.raises(ViewerRevokedError):
            sessions.open(ARN, admission(viewer_id, version), NOW)


def test_a_revocation_stops_running_playback_and_spares_the_rest(
    player: Player, account: Account, channel: Channel, pair: KeyPair
) -> None:
    """Over HTTP: what is above the version, of another viewer or another channel plays on."""
    other = account.create_channel()

    def token(where: Channel, viewer: str, version: int) -> str:
        return pair.token(claims(where.arn, viewer_id=viewer, viewer_session_version=version))

    stopped = [player.watch(channel, token(channel, "v", version)) for version in (-1, 4, 5)]
    spared = [
        player.watch(channel, token(channel, "v", 6)),
        player.watch(channel, token(channel, "w", 5)),
        player.watch(channel, pair.token(claims(channel.arn, viewer_session_version=5))),
        player.watch(other, token(other, "v", 5)),
    ]
    segments = [watching.segment_url() for watching in stopped]
    account.ivs.start_viewer_session_revocation(
        channelArn=channel.arn, viewerId="v", viewerSessionVersionsLessThanOrEqualTo=5
    )
    for watching, segment in zip(stopped, segments, strict=True):
        assert "revoked" in refusal_in(watching.playlist())[1]
        assert refusal_in(player.get(segment))[0] == REFUSED
    for watching in spared:
        assert player.get(watching.segment_url()).status == 200
    assert refusal_in(player.start(channel, token(channel, "v", 5)))[0] == REFUSED
    assert player.start(channel, token(channel, "v", 6)).status == 200


def test_a_player_that_goes_on_asking_never_loses_its_session(
    player: Player, channel: Channel, pair: KeyPair, clock: ManualClock
) -> None:
    """An hour at a playlist each 100 s, long after the token; then 300 s of silence end it."""
    watching = player.watch(channel, pair.token(claims(channel.arn)))
    for _ in range(36):
        clock.advance(100)
        assert watching.playlist().status == 200
    segment = watching.segment_url()
    clock.advance(300)
    code, error = refusal_in(watching.playlist())
    assert code == REFUSED
    assert "has ended" in error
    assert refusal_in(player.get(segment))[0] == REFUSED


def test_a_session_nobody_opened_is_refused(player: Player) -> None:
    """For each kind of URL that carries one."""
    for path in (
        "/v1/playlist/nobody/sd.m3u8",
        "/v1/segment/nobody/sd/init.mp4",
        "/v1/segment/nobody/sd/1.m4s",
    ):
        assert refusal_in(player.get(path))[0] == REFUSED


def test_sessions_used_tokens_and_revocations_outlive_a_restart(
    tmp_path: Path, pair: KeyPair, player: Player
) -> None:
    """Another Local IVS on the same folder goes on where the first stopped."""
    clock = ManualClock()
    with LocalIvsServer(tmp_path, clock) as first:
        account = Account(first, "123456789012")
        account.import_key(pair)
        channel = account.create_channel()
        token = pair.token(claims(channel.arn, viewer_id="v", single_use_uuid=UUID))
        watching = Player(player.pool, first.url).watch(channel, token)
        account.ivs.start_viewer_session_revocation(channelArn=channel.arn, viewerId="w")
    with LocalIvsServer(tmp_path, clock) as second:
        again = Player(player.pool, second.url)
        assert again.get(watching.variants[0]).status == 200
        assert "single use" in refusal_in(again.start(channel, token))[1]
        revoked = pair.token(claims(channel.arn, viewer_id="w"))
        assert "revoked" in refusal_in(again.start(channel, revoked))[1]
