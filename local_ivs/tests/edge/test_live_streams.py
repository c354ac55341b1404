"""What a playback gets while its channel is live, and when the stream ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge.tokens import NOW, claims
from local_ivs.testing import Account, Channel, KeyPair, LocalIvsServer, Player, refusal_in, urls_in

if TYPE_CHECKING:
    from local_ivs.testing import ManualClock

END = b"#EXT-X-ENDLIST\n"
INVALID = "invalid_playback_auth_token"


def test_a_channel_that_is_offline_or_unknown_is_not_found(
    player: Player, account: Account, pair: KeyPair
) -> None:
    """404 in the same format. Only a valid token shows that a channel is offline."""
    offline = account.create_channel(live=False)
    assert refusal_in(player.start(offline, None))[0] == INVALID
    valid = pair.token(claims(offline.arn))
    assert refusal_in(player.start(offline, valid), 404)[0] == "channel_offline"
    for name in (
        f"us-west-2.{account.account_id}.channel.unknown",
        "nonsense",
        "..channel.",
        f"us-west-2.{account.account_id}.stage.unknown",
    ):
        answer = player.get(f"/api/video/v1/{name}.m3u8")
        assert refusal_in(answer, 404)[0] == "channel_not_found"


def test_a_session_follows_the_state_of_its_channel(
    player: Player, account: Account, channel: Channel, pair: KeyPair, server: LocalIvsServer
) -> None:
    """Ended when the stream ends, continued when the channel is live again, 404 when deleted."""
    playback = player.watch(channel, pair.token(claims(channel.arn)))
    assert END not in playback.playlist().data
    server.go_offline(channel.arn)
    assert playback.playlist().data.endswith(END)
    server.go_live(channel.arn)
    assert END not in playback.playlist().data
    server.go_offline(channel.arn)
    account.ivs.delete_channel(arn=channel.arn)
    assert refusal_in(playback.playlist(), 404)[0] == "channel_not_found"


@pytest.mark.parametrize("by_api", [True, False], ids=["StopStream", "control API"])
def test_a_player_can_play_a_stream_that_ended_to_its_end(
    player: Player,
    account: Account,
    channel: Channel,
    pair: KeyPair,
    clock: ManualClock,
    server: LocalIvsServer,
    *,
    by_api: bool,
) -> None:
    """Including metadata put just before the end. A player that starts later is refused."""
    token = pair.token(claims(channel.arn))
    playback = player.watch(channel, token)
    account.ivs.put_metadata(channelArn=channel.arn, metadata="the-last-words")
    if by_api:
        account.ivs.stop_stream(channelArn=channel.arn)
    server.go_offline(channel.arn)
    clock.advance(100)
    server.go_offline(channel.arn)
    for url in playback.variants:
        final = player.get(url)
        assert final.data.endswith(END)
        assert b"the-last-words" in final.data
        segments = [player.get(each) for each in urls_in(final)]
        assert [segment.status for segment in segments] == [200] * 6
        assert [b"the-last-words" in each.data for each in segments] == [False] * 5 + [True]
    assert urls_in(playback.playlist())[-1].endswith(f"/{NOW * 15 // 32}.m4s")
    assert refusal_in(player.start(channel, token), 404)[0] == "channel_offline"


def test_timed_metadata_is_in_the_channel_s_playlists(
    player: Player, account: Account, channel: Channel, pair: KeyPair, clock: ManualClock
) -> None:
    """In every rendition, at once, and for six segments. Not in another channel's playlists."""
    other = account.create_channel()
    playback = player.watch(channel, pair.token(claims(channel.arn)))
    other_playback = player.watch(other, pair.token(claims(other.arn)))
    account.ivs.put_metadata(channelArn=channel.arn, metadata='{"question": "Wie viel €?"}')
    tag = (
        'START-DATE="2027-01-15T08:00:00.000Z",DURATION=0,'
        'X-LOCAL-IVS-METADATA="%7B%22question%22%3A%20%22Wie%20viel%20%E2%82%AC%3F%22%7D"'
    )
    for url in playback.variants:
        assert tag in player.get(url).data.decode()
    assert b"EXT-X-DATERANGE" not in other_playback.playlist().data
    clock.advance(12)
    assert tag in playback.playlist().data.decode()
    clock.advance(6)
    assert b"EXT-X-DATERANGE" not in playback.playlist().data


def test_the_newest_twelve_segments_are_served(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """Six in the playlist and six before it. Older and incomplete segments are refused."""
    playback = player.watch(channel, pair.token(claims(channel.arn)))
    folder, _, name = playback.segment_url().rpartition("/")
    newest = int(name.removesuffix(".m4s"))
    assert newest == int(NOW * 15 / 32) - 1
    assert player.get(f"{folder}/{newest - 11}.m4s").status == 200
    for sequence in (newest - 12, newest + 1, 0):
        answer = player.get(f"{folder}/{sequence}.m4s")
        assert refusal_in(answer, 404)[0] == "segment_not_found"
