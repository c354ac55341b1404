from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc import ChannelArn, LocalSigner, PlaybackClaims, PlaybackOptions, sign
from tokensvc.errors import InvalidRequest, InvalidSignature
from tokensvc.token.jws import broken_header_rules, read, verify

CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
SIGNER = LocalSigner.generate()
TOKEN = sign(PlaybackClaims.at(1_800_000_000.0, CHANNEL, PlaybackOptions(300)), SIGNER)
HEADER, PAYLOAD, SIGNATURE = TOKEN.split(".")


def base64url(data: bytes) -> str:
    """Base64url without padding, as in a JWS."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: bytes, payload: bytes) -> str:
    """A token of these bytes with a valid signature of SIGNER."""
    signing_input = f"{base64url(header)}.{base64url(payload)}"
    return f"{signing_input}.{base64url(SIGNER.sign(signing_input.encode()))}"


def broken_rule(token: str) -> str:
    """The rule in the refusal of `read` and `verify`, which must be the same."""
    rules = []
    for refuse in (read, lambda text: verify(text, [SIGNER.public_key])):
        with pytest.raises(InvalidRequest) as refusal:
            refuse(token)
        (problem,) = refusal.value.problems
        assert problem.field == "token"
        assert SIGNATURE not in str(refusal.value)
        rules.append(problem.rule)
    assert rules[0] == rules[1]
    return rules[0]


def test_a_token_is_read_into_its_parts() -> None:
    """The header, the claims, and the signed bytes."""
    token = read(TOKEN)
    assert token.header == {"alg": "ES384", "typ": "JWT"}
    assert token.payload == {"aws:channel-arn": str(CHANNEL), "exp": 1_800_000_300}
    assert token.signing_input == f"{HEADER}.{PAYLOAD}".encode()
    assert len(token.signature) == 96


def test_the_signature_is_not_in_the_repr_of_a_token() -> None:
    """A log of unverified tokens contains nothing that starts playback."""
    assert SIGNATURE not in repr(read(TOKEN))
    assert repr(read(TOKEN).signature) not in repr(read(TOKEN))


@pytest.mark.parametrize(
    "token",
    ["", "demo", f"{HEADER}.{PAYLOAD}", f"{TOKEN}.", f"{TOKEN}.{SIGNATURE}", f".{TOKEN}"],
)
def test_a_token_must_have_three_segments(token: str) -> None:
    """Neither fewer, such as a cut token, nor more, such as an encrypted JWT."""
    assert broken_rule(token) == "token_segments"


@pytest.mark.parametrize(
    "token",
    [
        f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-3]}",
        f"{HEADER}.{PAYLOAD}=.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}==.{SIGNATURE}",
        f" {TOKEN}",
        f"{TOKEN}\n",
        f"{HEADER}.{PAYLOAD[:9]} {PAYLOAD[9:]}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD[:9]}+{PAYLOAD[10:]}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}/",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}é",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE[:-1]}\ud800",
        f"{HEADER}.{base64url(b'{}')[:-1]}1.{SIGNATURE}",
    ],
)
def test_a_segment_must_be_canonical_unpadded_base64url(token: str) -> None:
    """Padding, other characters, cut ends and stray last bits are refused."""
    assert broken_rule(token) == "token_base64url"


GOOD_HEADER = b'{"alg":"ES384","typ":"JWT"}'


@pytest.mark.parametrize(
    "json_text",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"exp"',
        b'{"exp":1,"exp":2}',
        b'{"exp":1,"a":{"b":1,"b":2}}',
        b'{"exp":NaN}',
        b'{"exp":-Infinity}',
        b'{"exp":1}{}',
        b"{'exp':1}",
        b'{"exp":' + b"[" * 1_000 + b"]" * 1_000 + b"}",
        b'\xef\xbb\xbf{"exp":1}',
        b'{"exp":"\xff"}',
        rb'{"exp":1,"a":["\ud800"]}',
        '{"exp":1}'.encode("utf-16"),
    ],
)
def test_header_and_payload_must_be_json_objects_with_unique_names(json_text: bytes) -> None:
    """JSON that two parsers could read differently is refused, even with a valid signature."""
    longest = 100_000
    for token in (signed(json_text, b"{}"), signed(GOOD_HEADER, json_text)):
        with pytest.raises(InvalidRequest) as refusal:
            read(token, longest_bytes=longest)
        assert [problem.rule for problem in refusal.value.problems] == ["token_json"]


def test_a_token_of_2048_bytes_is_read_and_one_of_2049_is_not() -> None:
    """The limit applies to the whole token; an inspection may read longer ones.

    2,048 = 36 (header) + 1 + 1,882 (base64url of 1,411 bytes) + 1 + 128 (signature).
    """
    longest = signed(GOOD_HEADER, b'{"aws:other":"' + b"x" * (1_411 - 16) + b'"}')
    too_long = signed(GOOD_HEADER, b'{"aws:other":"' + b"x" * (1_412 - 16) + b'"}')
    assert (len(longest), len(too_long)) == (2_048, 2_049)
    assert verify(longest, [SIGNER.public_key]) == SIGNER.public_key
    assert broken_rule(too_long) == "token_size"
    assert read(too_long, longest_bytes=2_049).header == {"alg": "ES384", "typ": "JWT"}


@pytest.mark.parametrize(
    ("header", "rules"),
    [
        ({"alg": "ES384", "typ": "JWT"}, []),
        ({"alg": "ES384"}, []),
        ({"typ": "JWT", "alg": "ES384", "kid": "arn", "x": None}, []),
        ({"typ": "JWT"}, ["alg_es384"]),
        ({"alg": "none"}, ["alg_es384"]),
        ({"alg": "HS256"}, ["alg_es384"]),
        ({"alg": "ES256"}, ["alg_es384"]),
        ({"alg": "es384"}, ["alg_es384"]),
        ({"alg": ["ES384"]}, ["alg_es384"]),
        ({"alg": "ES384", "typ": "jwt"}, ["typ_jwt"]),
        ({"alg": "ES384", "typ": None}, ["typ_jwt"]),
        ({"alg": "ES384", "typ": "JWT", "crit": []}, ["crit_absent"]),
        ({"alg": "ES384", "typ": "JWT", "b64": True}, ["b64_absent"]),
        (
            {"alg": "none", "typ": 1, "crit": ["b64"], "b64": False},
            ["alg_es384", "typ_jwt", "crit_absent", "b64_absent"],
        ),
    ],
)
def test_a_header_breaks_these_rules(header: dict[str, object], rules: list[str]) -> None:
    """All rules are reported at once; `verify` refuses the token despite a valid signature."""
    assert [broken.rule for broken in broken_header_rules(header)] == rules
    assert all(broken.enforced_by_ivs for broken in broken_header_rules(header))
    token = signed(json.dumps(header).encode(), b"{}")
    if not rules:
        assert verify(token, [SIGNER.public_key]) == SIGNER.public_key
        return
    with pytest.raises(InvalidRequest) as refusal:
        verify(token, [SIGNER.public_key])
    assert [problem.rule for problem in refusal.value.problems] == rules


def test_a_token_that_no_known_key_signed_is_refused() -> None:
    """Another key, a changed claim, or no key at all; the order of the keys does not matter."""
    other = LocalSigner.generate().public_key
    forged = f"{HEADER}.{base64url(b'{}')}.{SIGNATURE}"
    for token, keys in ((TOKEN, [other]), (TOKEN, []), (forged, [SIGNER.public_key])):
        with pytest.raises(InvalidSignature):
            verify(token, keys)
    assert verify(TOKEN, [other, SIGNER.public_key]) == SIGNER.public_key
    assert verify(TOKEN, [SIGNER.public_key, other]) == SIGNER.public_key


@pytest.mark.parametrize("signature", [b"", b"\x30", bytes(96), bytes(102)])
def test_a_signature_of_any_form_is_refused_as_invalid(signature: bytes) -> None:
    """Also the empty signature of an unsecured token."""
    with pytest.raises(InvalidSignature):
        verify(f"{HEADER}.{PAYLOAD}.{base64url(signature)}", [SIGNER.public_key])


@given(st.text() | st.text("abcXYZ019-_.=", max_size=60) | st.from_regex(r"([\w-]+\.){2}[\w-]+"))
def test_any_text_is_read_or_refused_with_a_rule(text: str) -> None:
    """Untrusted input never raises another exception."""
    try:
        read(text)
    except InvalidRequest as refusal:
        rules = [problem.rule for problem in refusal.problems]
    else:
        rules = []
    assert set(rules) <= {"token_size", "token_segments", "token_base64url", "token_json"}


@given(position=st.integers(0, len(TOKEN) - 1), character=st.sampled_from("AQgwz09-_.=+ "))
def test_a_token_with_one_character_changed_is_never_verified(
    position: int, character: str
) -> None:
    """A signed token has only one valid text."""
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]
    if changed == TOKEN:
        assert verify(changed, [SIGNER.public_key]) == SIGNER.public_key
        return
    with pytest.raises((InvalidRequest, InvalidSignature)):
        verify(changed, [SIGNER.public_key])
