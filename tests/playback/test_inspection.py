from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from tokensvc import ChannelArn, LocalSigner, PlaybackClaims, PlaybackOptions, sign
from tokensvc.playback.inspection import Inspection, inspect

NOW = 1_800_000_000.25
CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
OTHER_CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/another12345")
URL = "https://a1b2.us-west-2.playback.live-video.net/api/video/v1/us-west-2.1.channel.a.m3u8"
ACTIVE, RETIRING, STRANGER = (LocalSigner.generate() for _ in range(3))
NAMES = {ACTIVE.public_key: "2027-01-active", RETIRING.public_key: "2026-12-retiring"}
CLAIMS = PlaybackClaims.at(NOW, CHANNEL, PlaybackOptions(300), "viewer-1")
TOKEN = sign(CLAIMS, ACTIVE)


def base64url(data: bytes) -> str:
    """Unpadded, as a JWS has it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(payload: dict[str, object], signer: LocalSigner = ACTIVE, alg: str = "ES384") -> str:
    """A token of these claims, whatever rules they break."""
    header = json.dumps({"alg": alg, "typ": "JWT"}).encode()
    signing_input = f"{base64url(header)}.{base64url(json.dumps(payload).encode())}"
    return f"{signing_input}.{base64url(signer.sign(signing_input.encode()))}"


def look_at(text: str, *, now: float = NOW, channel_arn: ChannelArn | None = None) -> Inspection:
    """The inspection, by the two known keys."""
    return inspect(text, now=now, public_keys=NAMES, channel_arn=channel_arn)


def rules(inspection: Inspection) -> list[str]:
    """The names of the rules that are broken, in order."""
    return [finding.rule for finding in inspection.findings]


def test_a_good_token_has_no_findings_and_tells_who_signed_and_how_long_it_lives() -> None:
    """All there is to know about a token that plays."""
    inspection = look_at(TOKEN, channel_arn=CHANNEL)
    assert inspection == Inspection(
        ivs_takes_it=True,
        findings=(),
        header={"alg": "ES384", "typ": "JWT"},
        payload={
            "aws:channel-arn": str(CHANNEL),
            "aws:viewer-id": "viewer-1",
            "aws:viewer-session-version": 1_800_000_000,
            "exp": 1_800_000_300,
        },
        signed_by="2027-01-active",
        seconds_left=300,
    )


def test_the_retiring_key_is_named_when_it_signed() -> None:
    """During a rotation both keys play."""
    inspection = look_at(sign(CLAIMS, RETIRING))
    assert inspection.signed_by == "2026-12-retiring"
    assert inspection.ivs_takes_it


@pytest.mark.parametrize(
    "url",
    [
        f"{URL}?token={TOKEN}",
        f"{URL}?token={TOKEN}&pbac=1&player_version=1.2",
        f"{URL}?pbac=1&token={TOKEN}",
        f"{URL}?token={TOKEN}#fragment",
        f"{URL}?token={quote(TOKEN, safe='').replace('-', '%2D')}",
        f"/api/video/v1/a.m3u8?token={TOKEN}",
        f"?token={TOKEN}",
    ],
)
def test_a_whole_playback_url_may_be_given(url: str) -> None:
    """The token is taken out of its query, whatever a player added."""
    assert look_at(url) == look_at(TOKEN)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        (URL, "token_absent"),
        (f"{URL}?tokens={TOKEN}", "token_absent"),
        (f"{URL}#token={TOKEN}", "token_absent"),
        (f"{URL}?token={TOKEN}&token={TOKEN}", "token_once"),
        (f"{URL}?token=&token={TOKEN}", "token_once"),
        (f"{URL}?token=", "token_segments"),
        (f"{URL}?token={TOKEN}.m3u8?token={TOKEN}", "token_segments"),
        (f"https://[::1?token={TOKEN}", "url_form"),
    ],
)
def test_a_url_without_one_well_formed_token_is_a_finding(url: str, rule: str) -> None:
    """None, two, an empty one, and the doubled one of a well-known sample."""
    inspection = look_at(url)
    assert rules(inspection) == [rule]
    assert not inspection.ivs_takes_it
    assert (inspection.header, inspection.payload, inspection.signed_by) == ({}, {}, None)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "token_segments"),
        (TOKEN[: TOKEN.rindex(".")], "token_segments"),
        (f"{TOKEN}\n", "token_base64url"),
        (TOKEN[:-3], "token_base64url"),
        (f"{base64url(b'[]')}.{base64url(b'{}')}.{base64url(bytes(96))}", "token_json"),
        ("x" * 65_537, "token_size"),
    ],
)
def test_what_is_no_token_is_a_finding_and_never_an_error(text: str, rule: str) -> None:
    """The finding says what to do about it."""
    inspection = look_at(text)
    assert rules(inspection) == [rule]
    assert not inspection.ivs_takes_it


def test_a_token_that_is_too_long_is_still_read() -> None:
    """So that the reader sees which claim made it so long, and what else is wrong."""
    origins = ",".join(f"https://{n}.example" for n in range(200))
    payload = {
        "aws:channel-arn": str(CHANNEL),
        "exp": 1,
        "aws:access-control-allow-origin": origins,
    }
    inspection = look_at(signed(payload))
    assert rules(inspection) == ["token_size", "exp_in_future"]
    assert inspection.payload == payload
    assert inspection.signed_by == "2027-01-active"


def test_a_strangers_signature_is_told_with_the_number_of_keys_that_were_tried() -> None:
    """Nobody known signed it, so IVS, which holds the known keys, refuses."""
    inspection = look_at(sign(CLAIMS, STRANGER))
    assert rules(inspection) == ["signature_key"]
    assert "None of the 2 key pairs" in inspection.findings[0].message
    assert inspection.signed_by is None
    assert not inspection.ivs_takes_it


def test_a_der_signature_is_called_der() -> None:
    """The usual mistake with OpenSSL and KMS."""
    signing_input, _, signature = TOKEN.rpartition(".")
    raw = base64.urlsafe_b64decode(signature)
    der = encode_dss_signature(int.from_bytes(raw[:48]), int.from_bytes(raw[48:]))
    inspection = look_at(f"{signing_input}.{base64url(der)}")
    assert rules(inspection) == ["signature_form"]
    assert "DER" in inspection.findings[0].message
    assert not inspection.ivs_takes_it


def test_an_unsecured_token_is_refused_for_its_algorithm_and_its_signature() -> None:
    """`alg: none` with an empty signature is read, and never taken."""
    header = base64url(b'{"alg":"none"}')
    inspection = look_at(f"{header}.{TOKEN.split('.')[1]}.")
    assert rules(inspection) == ["alg_es384", "signature_form"]
    assert "DER" not in inspection.findings[1].message
    assert not inspection.ivs_takes_it


def test_every_finding_is_told_at_once() -> None:
    """Header, claims and the channel asked for, each with its own sentence."""
    payload: dict[str, object] = {
        "aws:channel-arn": str(CHANNEL),
        "exp": 1_800_000_601,
        "aws:viewer-id": "ann@example.com",
        "nbf": 1,
    }
    inspection = look_at(signed(payload, alg="ES256"), channel_arn=OTHER_CHANNEL)
    assert [(finding.rule, finding.enforced_by_ivs) for finding in inspection.findings] == [
        ("alg_es384", True),
        ("ten_minute_rule", True),
        ("viewer_id_private", False),
        ("nbf_absent", False),
        ("channel_arn_asked_for", True),
    ]
    assert str(OTHER_CHANNEL) in inspection.findings[-1].message


def test_a_rule_of_this_house_alone_does_not_make_ivs_refuse() -> None:
    """AWS's own sample writes milliseconds: it plays, and the finding says what is wrong."""
    inspection = look_at(signed({"aws:channel-arn": str(CHANNEL), "exp": 1_800_000_300_000}))
    assert rules(inspection) == ["exp_in_seconds"]
    assert inspection.ivs_takes_it
    assert inspection.seconds_left == 1_798_200_300_000


@pytest.mark.parametrize(
    ("exp", "seconds_left"),
    [
        (1_800_000_001, 1),
        (1_800_000_000, 0),
        (1_799_999_990, -10),
        ("1800000300", None),
        (True, None),
    ],
)
def test_the_time_left_is_whole_seconds_and_negative_when_it_is_over(
    exp: object, seconds_left: int | None
) -> None:
    """There is none where `exp` is no integer."""
    inspection = look_at(signed({"aws:channel-arn": str(CHANNEL), "exp": exp}))
    assert inspection.seconds_left == seconds_left
    assert inspection.ivs_takes_it == (seconds_left == 1)


def test_the_second_of_exp_decides() -> None:
    """A blink before it the token plays, at it no more."""
    assert look_at(TOKEN, now=1_800_000_299.999).ivs_takes_it
    assert not look_at(TOKEN, now=1_800_000_300.0).ivs_takes_it


def test_another_channel_than_the_one_asked_for_is_a_finding() -> None:
    """Only where the one asked for is known."""
    assert rules(look_at(TOKEN, channel_arn=OTHER_CHANNEL)) == ["channel_arn_asked_for"]
    assert rules(look_at(TOKEN)) == []


@given(cut=st.integers(0, len(TOKEN)), junk=st.text(max_size=5))
def test_the_signature_is_never_repeated(cut: int, junk: str) -> None:
    """Whatever is pasted, what is shown can't be played."""
    signature = TOKEN.rpartition(".")[2]
    for text in (TOKEN[:cut] + junk + TOKEN[cut:], f"{URL}?{junk}token={TOKEN}", TOKEN[:cut]):
        assert signature[:16] not in repr(look_at(text))
