"""Single-use tokens at the edge."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from edge.tokens import NOW, claims
from local_ivs.edge.sessions import Sessions
from local_ivs.testing import Channel, KeyPair, LocalIvsServer, Player, refusal_in

if TYPE_CHECKING:
    from local_ivs.testing import ManualClock

REFUSED = "playback_auth_error"
UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
PAGE = "https://www.example.com"
OTHER_PAGE = "https://evil.example"


def test_a_single_use_token_starts_one_playback(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """The second start is refused, whatever the UUID's case. The first playback continues."""
    playback = player.watch(channel, pair.token(claims(channel.arn, single_use_uuid=UUID)))
    for uuid in (UUID, UUID.upper()):
        token = pair.token(claims(channel.arn, exp=NOW + 500, single_use_uuid=uuid))
        code, error = refusal_in(player.start(channel, token))
        assert code == REFUSED
        assert "aws:single-use-uuid" in error
    assert playback.playlist().status == 200


def test_a_refused_start_does_not_mark_a_single_use_token_as_used(
    player: Player, channel: Channel, pair: KeyPair, server: LocalIvsServer
) -> None:
    """A wrong origin, an offline channel, and a CORS preflight."""
    token = pair.token(claims(channel.arn, single_use_uuid=UUID, access_control_allow_origin=PAGE))
    assert refusal_in(player.start(channel, token, OTHER_PAGE))[0] == REFUSED
    server.go_offline(channel.arn)
    assert refusal_in(player.start(channel, token, PAGE), 404)[0] == "channel_offline"
    server.go_live(channel.arn)
    assert player.get(f"{channel.path}?token={token}", PAGE, method="OPTIONS").status == 200
    assert player.start(channel, token, PAGE).status == 200
    assert refusal_in(player.start(channel, token, PAGE))[0] == REFUSED


def test_a_head_request_uses_up_no_single_use_token_and_opens_no_session(
    player: Player, channel: Channel, pair: KeyPair, server: LocalIvsServer, clock: ManualClock
) -> None:
    """It is answered like the GET, without a body, and refused once the token was used."""
    sessions = Sessions(server.database)
    before = sessions.current(clock.now())
    url = f"{channel.path}?token={pair.token(claims(channel.arn, single_use_uuid=UUID))}"
    heads = [player.get(url, method="HEAD") for _ in range(2)]
    assert [head.status for head in heads] == [200, 200]
    assert sessions.current(clock.now()) == before
    played = player.get(url)
    assert played.status == 200
    assert {head.headers["Content-Length"] for head in heads} == {str(len(played.data))}
    assert player.get(url, method="HEAD").status == 403
    assert refusal_in(player.get(url))[0] == REFUSED


def test_only_one_of_many_simultaneous_players_can_use_a_single_use_token(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """Sixteen requests in eight threads: one start, fifteen refusals."""
    token = pair.token(claims(channel.arn, single_use_uuid=UUID))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: player.start(channel, token).status, range(16)))
    assert sorted(answers) == [200] + [403] * 15
