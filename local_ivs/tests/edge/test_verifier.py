from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from edge.tokens import ARN, NOW, OTHER_PAIR, PAIR, claims, refusal_reason, verify_token
from local_ivs.edge.origins import OriginRule
from local_ivs.edge.refusals import Reason, TokenRefusedError
from local_ivs.edge.segments import Resolution
from local_ivs.edge.verifier import Admission
from local_ivs.testing import KeyPair, base64url


def test_a_token_with_the_two_required_claims_only_has_no_further_limits() -> None:
    """Every origin, no viewer ID, and the full resolution."""
    assert verify_token(PAIR.token(claims(ARN))) == Admission(
        expires_at=NOW + 300,
        origin_rule=OriginRule(None, strict=False),
        viewer_id=None,
        viewer_session_version=0,
        single_use_uuid=None,
        maximum_resolution=Resolution.FULL_HD,
    )


def test_every_claim_of_a_token_is_read() -> None:
    """All eight claims in one token, each with a different value."""
    token = PAIR.token(
        claims(
            ARN,
            viewer_id="viewer-7",
            viewer_session_version=41,
            single_use_uuid="A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            maximum_resolution="HD",
            access_control_allow_origin="https://a.example,https://b.example",
            strict_origin_enforcement=True,
        )
    )
    assert verify_token(token) == Admission(
        expires_at=NOW + 300,
        origin_rule=OriginRule("https://a.example,https://b.example", strict=True),
        viewer_id="viewer-7",
        viewer_session_version=41,
        single_use_uuid="A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        maximum_resolution=Resolution.HD,
    )


def test_an_absent_token_is_refused() -> None:
    """A private channel without a token."""
    assert refusal_reason(None) is Reason.ABSENT


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b", "a.b.c.d", "eyJh.eyJh.", "....", "é.é.é", "a b.c.d", "e30=.e30=.AAAA"],
)
def test_text_that_is_not_a_compact_jws_is_malformed(token: str) -> None:
    """A compact JWS is three segments of unpadded base64url and nothing else."""
    assert refusal_reason(token) is Reason.MALFORMED


@pytest.mark.parametrize("end", ["\n", " ", "=", ".", "A.A"])
def test_a_valid_token_with_text_after_it_is_malformed(end: str) -> None:
    """Also with a trailing newline."""
    assert refusal_reason(PAIR.token(claims(ARN)) + end) is Reason.MALFORMED


def test_a_second_encoding_of_the_same_bytes_is_malformed() -> None:
    """The unused bits in a segment's last character must be zero (RFC 4648 §3.5)."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for filling in ("", "x", "xx"):
        header, payload, signature = PAIR.token(claims(ARN) | {"filling": filling}).split(".")
        if len(payload) % 4 == 0:
            continue
        other_encoding = payload[:-1] + alphabet[alphabet.index(payload[-1]) + 1]
        assert refusal_reason(f"{header}.{other_encoding}.{signature}") is Reason.MALFORMED


def test_a_token_of_more_than_2048_bytes_is_refused() -> None:
    """2,048 bytes are accepted. The next larger token, of 2,049 or 2,050 bytes, is not."""
    sizes = {}
    for filling in range(1000, 1700):
        token = PAIR.token(claims(ARN) | {"filling": "x" * filling})
        sizes[len(token)] = token
    assert verify_token(sizes[2048]).expires_at == NOW + 300
    next_size = min(size for size in sizes if size > 2048)
    assert next_size <= 2050
    assert refusal_reason(sizes[next_size]) is Reason.MALFORMED


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"text"',
        b"null",
        b"{",
        b"\xff\xfe",
        b'\xef\xbb\xbf{"exp":1}',
        b'{"exp":1}'.decode().encode("utf-16"),
        b'{"exp":NaN}',
        b'{"exp":Infinity}',
        b'{"exp":1,"exp":1}',
        b'{"aws:viewer-id":"\\ud800"}',
        b'{"deep":' + b"[" * 1200 + b"]" * 1200 + b"}",
    ],
)
def test_a_signed_payload_that_is_not_a_json_object_is_malformed(payload: bytes) -> None:
    """Even with a valid signature."""
    assert refusal_reason(PAIR.raw_token(payload)) is Reason.MALFORMED


def test_a_duplicate_claim_is_refused_even_if_both_values_are_valid() -> None:
    """Two parsers could read different values."""
    text = json.dumps(claims(ARN)).encode()
    assert (
        refusal_reason(PAIR.raw_token(text[:-1] + b', "exp": %d}' % (NOW + 300)))
        is Reason.MALFORMED
    )


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"alg": "none", "typ": "JWT"},
        {"alg": "es384", "typ": "JWT"},
        {"alg": "ES256", "typ": "JWT"},
        {"alg": "HS256", "typ": "JWT"},
        {"alg": ["ES384"], "typ": "JWT"},
        {"alg": "ES384", "typ": "jwt"},
        {"alg": "ES384", "typ": "JWS"},
        {"alg": "ES384", "typ": None},
        {"alg": "ES384", "crit": ["exp"]},
        {"alg": "ES384", "crit": []},
        {"alg": "ES384", "b64": True},
        {"alg": "ES384", "b64": False},
    ],
)
def test_a_header_with_other_values_or_extensions_is_refused(header: dict[str, Any]) -> None:
    """Even if the signature is a valid ES384 signature of the imported key."""
    assert refusal_reason(PAIR.token(claims(ARN), header)) is Reason.HEADER


@pytest.mark.parametrize(
    "header",
    [{"alg": "ES384"}, {"alg": "ES384", "typ": "JWT", "kid": "a"}, {"alg": "ES384", "x": 1}],
)
def test_a_header_may_omit_typ_and_have_more_members(header: dict[str, Any]) -> None:
    """Public code sends `kid`, and IVS seems to accept it."""
    assert verify_token(PAIR.token(claims(ARN), header)).expires_at == NOW + 300


def unsigned(header: dict[str, Any]) -> str:
    """The first two segments of a token with valid claims and this header."""
    return PAIR.token(claims(ARN), header).rpartition(".")[0]


def test_a_token_without_a_signature_is_refused() -> None:
    """`alg: none`, with an empty signature and with 96 zero bytes."""
    text = unsigned({"alg": "none"})
    assert refusal_reason(text + ".") is Reason.MALFORMED
    assert refusal_reason(f"{text}.{base64url(bytes(96))}") is Reason.HEADER


def test_an_hmac_with_the_public_key_as_its_secret_is_refused() -> None:
    """The known attack: HS256 and HS384 with the PEM of the public key as the secret."""
    for algorithm, digest in (("HS256", hashlib.sha256), ("HS384", hashlib.sha384)):
        text = unsigned({"alg": algorithm, "typ": "JWT"})
        mac = hmac.new(PAIR.public_pem.encode(), text.encode(), digest).digest()
        assert refusal_reason(f"{text}.{base64url(mac)}") is Reason.SIGNATURE
        assert refusal_reason(f"{text}.{base64url(mac.ljust(96, b'x'))}") is Reason.HEADER


def test_a_p256_signature_is_refused() -> None:
    """64 bytes of ES256, with both headers."""
    key = ec.generate_private_key(ec.SECP256R1())
    for algorithm in ("ES256", "ES384"):
        text = unsigned({"alg": algorithm, "typ": "JWT"})
        r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        assert refusal_reason(f"{text}.{base64url(signature)}") is Reason.SIGNATURE


def test_a_der_signature_is_refused_and_the_message_names_der() -> None:
    """OpenSSL and KMS make DER signatures, which must be converted."""
    text = unsigned({"alg": "ES384", "typ": "JWT"})
    with pytest.raises(TokenRefusedError, match="DER") as refused:
        verify_token(f"{text}.{base64url(PAIR.sign_der(text.encode()))}")
    assert refused.value.reason is Reason.SIGNATURE


def test_a_signature_over_another_payload_is_refused() -> None:
    """The claims are changed after signing."""
    header, _, signature = PAIR.token(claims(ARN)).split(".")
    changed = base64url(json.dumps(claims(ARN, exp=NOW + 301)).encode())
    assert refusal_reason(f"{header}.{changed}.{signature}") is Reason.SIGNATURE


def test_a_token_by_a_key_pair_that_is_not_imported_is_refused() -> None:
    """With another imported key pair, and with none."""
    assert refusal_reason(OTHER_PAIR.token(claims(ARN))) is Reason.SIGNATURE
    assert refusal_reason(PAIR.token(claims(ARN)), keys=()) is Reason.SIGNATURE


@pytest.mark.parametrize("keys", [(PAIR, OTHER_PAIR), (OTHER_PAIR, PAIR)])
def test_any_imported_key_may_have_signed(keys: tuple[KeyPair, ...]) -> None:
    """The token doesn't name its key, so the edge tries all of them."""
    for signer in (PAIR, OTHER_PAIR):
        assert verify_token(signer.token(claims(ARN)), keys=keys).expires_at == NOW + 300


def test_a_token_expires_exactly_at_exp() -> None:
    """Valid a microsecond before `exp`, and refused at `exp`: no leeway."""
    token = PAIR.token(claims(ARN, exp=NOW + 10))
    assert verify_token(token, now=NOW + 10 - 1e-6).expires_at == NOW + 10
    assert refusal_reason(token, now=NOW + 10) is Reason.EXPIRED
    assert refusal_reason(PAIR.token(claims(ARN, exp=-1))) is Reason.EXPIRED


@pytest.mark.parametrize(
    "claim",
    [{"viewer_id": "v"}, {"single_use_uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}],
)
def test_the_ten_minute_limit_allows_exactly_600_seconds(claim: dict[str, Any]) -> None:
    """600 s are accepted. 601 s, and 600 s plus a microsecond, are not."""
    exact = PAIR.token(claims(ARN, exp=NOW + 600, **claim))
    assert verify_token(exact).expires_at == NOW + 600
    assert refusal_reason(exact, now=NOW - 1e-6) is Reason.TOO_LONG
    assert refusal_reason(PAIR.token(claims(ARN, exp=NOW + 601, **claim))) is Reason.TOO_LONG


@pytest.mark.parametrize("exp", [NOW + 601, NOW * 1000, 10**400])
def test_without_viewer_id_or_single_use_a_token_s_lifetime_is_not_limited(exp: int) -> None:
    """Even `exp` in milliseconds, as in AWS's own sample."""
    assert verify_token(PAIR.token(claims(ARN, exp=exp))).expires_at == exp
    assert refusal_reason(PAIR.token(claims(ARN, exp=exp, viewer_id="v"))) is Reason.TOO_LONG


@pytest.mark.parametrize("name", ["exp", "aws:channel-arn"])
def test_a_token_without_a_required_claim_is_refused(name: str) -> None:
    """The message names the claim."""
    payload = claims(ARN)
    del payload[name]
    with pytest.raises(TokenRefusedError, match=name) as refused:
        verify_token(PAIR.token(payload))
    assert refused.value.reason is Reason.CLAIM


@pytest.mark.parametrize(
    "arn",
    [
        ARN.replace("eu-west-1", "us-west-2"),
        ARN.replace("123456789012", "123456789013"),
        ARN[:-1],
        ARN.lower(),
    ],
)
def test_a_token_for_another_channel_is_refused(arn: str) -> None:
    """Another region, another account, another ID."""
    assert refusal_reason(PAIR.token(claims(arn))) is Reason.OTHER_CHANNEL


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("exp", [None, True, str(NOW + 300), NOW + 300.0, [], {}]),
        (
            "aws:channel-arn",
            [None, 1, [ARN], ARN + "/x", ARN + "\n", "arn:aws:ivs:eu-west-1:1:stream/a", ARN * 3],
        ),
        ("aws:viewer-id", [None, 7, "", "x" * 41, ["v"], True]),
        ("aws:viewer-session-version", [None, True, 1.0, "1", 2**63, -(2**63) - 1]),
        (
            "aws:single-use-uuid",
            [
                None,
                1,
                "",
                "a0eebc999c0b4ef8bb6d6bb9bd380a11",
                "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
                "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\n",
            ],
        ),
        ("aws:maximum-resolution", [None, "", "hd", "FULLHD", 720, ["HD"], {}]),
        ("aws:access-control-allow-origin", [None, "", ["https://a.example"], True, {}]),
        ("aws:strict-origin-enforcement", [None, 0, 1, "true", []]),
    ],
)
def test_a_claim_with_an_invalid_value_is_refused_by_name(name: str, values: list[object]) -> None:
    """Each invalid value by itself, in a token that is otherwise valid."""
    for value in values:
        with pytest.raises(TokenRefusedError, match=name) as refused:
            verify_token(PAIR.token(claims(ARN) | {name: value}))
        assert refused.value.reason is Reason.CLAIM, value


def test_claims_at_the_limits_of_their_formats_are_accepted() -> None:
    """40 characters (not bytes), the largest and smallest 64-bit integer, and the nil UUID."""
    admission = verify_token(
        PAIR.token(claims(ARN, viewer_id="é" * 40, viewer_session_version=2**63 - 1))
    )
    assert admission.viewer_id == "é" * 40
    assert admission.viewer_session_version == 2**63 - 1
    lowest = verify_token(PAIR.token(claims(ARN, viewer_session_version=-(2**63))))
    assert lowest.viewer_session_version == -(2**63)
    uuid = "00000000-0000-0000-0000-000000000000"
    assert verify_token(PAIR.token(claims(ARN, single_use_uuid=uuid))).single_use_uuid == uuid


def test_strict_enforcement_limits_a_token_to_five_origins() -> None:
    """Five are accepted and six refused. Without strict enforcement, six are accepted."""
    five = ",".join(f"https://{name}.example" for name in "abcde")
    six = five + ",https://f.example"
    strict = {"strict_origin_enforcement": True}
    token = PAIR.token(claims(ARN, access_control_allow_origin=five, **strict))
    assert verify_token(token).origin_rule == OriginRule(five, strict=True)
    too_many = PAIR.token(claims(ARN, access_control_allow_origin=six, **strict))
    assert refusal_reason(too_many) is Reason.CLAIM
    assert (
        verify_token(PAIR.token(claims(ARN, access_control_allow_origin=six))).origin_rule.allowed
        == six
    )


@pytest.mark.parametrize(
    "more",
    [
        {"iat": "yesterday", "nbf": NOW + 1000, "jti": None, "sub": [], "aws:unknown": {}},
        {"aws:viewer-id": "a@b.example"},
        {"aws:viewer-session-version": 5},
        {"aws:strict-origin-enforcement": True},
        {"aws:access-control-allow-origin": "not an origin"},
    ],
)
def test_rules_of_the_token_service_alone_are_not_enforced_by_the_edge(
    more: dict[str, Any],
) -> None:
    """Unknown claims, `nbf` in the future, an e-mail address, a version without a viewer ID."""
    assert verify_token(PAIR.token(claims(ARN) | more)).expires_at == NOW + 300
