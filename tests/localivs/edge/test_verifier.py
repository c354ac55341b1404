from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from tests.localivs.edge.judging import ARN, OTHER_PAIR, PAIR, judge, refusal_of
from tests.localivs.edge.stage import NOW, KeyPair, base64url, claims
from tokensvc.localivs.edge.origins import OriginRule
from tokensvc.localivs.edge.refusals import Reason, TokenRefusedError
from tokensvc.localivs.edge.segments import Resolution
from tokensvc.localivs.edge.verifier import Admission


def test_a_token_of_the_two_required_claims_is_admitted_everywhere_at_full_resolution() -> None:
    """Nothing else is claimed, so nothing else is limited."""
    assert judge(PAIR.token(claims(ARN))) == Admission(
        expires_at=NOW + 300,
        origin_rule=OriginRule(None, strict=False),
        viewer_id=None,
        viewer_session_version=0,
        single_use_uuid=None,
        maximum_resolution=Resolution.FULL_HD,
    )


def test_every_claim_of_a_token_is_read() -> None:
    """All eight claims at once, each with its own value."""
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
    assert judge(token) == Admission(
        expires_at=NOW + 300,
        origin_rule=OriginRule("https://a.example,https://b.example", strict=True),
        viewer_id="viewer-7",
        viewer_session_version=41,
        single_use_uuid="A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        maximum_resolution=Resolution.HD,
    )


def test_an_absent_token_is_refused() -> None:
    """A private channel without a token."""
    assert refusal_of(None) is Reason.ABSENT


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b", "a.b.c.d", "eyJh.eyJh.", "....", "é.é.é", "a b.c.d", "e30=.e30=.AAAA"],
)
def test_text_that_is_no_compact_jws_is_malformed(token: str) -> None:
    """Three segments of unpadded base64url, and nothing around them."""
    assert refusal_of(token) is Reason.MALFORMED


@pytest.mark.parametrize("end", ["\n", " ", "=", ".", "A.A"])
def test_a_good_token_with_something_after_it_is_malformed(end: str) -> None:
    """A trailing newline is no part of base64url either."""
    assert refusal_of(PAIR.token(claims(ARN)) + end) is Reason.MALFORMED


def test_a_second_spelling_of_the_same_bytes_is_malformed() -> None:
    """Stray bits in a segment's last character are no base64url (RFC 4648 §3.5)."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for filling in ("", "x", "xx"):
        header, payload, signature = PAIR.token(claims(ARN) | {"filling": filling}).split(".")
        if len(payload) % 4 == 0:
            continue
        strayed = payload[:-1] + alphabet[alphabet.index(payload[-1]) + 1]
        assert refusal_of(f"{header}.{strayed}.{signature}") is Reason.MALFORMED


def test_a_token_may_have_2048_bytes_and_no_more() -> None:
    """2,048 bytes play; the next larger token, of 2,049 or 2,050 bytes, doesn't."""
    sizes = {}
    for filling in range(1000, 1700):
        token = PAIR.token(claims(ARN) | {"filling": "x" * filling})
        sizes[len(token)] = token
    assert judge(sizes[2048]).expires_at == NOW + 300
    next_size = min(size for size in sizes if size > 2048)
    assert next_size <= 2050
    assert refusal_of(sizes[next_size]) is Reason.MALFORMED


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
def test_a_signed_payload_that_is_no_json_object_is_malformed(payload: bytes) -> None:
    """A right signature makes no claims of it."""
    assert refusal_of(PAIR.raw_token(payload)) is Reason.MALFORMED


def test_a_claim_said_twice_is_refused_though_each_is_good() -> None:
    """Two readers could take different ones."""
    text = json.dumps(claims(ARN)).encode()
    assert refusal_of(PAIR.raw_token(text[:-1] + b', "exp": %d}' % (NOW + 300))) is Reason.MALFORMED


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
def test_a_header_that_says_something_else_is_refused(header: dict[str, Any]) -> None:
    """Though the signature is ES384 by the imported key."""
    assert refusal_of(PAIR.token(claims(ARN), header)) is Reason.HEADER


@pytest.mark.parametrize(
    "header",
    [{"alg": "ES384"}, {"alg": "ES384", "typ": "JWT", "kid": "a"}, {"alg": "ES384", "x": 1}],
)
def test_a_header_may_leave_out_typ_and_say_more(header: dict[str, Any]) -> None:
    """Public code sends `kid`, and IVS seems to let it pass."""
    assert judge(PAIR.token(claims(ARN), header)).expires_at == NOW + 300


def unsigned(header: dict[str, Any]) -> str:
    """The first two segments of a good token under this header."""
    return PAIR.token(claims(ARN), header).rpartition(".")[0]


def test_a_token_without_a_signature_is_refused() -> None:
    """`alg: none`, with an empty signature and with 96 bytes of nothing."""
    text = unsigned({"alg": "none"})
    assert refusal_of(text + ".") is Reason.MALFORMED
    assert refusal_of(f"{text}.{base64url(bytes(96))}") is Reason.HEADER


def test_the_public_key_as_an_hmac_secret_opens_nothing() -> None:
    """The classic confusion: HS256 and HS384 keyed with the PEM that everyone may know."""
    for algorithm, digest in (("HS256", hashlib.sha256), ("HS384", hashlib.sha384)):
        text = unsigned({"alg": algorithm, "typ": "JWT"})
        mac = hmac.new(PAIR.public_pem.encode(), text.encode(), digest).digest()
        assert refusal_of(f"{text}.{base64url(mac)}") is Reason.SIGNATURE
        assert refusal_of(f"{text}.{base64url(mac.ljust(96, b'x'))}") is Reason.HEADER


def test_a_p256_signature_is_refused() -> None:
    """64 bytes of ES256, under either header."""
    key = ec.generate_private_key(ec.SECP256R1())
    for algorithm in ("ES256", "ES384"):
        text = unsigned({"alg": algorithm, "typ": "JWT"})
        r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        assert refusal_of(f"{text}.{base64url(signature)}") is Reason.SIGNATURE


def test_a_der_signature_is_refused_and_the_message_says_so() -> None:
    """What comes out of OpenSSL and KMS has to be converted."""
    text = unsigned({"alg": "ES384", "typ": "JWT"})
    with pytest.raises(TokenRefusedError, match="DER") as refused:
        judge(f"{text}.{base64url(PAIR.sign_der(text.encode()))}")
    assert refused.value.reason is Reason.SIGNATURE


def test_a_signature_over_another_payload_is_refused() -> None:
    """The claims are changed after signing."""
    header, _, signature = PAIR.token(claims(ARN)).split(".")
    changed = base64url(json.dumps(claims(ARN, exp=NOW + 301)).encode())
    assert refusal_of(f"{header}.{changed}.{signature}") is Reason.SIGNATURE


def test_a_key_that_is_not_imported_opens_nothing_and_with_no_key_nothing_opens() -> None:
    """Only the keys of the account and region count."""
    assert refusal_of(OTHER_PAIR.token(claims(ARN))) is Reason.SIGNATURE
    assert refusal_of(PAIR.token(claims(ARN)), keys=()) is Reason.SIGNATURE


@pytest.mark.parametrize("keys", [(PAIR, OTHER_PAIR), (OTHER_PAIR, PAIR)])
def test_any_imported_key_may_have_signed(keys: tuple[KeyPair, ...]) -> None:
    """The token doesn't say which; the edge tries them all."""
    for signer in (PAIR, OTHER_PAIR):
        assert judge(signer.token(claims(ARN)), keys=keys).expires_at == NOW + 300


def test_a_token_expires_at_the_very_second_of_exp() -> None:
    """Good a microsecond before, refused at it: no leeway."""
    token = PAIR.token(claims(ARN, exp=NOW + 10))
    assert judge(token, now=NOW + 10 - 1e-6).expires_at == NOW + 10
    assert refusal_of(token, now=NOW + 10) is Reason.EXPIRED
    assert refusal_of(PAIR.token(claims(ARN, exp=-1))) is Reason.EXPIRED


@pytest.mark.parametrize(
    "claim",
    [{"viewer_id": "v"}, {"single_use_uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}],
)
def test_the_ten_minute_rule_includes_its_600th_second(claim: dict[str, Any]) -> None:
    """600 s ahead plays, 601 s doesn't, and neither do 600 s seen a microsecond earlier."""
    exact = PAIR.token(claims(ARN, exp=NOW + 600, **claim))
    assert judge(exact).expires_at == NOW + 600
    assert refusal_of(exact, now=NOW - 1e-6) is Reason.TOO_LONG
    assert refusal_of(PAIR.token(claims(ARN, exp=NOW + 601, **claim))) is Reason.TOO_LONG


@pytest.mark.parametrize("exp", [NOW + 601, NOW * 1000, 10**400])
def test_without_viewer_or_single_use_a_token_may_live_as_long_as_it_likes(exp: int) -> None:
    """Even the milliseconds of AWS's own sample, which no clock will reach."""
    assert judge(PAIR.token(claims(ARN, exp=exp))).expires_at == exp
    assert refusal_of(PAIR.token(claims(ARN, exp=exp, viewer_id="v"))) is Reason.TOO_LONG


@pytest.mark.parametrize("name", ["exp", "aws:channel-arn"])
def test_a_token_without_a_required_claim_is_refused(name: str) -> None:
    """The message names the claim."""
    payload = claims(ARN)
    del payload[name]
    with pytest.raises(TokenRefusedError, match=name) as refused:
        judge(PAIR.token(payload))
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
    assert refusal_of(PAIR.token(claims(arn))) is Reason.OTHER_CHANNEL


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
def test_a_claim_of_the_wrong_form_is_refused_by_name(name: str, values: list[object]) -> None:
    """Each wrong form by itself, in a token that is otherwise good."""
    for value in values:
        with pytest.raises(TokenRefusedError, match=name) as refused:
            judge(PAIR.token(claims(ARN) | {name: value}))
        assert refused.value.reason is Reason.CLAIM, value


def test_claims_at_the_edge_of_their_forms_are_admitted() -> None:
    """40 characters, not bytes; the ends of 64 bits; a UUID of no version."""
    admission = judge(PAIR.token(claims(ARN, viewer_id="é" * 40, viewer_session_version=2**63 - 1)))
    assert admission.viewer_id == "é" * 40
    assert admission.viewer_session_version == 2**63 - 1
    lowest = judge(PAIR.token(claims(ARN, viewer_session_version=-(2**63))))
    assert lowest.viewer_session_version == -(2**63)
    uuid = "00000000-0000-0000-0000-000000000000"
    assert judge(PAIR.token(claims(ARN, single_use_uuid=uuid))).single_use_uuid == uuid


def test_strict_enforcement_takes_five_origins_and_lax_takes_any_number() -> None:
    """Five play, six are refused, six without strict play."""
    five = ",".join(f"https://{name}.example" for name in "abcde")
    six = five + ",https://f.example"
    strict = {"strict_origin_enforcement": True}
    token = PAIR.token(claims(ARN, access_control_allow_origin=five, **strict))
    assert judge(token).origin_rule == OriginRule(five, strict=True)
    too_many = PAIR.token(claims(ARN, access_control_allow_origin=six, **strict))
    assert refusal_of(too_many) is Reason.CLAIM
    assert (
        judge(PAIR.token(claims(ARN, access_control_allow_origin=six))).origin_rule.allowed == six
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
def test_what_only_our_own_house_forbids_plays(more: dict[str, Any]) -> None:
    """Unknown claims, a not-before in the future, an e-mail address, a version of nobody."""
    assert judge(PAIR.token(claims(ARN) | more)).expires_at == NOW + 300
