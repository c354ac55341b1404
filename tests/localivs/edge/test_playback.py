from __future__ import annotations

import base64
import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from tests.localivs.edge.stage import (
    NOW,
    Account,
    Channel,
    KeyPair,
    Player,
    base64url,
    claims,
    refusal_in,
    urls_in,
)
from tests.support.local_ivs import LocalIvsServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.clock import ManualClock

INVALID = "invalid_playback_auth_token"
REFUSED = "playback_auth_error"
UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
PAGE = "https://www.example.com"
OTHER_PAGE = "https://evil.example"


def test_a_signed_playback_url_leads_to_video(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """Multivariant, variant, init segment, media segment; no URL on the way shows the token."""
    token = pair.token(claims(channel.arn))
    multivariant = player.start(channel, token)
    assert multivariant.status == 200
    assert multivariant.headers["Content-Type"] == "application/vnd.apple.mpegurl"
    variants = urls_in(multivariant)
    assert [url.rpartition("/")[2] for url in variants] == ["full_hd.m3u8", "hd.m3u8", "sd.m3u8"]
    for url in variants:
        variant = player.get(url)
        assert variant.headers["Content-Type"] == "application/vnd.apple.mpegurl"
        segments = urls_in(variant)
        assert len(segments) == 6
        init = player.get(segments[0].rpartition("/")[0] + "/init.mp4")
        media = [player.get(segment) for segment in segments]
        assert {answer.status for answer in (init, *media)} == {200}
        assert {answer.headers["Content-Type"] for answer in (init, *media)} == {"video/mp4"}
        assert init.data[4:8] == b"ftyp"
        assert {answer.data[4:8] for answer in media} == {b"moof"}
        assert token.encode() not in multivariant.data + variant.data


def test_nothing_that_the_edge_answers_may_be_stored(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """A session can end at any moment, and its URLs are one viewer's."""
    watching = player.watch(channel, pair.token(claims(channel.arn)))
    answers = [
        player.start(channel, None),
        player.start(channel, pair.token(claims(channel.arn))),
        watching.playlist(),
        player.get(watching.segment_url()),
    ]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}


def test_each_start_opens_a_session_of_its_own(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """One token, two players: 24 characters of each URL differ."""
    token = pair.token(claims(channel.arn))
    sessions = {
        url.split("/")[3] for _ in range(2) for url in player.watch(channel, token).variants
    }
    assert len(sessions) == 2
    assert {len(session) for session in sessions} == {24}


def test_an_absent_token_is_refused_in_ivs_shape(player: Player, channel: Channel) -> None:
    """A JSON array of one object, with the URL that was asked for."""
    answer = player.get(channel.path + "?player_version=1.2.3")
    code, error = refusal_in(answer)
    assert code == INVALID
    assert "needs a token" in error
    assert answer.json()[0]["url"] == channel.playback_url + "?player_version=1.2.3"


def test_a_refusal_gives_back_the_url_without_the_token(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """The other parameters stay, and nothing of the token does."""
    token = pair.token(claims(channel.arn, exp=NOW))
    answer = player.get(f"{channel.path}?pbac=1&token={token}&player_version=a%20b")
    assert refusal_in(answer)[0] == INVALID
    assert answer.json()[0]["url"] == channel.playback_url + "?pbac=1&player_version=a+b"
    assert not any(part in answer.data.decode() for part in token.split("."))


def test_parameters_of_a_player_make_no_difference(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """AWS's player adds its own to the URL; a second token is another matter."""
    token = pair.token(claims(channel.arn))
    assert player.get(f"{channel.path}?token={token}&player_version=1&pbac=2").status == 200
    assert refusal_in(player.get(f"{channel.path}?token={token}&token={token}"))[0] == INVALID


def tampered_tokens(pair: KeyPair, payload: dict[str, Any]) -> dict[str, str]:
    """Good claims under a signature that isn't ES384 by the key, by the trick's name."""
    body = base64url(json.dumps(payload).encode())

    def signing_input(algorithm: str) -> str:
        return f"{base64url(json.dumps({'alg': algorithm, 'typ': 'JWT'}).encode())}.{body}"

    hs256 = signing_input("HS256")
    mac = hmac.new(pair.public_pem.encode(), hs256.encode(), hashlib.sha256).digest()
    es256 = signing_input("ES256")
    small = ec.generate_private_key(ec.SECP256R1()).sign(es256.encode(), ec.ECDSA(SHA256()))
    r, s = utils.decode_dss_signature(small)
    es384 = signing_input("ES384")
    good = pair.token(payload)
    return {
        "no token at all": "nonsense",
        "cut off": good[:-4],
        "none": signing_input("none") + ".",
        "none, padded": f"{signing_input('none')}.{'A' * 128}",
        "HS256 with the public key": f"{hs256}.{base64url(mac)}",
        "ES256": f"{es256}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}",
        "DER": f"{es384}.{base64url(pair.sign_der(es384.encode()))}",
        "another key": KeyPair().token(payload),
    }


def test_no_trick_with_the_signature_opens_a_channel(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """Malformed, `none`, HS256 with the public key, ES256, DER, a key of someone else."""
    for trick, token in tampered_tokens(pair, claims(channel.arn)).items():
        code, _ = refusal_in(player.start(channel, token))
        assert code == INVALID, trick


def test_a_token_opens_its_own_channel_only(
    player: Player, account: Account, channel: Channel, pair: KeyPair
) -> None:
    """Another channel of the account, by the same key."""
    other = account.create_channel()
    token = pair.token(claims(channel.arn))
    assert "another channel" in refusal_in(player.start(other, token))[1]
    assert player.start(channel, token).status == 200


def test_a_key_counts_in_its_own_region_and_account_only(
    player: Player, server: LocalIvsServer, account: Account
) -> None:
    """Imported elsewhere it opens nothing here."""
    elsewhere = Account(server, account.account_id, "eu-west-1")
    stranger = Account(server, "999999999999")
    foreign = KeyPair()
    elsewhere.import_key(foreign)
    stranger.import_key(foreign)
    here, there = account.create_channel(), elsewhere.create_channel()
    assert player.start(there, foreign.token(claims(there.arn))).status == 200
    code, error = refusal_in(player.start(here, foreign.token(claims(here.arn))))
    assert code == INVALID
    assert "region" in error


def test_a_token_of_another_region_opens_nothing_even_by_a_key_that_both_regions_have(
    player: Player, server: LocalIvsServer, account: Account, channel: Channel, pair: KeyPair
) -> None:
    """Its ARN is another channel's; where it belongs it plays."""
    elsewhere = Account(server, account.account_id, "eu-west-1")
    elsewhere.import_key(pair)
    there = elsewhere.create_channel()
    token = pair.token(claims(there.arn))
    assert player.start(there, token).status == 200
    assert "another channel" in refusal_in(player.start(channel, token))[1]
    same_id = channel.arn.replace("us-west-2", "eu-west-1")
    assert refusal_in(player.start(channel, pair.token(claims(same_id))))[0] == INVALID


def test_a_key_counts_at_the_edge_with_the_configured_delay(
    player: Player, tmp_path: Path, clock: ManualClock
) -> None:
    """30 s after its import its tokens play; for 30 s after its delete they still do."""
    with LocalIvsServer(tmp_path, clock, effect_delay_seconds=30) as server:
        late = Player(player.pool, server.url)
        account, pair = Account(server, "123456789012"), KeyPair()
        arn = account.import_key(pair)
        channel = account.create_channel()
        token = pair.token(claims(channel.arn))
        for seconds, status in ((0, 403), (29, 403), (1, 200)):
            clock.advance(seconds)
            assert late.start(channel, token).status == status
        account.ivs.delete_playback_key_pair(arn=arn)
        for seconds, status in ((0, 200), (29, 200), (1, 403)):
            clock.advance(seconds)
            assert late.start(channel, token).status == status


def test_a_deleted_key_opens_nothing_more_and_the_running_session_plays_on(
    player: Player, account: Account, channel: Channel
) -> None:
    """Tokens are checked at the start only; the other key of the account isn't touched."""
    second = KeyPair()
    arn = account.import_key(second)
    token = second.token(claims(channel.arn))
    watching = player.watch(channel, token)
    account.ivs.delete_playback_key_pair(arn=arn)
    assert refusal_in(player.start(channel, token))[0] == INVALID
    assert watching.playlist().status == 200
    assert player.get(watching.segment_url()).status == 200


def test_an_expired_token_is_refused_and_a_running_session_outlives_it(
    player: Player, channel: Channel, pair: KeyPair, clock: ManualClock
) -> None:
    """The token is good until one millisecond before `exp`."""
    token = pair.token(claims(channel.arn, exp=NOW + 60))
    clock.advance(59.999)
    watching = player.watch(channel, token)
    clock.advance(0.001)
    assert "expired" in refusal_in(player.start(channel, token))[1]
    assert watching.playlist().status == 200


@pytest.mark.parametrize("more", [{"viewer_id": "v"}, {"single_use_uuid": UUID}])
def test_a_token_too_long_for_the_ten_minute_rule_is_refused(
    player: Player, channel: Channel, pair: KeyPair, more: dict[str, Any]
) -> None:
    """600 s play, 601 s don't."""
    too_long = pair.token(claims(channel.arn, exp=NOW + 601, **more))
    assert "600 seconds" in refusal_in(player.start(channel, too_long))[1]
    assert (
        player.start(channel, pair.token(claims(channel.arn, exp=NOW + 600, **more))).status == 200
    )


def test_an_origin_claim_keeps_other_pages_from_the_start_only(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """A page of another origin is refused, a program without one plays; sessions are for all."""
    token = pair.token(
        claims(channel.arn, access_control_allow_origin=f"{PAGE},https://*.b.example")
    )
    assert refusal_in(player.start(channel, token, OTHER_PAGE))[0] == REFUSED
    for origin in (None, PAGE, "https://a.b.example"):
        watching = player.watch(channel, token, origin)
        for other in (None, PAGE, OTHER_PAGE):
            assert watching.playlist(other).status == 200
            assert player.get(watching.segment_url(), other).status == 200


def test_strict_enforcement_asks_for_the_origin_on_every_request(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """Multivariant and variant playlists, init and media segments."""
    token = pair.token(
        claims(channel.arn, access_control_allow_origin=PAGE, strict_origin_enforcement=True)
    )
    watching = player.watch(channel, token, PAGE)
    segment = watching.segment_url(PAGE)
    init = segment.rpartition("/")[0] + "/init.mp4"
    for url in (f"{channel.path}?token={token}", watching.variants[0], segment, init):
        assert player.get(url, PAGE).status == 200
        for origin in (None, OTHER_PAGE, "null"):
            assert refusal_in(player.get(url, origin))[0] == REFUSED


def test_a_single_use_token_starts_one_playback(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """The second start is refused, in any case of the UUID; the first plays on."""
    watching = player.watch(channel, pair.token(claims(channel.arn, single_use_uuid=UUID)))
    for uuid in (UUID, UUID.upper()):
        token = pair.token(claims(channel.arn, exp=NOW + 500, single_use_uuid=uuid))
        code, error = refusal_in(player.start(channel, token))
        assert code == REFUSED
        assert "single use" in error
    assert watching.playlist().status == 200


def test_a_refused_start_does_not_use_up_a_token(
    player: Player, channel: Channel, pair: KeyPair, server: LocalIvsServer
) -> None:
    """Not from a wrong page, not while the channel is offline, not by a preflight."""
    token = pair.token(claims(channel.arn, single_use_uuid=UUID, access_control_allow_origin=PAGE))
    assert refusal_in(player.start(channel, token, OTHER_PAGE))[0] == REFUSED
    server.go_offline(channel.arn)
    assert refusal_in(player.start(channel, token, PAGE), 404)[0] == "channel_offline"
    server.go_live(channel.arn)
    assert player.get(f"{channel.path}?token={token}", PAGE, method="OPTIONS").status == 200
    assert player.start(channel, token, PAGE).status == 200
    assert refusal_in(player.start(channel, token, PAGE))[0] == REFUSED


def test_of_many_players_at_once_one_uses_a_single_use_token(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """Sixteen requests in eight threads: one start, fifteen refusals."""
    token = pair.token(claims(channel.arn, single_use_uuid=UUID))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: player.start(channel, token).status, range(16)))
    assert sorted(answers) == [200] + [403] * 15


@pytest.mark.parametrize(
    ("maximum", "names"),
    [("SD", ["sd"]), ("HD", ["hd", "sd"]), ("FULL_HD", ["full_hd", "hd", "sd"])],
)
def test_a_maximum_resolution_filters_the_renditions(
    player: Player, channel: Channel, pair: KeyPair, maximum: str, names: list[str]
) -> None:
    """In the playlist, and for someone who writes the URL of a better one himself."""
    token = pair.token(claims(channel.arn, maximum_resolution=maximum))
    watching = player.watch(channel, token)
    session = watching.variants[0].rpartition("/")[0]
    assert watching.variants == [f"{session}/{name}.m3u8" for name in names]
    for name in {"full_hd", "hd", "sd", "4k"} - set(names):
        assert refusal_in(player.get(f"{session}/{name}.m3u8"), 404)[0] == "segment_not_found"
        better = watching.segment_url().replace("/sd/", f"/{name}/")
        assert refusal_in(player.get(better), 404)[0] == "segment_not_found"


def test_a_public_channel_needs_no_token_and_looks_at_none(
    player: Player, account: Account
) -> None:
    """Nonsense in its place does no harm."""
    public = account.create_channel(private=False)
    assert player.get(player.watch(public, None).segment_url()).status == 200
    assert player.start(public, "nonsense").status == 200


def test_a_channel_that_is_offline_or_unknown_is_not_found(
    player: Player, account: Account, pair: KeyPair
) -> None:
    """404 in the same shape, offline to those with a good token only."""
    offline = account.create_channel(live=False)
    assert refusal_in(player.start(offline, None))[0] == INVALID
    good = pair.token(claims(offline.arn))
    assert refusal_in(player.start(offline, good), 404)[0] == "channel_offline"
    for name in (
        f"us-west-2.{account.account_id}.channel.nobody",
        "nonsense",
        "..channel.",
        f"us-west-2.{account.account_id}.stage.nobody",
    ):
        answer = player.get(f"/api/video/v1/{name}.m3u8")
        assert refusal_in(answer, 404)[0] == "channel_not_found"


def test_the_stream_ends_for_its_viewers_when_the_channel_does(
    player: Player, account: Account, channel: Channel, pair: KeyPair, server: LocalIvsServer
) -> None:
    """Offline it pauses, live again it goes on, deleted it is gone."""
    watching = player.watch(channel, pair.token(claims(channel.arn)))
    segment = watching.segment_url()
    server.go_offline(channel.arn)
    assert refusal_in(watching.playlist(), 404)[0] == "channel_offline"
    assert refusal_in(player.get(segment), 404)[0] == "channel_offline"
    server.go_live(channel.arn)
    assert watching.playlist().status == 200
    server.go_offline(channel.arn)
    account.ivs.delete_channel(arn=channel.arn)
    assert refusal_in(watching.playlist(), 404)[0] == "channel_not_found"


def test_what_is_put_into_the_stream_is_in_its_playlists(
    player: Player, account: Account, channel: Channel, pair: KeyPair, clock: ManualClock
) -> None:
    """Of every rendition, at once, for the six segments that a playlist has; not of other ones."""
    other = account.create_channel()
    watching = player.watch(channel, pair.token(claims(channel.arn)))
    elsewhere = player.watch(other, pair.token(claims(other.arn)))
    account.ivs.put_metadata(channelArn=channel.arn, metadata='{"question": "Wie viel €?"}')
    tag = (
        'START-DATE="2027-01-15T08:00:00.000Z",DURATION=0,'
        'X-LOCAL-IVS-METADATA="%7B%22question%22%3A%20%22Wie%20viel%20%E2%82%AC%3F%22%7D"'
    )
    for url in watching.variants:
        assert tag in player.get(url).data.decode()
    assert b"EXT-X-DATERANGE" not in elsewhere.playlist().data
    clock.advance(12)
    assert tag in watching.playlist().data.decode()
    clock.advance(6)
    assert b"EXT-X-DATERANGE" not in watching.playlist().data


def test_segments_are_served_while_a_player_may_want_them(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """Six behind the playlist still, and none that isn't complete."""
    watching = player.watch(channel, pair.token(claims(channel.arn)))
    folder, _, name = watching.segment_url().rpartition("/")
    newest = int(name.removesuffix(".m4s"))
    assert newest == int(NOW * 15 / 32) - 1
    assert player.get(f"{folder}/{newest - 11}.m4s").status == 200
    for sequence in (newest - 12, newest + 1, 0):
        answer = player.get(f"{folder}/{sequence}.m4s")
        assert refusal_in(answer, 404)[0] == "segment_not_found"


def test_any_page_may_read_an_answer_unless_the_token_names_its_own(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """CORS: a star without an origin claim and on refusals, else the page's own origin."""
    plain = player.start(channel, pair.token(claims(channel.arn)), PAGE)
    assert plain.headers["Access-Control-Allow-Origin"] == "*"
    refused = player.start(channel, None, PAGE)
    assert refused.status == 403
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    token = pair.token(claims(channel.arn, access_control_allow_origin=f"{PAGE},{OTHER_PAGE}"))
    named = player.start(channel, token, PAGE)
    assert named.headers["Access-Control-Allow-Origin"] == PAGE
    assert named.headers["Vary"] == "Origin"
    segment = player.get(player.watch(channel, token, PAGE).segment_url(), PAGE)
    assert segment.headers["Access-Control-Allow-Origin"] == PAGE


def test_a_preflight_is_answered_for_any_url_of_the_edge(player: Player, channel: Channel) -> None:
    """A script that sends headers of its own, such as Range, asks first; it needs no token."""
    for path in (channel.path, "/v1/playlist/x/sd.m3u8", "/v1/segment/x/sd/1.m4s"):
        answer = player.get(path, PAGE, method="OPTIONS")
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "GET" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == "*"


def test_the_state_on_disk_holds_no_token(
    player: Player, channel: Channel, pair: KeyPair, server: LocalIvsServer
) -> None:
    """Neither the whole nor its signature, though the session and its viewer are there."""
    token = pair.token(claims(channel.arn, viewer_id="viewer-on-disk"))
    player.watch(channel, token)
    database = server.app.extensions["local_ivs_database"]
    files = database.path.parent.glob(database.path.name + "*")
    stored = b"".join(file.read_bytes() for file in files)
    assert b"viewer-on-disk" in stored
    signature = token.rpartition(".")[2]
    assert signature.encode() not in stored
    assert base64.urlsafe_b64decode(signature) not in stored
