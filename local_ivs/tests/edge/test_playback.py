from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from edge.tokens import NOW, claims
from local_ivs.testing import (
    Account,
    Channel,
    KeyPair,
    LocalIvsServer,
    Player,
    base64url,
    refusal_in,
    urls_in,
)

if TYPE_CHECKING:
    from pathlib import Path

    from local_ivs.testing import ManualClock

INVALID = "invalid_playback_auth_token"
REFUSED = "playback_auth_error"
UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
PAGE = "https://www.example.com"
OTHER_PAGE = "https://evil.example"


def test_a_signed_playback_url_plays_video(player: Player, channel: Channel, pair: KeyPair) -> None:
    """Multivariant and variant playlist, init and media segment. No playlist has the token."""
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


def test_no_response_of_the_edge_may_be_cached(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """A session can end at any time, and its URLs belong to one viewer."""
    playback = player.watch(channel, pair.token(claims(channel.arn)))
    answers = [
        player.start(channel, None),
        player.start(channel, pair.token(claims(channel.arn))),
        playback.playlist(),
        player.get(playback.segment_url()),
    ]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}


def test_each_start_opens_a_new_session(player: Player, channel: Channel, pair: KeyPair) -> None:
    """Two players with the same token get different session IDs of 24 characters."""
    token = pair.token(claims(channel.arn))
    sessions = {
        url.split("/")[3] for _ in range(2) for url in player.watch(channel, token).variants
    }
    assert len(sessions) == 2
    assert {len(session) for session in sessions} == {24}


def test_an_absent_token_is_refused_in_ivs_format(player: Player, channel: Channel) -> None:
    """A JSON array of one object, which has the requested URL."""
    answer = player.get(channel.path + "?player_version=1.2.3")
    code, error = refusal_in(answer)
    assert code == INVALID
    assert "token" in error
    assert answer.json()[0]["url"] == channel.playback_url + "?player_version=1.2.3"


def test_a_refusal_returns_the_url_without_the_token(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """It has the other parameters, and no part of the token."""
    token = pair.token(claims(channel.arn, exp=NOW))
    answer = player.get(f"{channel.path}?pbac=1&token={token}&player_version=a%20b")
    assert refusal_in(answer)[0] == INVALID
    assert answer.json()[0]["url"] == channel.playback_url + "?pbac=1&player_version=a+b"
    assert not any(part in answer.data.decode() for part in token.split("."))


def test_other_url_parameters_are_ignored_and_a_second_token_is_refused(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """AWS's player adds parameters of its own to the URL."""
    token = pair.token(claims(channel.arn))
    assert player.get(f"{channel.path}?token={token}&player_version=1&pbac=2").status == 200
    assert refusal_in(player.get(f"{channel.path}?token={token}&token={token}"))[0] == INVALID


def tokens_with_wrong_signatures(pair: KeyPair, payload: dict[str, Any]) -> dict[str, str]:
    """Tokens with valid claims whose signature is not the key's ES384 signature, by name."""
    body = base64url(json.dumps(payload).encode())

    def signing_input(algorithm: str) -> str:
        return f"{base64url(json.dumps({'alg': algorithm, 'typ': 'JWT'}).encode())}.{body}"

    hs256 = signing_input("HS256")
    mac = hmac.new(pair.public_pem.encode(), hs256.encode(), hashlib.sha256).digest()
    es256 = signing_input("ES256")
    es256_der = ec.generate_private_key(ec.SECP256R1()).sign(es256.encode(), ec.ECDSA(SHA256()))
    r, s = utils.decode_dss_signature(es256_der)
    es384 = signing_input("ES384")
    valid = pair.token(payload)
    return {
        "not a token": "nonsense",
        "truncated": valid[:-4],
        "none": signing_input("none") + ".",
        "none, padded": f"{signing_input('none')}.{'A' * 128}",
        "HS256 with the public key": f"{hs256}.{base64url(mac)}",
        "ES256": f"{es256}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}",
        "DER": f"{es384}.{base64url(pair.sign_der(es384.encode()))}",
        "another key": KeyPair().token(payload),
    }


def test_a_token_without_the_key_pair_s_es384_signature_is_refused(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """Malformed, `none`, HS256 with the public key, ES256, DER, and another key."""
    for name, token in tokens_with_wrong_signatures(pair, claims(channel.arn)).items():
        code, _ = refusal_in(player.start(channel, token))
        assert code == INVALID, name


def test_a_token_plays_its_own_channel_only(
    player: Player, account: Account, channel: Channel, pair: KeyPair
) -> None:
    """The account's other channel refuses it, although the same key signs for both."""
    other = account.create_channel()
    token = pair.token(claims(channel.arn))
    code, error = refusal_in(player.start(other, token))
    assert code == INVALID
    assert channel.arn in error
    assert player.start(channel, token).status == 200


def test_a_key_pair_is_valid_in_its_own_region_and_account_only(
    player: Player, server: LocalIvsServer, account: Account
) -> None:
    """Imported into another region and another account, it signs no token for this one."""
    other_region = Account(server, account.account_id, "eu-west-1")
    other_account = Account(server, "999999999999")
    other_pair = KeyPair()
    other_region.import_key(other_pair)
    other_account.import_key(other_pair)
    here, there = account.create_channel(), other_region.create_channel()
    assert player.start(there, other_pair.token(claims(there.arn))).status == 200
    code, error = refusal_in(player.start(here, other_pair.token(claims(here.arn))))
    assert code == INVALID
    assert "ImportPlaybackKeyPair" in error


def test_a_token_of_another_region_is_refused_even_if_both_regions_have_the_key_pair(
    player: Player, server: LocalIvsServer, account: Account, channel: Channel, pair: KeyPair
) -> None:
    """It has another channel's ARN, and plays that channel."""
    other_region = Account(server, account.account_id, "eu-west-1")
    other_region.import_key(pair)
    there = other_region.create_channel()
    token = pair.token(claims(there.arn))
    assert player.start(there, token).status == 200
    assert there.arn in refusal_in(player.start(channel, token))[1]
    same_id = channel.arn.replace("us-west-2", "eu-west-1")
    assert refusal_in(player.start(channel, pair.token(claims(same_id))))[0] == INVALID


def test_imports_and_deletes_take_effect_at_the_edge_after_the_configured_delay(
    player: Player, tmp_path: Path, clock: ManualClock
) -> None:
    """Its tokens play from 30 s after the import until 30 s after the delete."""
    with LocalIvsServer(tmp_path, clock, effect_delay_seconds=30) as server:
        delayed = Player(player.pool, server.url)
        account, pair = Account(server, "123456789012"), KeyPair()
        arn = account.import_key(pair)
        channel = account.create_channel()
        token = pair.token(claims(channel.arn))
        for seconds, status in ((0, 403), (29, 403), (1, 200)):
            clock.advance(seconds)
            assert delayed.start(channel, token).status == status
        account.ivs.delete_playback_key_pair(arn=arn)
        for seconds, status in ((0, 200), (29, 200), (1, 403)):
            clock.advance(seconds)
            assert delayed.start(channel, token).status == status


def test_a_deleted_key_s_tokens_are_refused_and_its_running_session_continues(
    player: Player, account: Account, channel: Channel
) -> None:
    """Tokens are verified at the start only."""
    second = KeyPair()
    arn = account.import_key(second)
    token = second.token(claims(channel.arn))
    playback = player.watch(channel, token)
    account.ivs.delete_playback_key_pair(arn=arn)
    assert refusal_in(player.start(channel, token))[0] == INVALID
    assert playback.playlist().status == 200
    assert player.get(playback.segment_url()).status == 200


def test_an_expired_token_is_refused_and_its_running_session_continues(
    player: Player, channel: Channel, pair: KeyPair, clock: ManualClock
) -> None:
    """The token is valid until one millisecond before `exp`."""
    token = pair.token(claims(channel.arn, exp=NOW + 60))
    clock.advance(59.999)
    playback = player.watch(channel, token)
    clock.advance(0.001)
    code, error = refusal_in(player.start(channel, token))
    assert code == INVALID
    assert str(NOW + 60) in error
    assert playback.playlist().status == 200


@pytest.mark.parametrize("more", [{"viewer_id": "v"}, {"single_use_uuid": UUID}])
def test_a_token_that_exceeds_the_ten_minute_limit_is_refused(
    player: Player, channel: Channel, pair: KeyPair, more: dict[str, Any]
) -> None:
    """With a viewer ID or for a single use, 600 s are allowed and 601 s are not."""
    too_long = pair.token(claims(channel.arn, exp=NOW + 601, **more))
    code, error = refusal_in(player.start(channel, too_long))
    assert code == INVALID
    assert "600 seconds" in error
    assert (
        player.start(channel, pair.token(claims(channel.arn, exp=NOW + 600, **more))).status == 200
    )


def test_an_origin_claim_applies_to_the_start_only(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """Another page can't start, a program without an Origin can. Sessions allow every origin."""
    token = pair.token(
        claims(channel.arn, access_control_allow_origin=f"{PAGE},https://*.b.example")
    )
    assert refusal_in(player.start(channel, token, OTHER_PAGE))[0] == REFUSED
    for origin in (None, PAGE, "https://a.b.example"):
        playback = player.watch(channel, token, origin)
        for other in (None, PAGE, OTHER_PAGE):
            assert playback.playlist(other).status == 200
            assert player.get(playback.segment_url(), other).status == 200


def test_strict_enforcement_requires_the_origin_on_every_request(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """Multivariant and variant playlists, init and media segments."""
    token = pair.token(
        claims(channel.arn, access_control_allow_origin=PAGE, strict_origin_enforcement=True)
    )
    playback = player.watch(channel, token, PAGE)
    segment = playback.segment_url(PAGE)
    init = segment.rpartition("/")[0] + "/init.mp4"
    for url in (f"{channel.path}?token={token}", playback.variants[0], segment, init):
        assert player.get(url, PAGE).status == 200
        for origin in (None, OTHER_PAGE, "null"):
            assert refusal_in(player.get(url, origin))[0] == REFUSED


@pytest.mark.parametrize(
    ("maximum", "names"),
    [("SD", ["sd"]), ("HD", ["hd", "sd"]), ("FULL_HD", ["full_hd", "hd", "sd"])],
)
def test_a_maximum_resolution_limits_the_renditions(
    player: Player, channel: Channel, pair: KeyPair, maximum: str, names: list[str]
) -> None:
    """In the playlist, and for a client that constructs the URL of a higher rendition."""
    token = pair.token(claims(channel.arn, maximum_resolution=maximum))
    playback = player.watch(channel, token)
    session = playback.variants[0].rpartition("/")[0]
    assert playback.variants == [f"{session}/{name}.m3u8" for name in names]
    for name in {"full_hd", "hd", "sd", "4k"} - set(names):
        assert refusal_in(player.get(f"{session}/{name}.m3u8"), 404)[0] == "segment_not_found"
        other_segment = playback.segment_url().replace("/sd/", f"/{name}/")
        assert refusal_in(player.get(other_segment), 404)[0] == "segment_not_found"


def test_a_public_channel_needs_no_token_and_ignores_one(player: Player, account: Account) -> None:
    """A token parameter that is not a token is accepted."""
    public = account.create_channel(private=False)
    assert player.get(player.watch(public, None).segment_url()).status == 200
    assert player.start(public, "nonsense").status == 200


def test_scripts_of_any_page_can_read_a_response_unless_the_token_has_an_origin_claim(
    player: Player, channel: Channel, pair: KeyPair
) -> None:
    """CORS: `*` on refusals and without an origin claim, otherwise the page's own origin."""
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


def test_a_preflight_is_allowed_for_any_url_of_the_edge(player: Player, channel: Channel) -> None:
    """Browsers send one before a request with headers such as Range. It needs no token."""
    for path in (channel.path, "/v1/playlist/x/sd.m3u8", "/v1/segment/x/sd/1.m4s"):
        answer = player.get(path, PAGE, method="OPTIONS")
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "GET" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == "*"


def test_the_state_on_disk_contains_no_token(
    player: Player, channel: Channel, pair: KeyPair, server: LocalIvsServer
) -> None:
    """Neither its text nor its signature's bytes. The session and its viewer ID are stored."""
    token = pair.token(claims(channel.arn, viewer_id="viewer-on-disk"))
    player.watch(channel, token)
    database = server.database
    files = database.path.parent.glob(database.path.name + "*")
    stored = b"".join(file.read_bytes() for file in files)
    assert b"viewer-on-disk" in stored
    signature = token.rpartition(".")[2]
    assert signature.encode() not in stored
    assert base64.urlsafe_b64decode(signature) not in stored
