from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from tokensvc import ChannelArn, LocalSigner, PlaybackClaims, PlaybackOptions, sign
from tokensvc.arns import Region
from tokensvc.errors import ChannelNotFound, NotEntitled
from tokensvc.ivs.model import Channel
from tokensvc.playback.inspected_signature import KnownKey
from tokensvc.playback.inspection import Evidence, Inspection, finding_members, inspect

NOW = 1_800_000_000.25
CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
OTHER_CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/another12345")
URL = "https://a1b2.us-west-2.playback.live-video.net/api/video/v1/us-west-2.1.channel.a.m3u8"
ACTIVE, RETIRING, DELETED, OF_EAST, FOREIGN = (LocalSigner.generate() for _ in range(5))
WEST, EAST = Region("us-west-2"), Region("us-east-1")
KEYS = {
    ACTIVE.public_key: KnownKey("2027-01-active", WEST),
    RETIRING.public_key: KnownKey("2026-12-retiring", WEST),
    DELETED.public_key: KnownKey("2026-11-retired", WEST, is_in_ivs=False),
    OF_EAST.public_key: KnownKey("2027-01-east", EAST),
}
CLAIMS = PlaybackClaims.at(NOW, CHANNEL, PlaybackOptions(300), "viewer-1")
TOKEN = sign(CLAIMS, ACTIVE)


def base64url(data: bytes) -> str:
    """Unpadded base64url, as in a JWS."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(payload: dict[str, object], signer: LocalSigner = ACTIVE, alg: str = "ES384") -> str:
    """A token with these claims, which may break rules."""
    header = json.dumps({"alg": alg, "typ": "JWT"}).encode()
    signing_input = f"{base64url(header)}.{base64url(json.dumps(payload).encode())}"
    return f"{signing_input}.{base64url(signer.sign(signing_input.encode()))}"


def inspect_token(
    text: str, *, now: float = NOW, channel_arn: ChannelArn | None = None
) -> Inspection:
    """The inspection with the two known key pairs."""
    return inspect(text, Evidence(now, KEYS, channel_arn))


def verdicts(inspection: Inspection) -> dict[str, str]:
    """The verdict of each check, by its name, in order."""
    return {check.name: check.verdict for check in inspection.checks}


def rules(inspection: Inspection) -> list[str]:
    """The identifiers of the broken rules, in order."""
    return [finding.rule for finding in inspection.findings]


def test_a_valid_token_has_no_findings() -> None:
    """The inspection has its claims, the key pair that signed and the seconds left."""
    inspection = inspect_token(TOKEN, channel_arn=CHANNEL)
    assert inspection == Inspection(
        accepted_by_ivs=True,
        checks=inspection.checks,
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
    assert inspection.findings == ()
    assert verdicts(inspection) == {
        "form": "passed",
        "header": "passed",
        "signature": "passed",
        "exp": "passed",
        "not_expired": "passed",
        "ten_minute_rule": "passed",
        "channel": "passed",
        "channel_in_ivs": "not_checked",
        "claims": "passed",
        "origin": "not_checked",
        "viewer": "not_checked",
        "size": "passed",
    }


def test_a_token_of_a_retiring_key_is_accepted() -> None:
    """During a rotation IVS accepts tokens of both key pairs."""
    inspection = inspect_token(sign(CLAIMS, RETIRING))
    assert inspection.signed_by == "2026-12-retiring"
    assert inspection.accepted_by_ivs


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
def test_a_playback_url_can_be_inspected(url: str) -> None:
    """The token is read from the query; parameters that a player added are ignored."""
    assert inspect_token(url) == inspect_token(TOKEN)


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
    """No token, two, an empty one, and the duplicated one of a well-known sample."""
    inspection = inspect_token(url)
    assert rules(inspection) == [rule]
    assert not inspection.accepted_by_ivs
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
def test_a_malformed_token_is_a_finding_and_not_an_error(text: str, rule: str) -> None:
    """With the identifier of the broken rule."""
    inspection = inspect_token(text)
    assert rules(inspection) == [rule]
    assert not inspection.accepted_by_ivs


def test_a_token_that_is_too_long_is_still_read() -> None:
    """So that the operator sees which claim is so long, and all other findings."""
    origins = ",".join(f"https://{n}.example" for n in range(200))
    payload = {
        "aws:channel-arn": str(CHANNEL),
        "exp": 1,
        "aws:access-control-allow-origin": origins,
    }
    inspection = inspect_token(signed(payload))
    assert rules(inspection) == ["exp_in_future", "token_size"]
    assert inspection.payload == payload
    assert inspection.signed_by == "2027-01-active"


def test_a_token_of_a_foreign_key_pair_is_refused() -> None:
    """The finding has the number of key pairs that were tried."""
    inspection = inspect_token(sign(CLAIMS, FOREIGN))
    assert rules(inspection) == ["signature_key"]
    assert "4 key pairs" in inspection.findings[0].message
    assert inspection.signed_by is None
    assert not inspection.accepted_by_ivs


def test_a_token_of_a_key_pair_that_was_deleted_from_ivs_is_refused() -> None:
    """The ring still has its record, so that the finding names it."""
    inspection = inspect_token(sign(CLAIMS, DELETED))
    assert rules(inspection) == ["signature_key_deleted"]
    assert inspection.signed_by == "2026-11-retired"
    assert not inspection.accepted_by_ivs


def test_a_token_of_a_key_pair_of_another_region_is_refused() -> None:
    """IVS has it, but not where the channel is."""
    inspection = inspect_token(sign(CLAIMS, OF_EAST))
    assert rules(inspection) == ["signature_key_region"]
    assert inspection.signed_by == "2027-01-east"
    assert not inspection.accepted_by_ivs


@pytest.mark.parametrize(
    ("origin", "verdict"),
    [
        ("https://www.example.com", "passed"),
        ("https://example.org", "passed"),
        ("https://evil.example", "failed"),
        ("http://www.example.com", "failed"),
    ],
)
def test_the_origin_of_the_page_is_compared_with_the_allowed_ones(
    origin: str, verdict: str
) -> None:
    """A host may begin with *. A token without origins plays anywhere."""
    allowed = ("https://*.example.com", "https://example.org")
    claims = PlaybackClaims.at(NOW, CHANNEL, PlaybackOptions(300, allowed_origins=allowed))
    inspection = inspect(sign(claims, ACTIVE), Evidence(NOW, KEYS, origin=origin))
    assert verdicts(inspection)["origin"] == verdict
    assert inspection.accepted_by_ivs == (verdict == "passed")
    assert verdicts(inspect(TOKEN, Evidence(NOW, KEYS, origin=origin)))["origin"] == "passed"


def test_the_channel_is_checked_in_ivs_only_if_ivs_is_asked() -> None:
    """Without its answer the check is not done: it passed before, whatever the channel was."""

    def get_channel(arn: ChannelArn) -> Channel:
        return Channel(arn, "", is_private=True, playback_url=URL)

    assert verdicts(inspect(TOKEN, Evidence(NOW, KEYS)))["channel_in_ivs"] == "not_checked"
    asked = inspect(TOKEN, Evidence(NOW, KEYS, get_channel=get_channel))
    assert verdicts(asked)["channel_in_ivs"] == "passed"
    no_channel = inspect(signed({"exp": 1_800_000_300}), Evidence(NOW, get_channel=get_channel))
    assert verdicts(no_channel)["channel"] == "failed"
    assert verdicts(no_channel)["channel_in_ivs"] == "not_checked"


@pytest.mark.parametrize("claims", [{}, {"exp": "1800000300"}])
def test_times_are_not_checked_without_a_time(claims: dict[str, object]) -> None:
    """A token whose `exp` is missing or a text has not passed the checks of its time."""
    found = verdicts(inspect_token(signed({"aws:channel-arn": str(CHANNEL), **claims})))
    assert (found["exp"], found["not_expired"], found["ten_minute_rule"]) == (
        "failed",
        "not_checked",
        "not_checked",
    )


def test_a_channel_that_does_not_exist_is_a_finding() -> None:
    """IVS is asked for the channel of the token."""
    requested = []

    def get_channel(arn: ChannelArn) -> Channel:
        requested.append(arn)
        raise ChannelNotFound("IVS has no such channel.")

    inspection = inspect(TOKEN, Evidence(NOW, KEYS, get_channel=get_channel))
    assert (rules(inspection), requested) == (["channel_exists"], [CHANNEL])
    assert not inspection.accepted_by_ivs


def test_a_public_channel_is_a_finding_that_refuses_nothing() -> None:
    """It plays without any token, which its owner may not know."""

    def get_channel(arn: ChannelArn) -> Channel:
        return Channel(arn, "", is_private=False, playback_url=URL)

    inspection = inspect(TOKEN, Evidence(NOW, KEYS, get_channel=get_channel))
    assert rules(inspection) == ["channel_private"]
    assert verdicts(inspection)["channel_in_ivs"] == "failed"
    assert inspection.accepted_by_ivs


def test_a_viewer_who_is_banned_is_a_finding() -> None:
    """The ban is looked up with the channel, the viewer ID and the version of the token."""
    asked = []

    class Banned(NotEntitled):
        code = "viewer_banned"

    def refusal(arn: ChannelArn, viewer_id: str, version: int) -> Banned:
        asked.append((arn, viewer_id, version))
        return Banned("The viewer is banned.")

    inspection = inspect(TOKEN, Evidence(NOW, KEYS, refusal_of_viewer=refusal))
    assert asked == [(CHANNEL, "viewer-1", 1_800_000_000)]
    assert verdicts(inspection)["viewer"] == "failed"
    assert not inspection.accepted_by_ivs


def test_every_check_after_a_form_that_cant_be_read_is_not_done() -> None:
    """Nothing is known about them."""
    assert set(verdicts(inspect_token("nonsense")).values()) == {"failed", "not_checked"}


def test_what_no_page_of_aws_states_is_called_believed() -> None:
    """The size limit, for example."""
    payload = {"aws:channel-arn": str(CHANNEL), "exp": 1_800_000_300, "x": 2_000 * "y"}
    (finding,) = inspect_token(signed(payload)).findings
    members = finding_members(finding)
    assert (members["rule"], members["is_believed"]) == ("token_size", True)


def test_a_der_signature_is_recognized() -> None:
    """A common mistake with OpenSSL and KMS."""
    signing_input, _, signature = TOKEN.rpartition(".")
    raw = base64.urlsafe_b64decode(signature)
    der = encode_dss_signature(int.from_bytes(raw[:48]), int.from_bytes(raw[48:]))
    inspection = inspect_token(f"{signing_input}.{base64url(der)}")
    assert rules(inspection) == ["signature_form"]
    assert "DER" in inspection.findings[0].message
    assert not inspection.accepted_by_ivs


def test_an_unsecured_token_is_refused_for_its_algorithm_and_its_signature() -> None:
    """`alg: none` with an empty signature can be read and is never accepted."""
    header = base64url(b'{"alg":"none"}')
    inspection = inspect_token(f"{header}.{TOKEN.split('.')[1]}.")
    assert rules(inspection) == ["alg_es384", "signature_form"]
    assert "DER" not in inspection.findings[1].message
    assert not inspection.accepted_by_ivs


def test_all_findings_are_reported_at_once() -> None:
    """About the header, the claims and the requested channel."""
    payload: dict[str, object] = {
        "aws:channel-arn": str(CHANNEL),
        "exp": 1_800_000_601,
        "aws:viewer-id": "ann@example.com",
        "nbf": 1,
    }
    inspection = inspect_token(signed(payload, alg="ES256"), channel_arn=OTHER_CHANNEL)
    assert [(finding.rule, finding.enforced_by_ivs) for finding in inspection.findings] == [
        ("alg_es384", True),
        ("ten_minute_rule", True),
        ("channel_arn_asked_for", True),
        ("viewer_id_private", False),
        ("nbf_absent", False),
    ]
    assert str(OTHER_CHANNEL) in inspection.findings[2].message


def test_a_rule_of_this_service_does_not_mean_that_ivs_refuses() -> None:
    """AWS's own sample writes `exp` in milliseconds: the token plays and gets a finding."""
    inspection = inspect_token(signed({"aws:channel-arn": str(CHANNEL), "exp": 1_800_000_300_000}))
    assert rules(inspection) == ["exp_in_seconds"]
    assert inspection.accepted_by_ivs
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
def test_the_seconds_left_are_negative_after_exp(exp: object, seconds_left: int | None) -> None:
    """None when `exp` is not an integer."""
    inspection = inspect_token(signed({"aws:channel-arn": str(CHANNEL), "exp": exp}))
    assert inspection.seconds_left == seconds_left
    assert inspection.accepted_by_ivs == (seconds_left == 1)


def test_a_token_expires_at_the_second_of_exp() -> None:
    """It plays until just before that time, and no longer at that time."""
    assert inspect_token(TOKEN, now=1_800_000_299.999).accepted_by_ivs
    assert not inspect_token(TOKEN, now=1_800_000_300.0).accepted_by_ivs


def test_a_token_for_another_channel_is_a_finding() -> None:
    """Only if the requested channel is known."""
    assert rules(inspect_token(TOKEN, channel_arn=OTHER_CHANNEL)) == ["channel_arn_asked_for"]
    assert rules(inspect_token(TOKEN)) == []


@given(cut=st.integers(0, len(TOKEN)), junk=st.text(max_size=5))
def test_the_signature_is_never_shown(cut: int, junk: str) -> None:
    """For any input, so that the output can't be played."""
    signature = TOKEN.rpartition(".")[2]
    for text in (TOKEN[:cut] + junk + TOKEN[cut:], f"{URL}?{junk}token={TOKEN}", TOKEN[:cut]):
        assert signature[:16] not in repr(inspect_token(text))
