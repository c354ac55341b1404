"""Which tokens of an issuer are accepted, and the rule that each of the others breaks."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.clock import EXAMPLE_NOW
from tests.support.oidc_tokens import (
    AUDIENCE,
    ISSUER,
    claims_of,
    encoded,
    rsa_private_key,
    signed,
    signing_key,
    with_hmac,
    without_none,
)
from tokensvc.access.oidc.key_sets import KeySet, usable_keys
from tokensvc.access.oidc.terms import ALGORITHMS, IssuerTerms, refusal
from tokensvc.access.oidc.verification import expires_at, key_of, parse, verified_claims
from tokensvc.errors import Unauthenticated

NOW = EXAMPLE_NOW
LEEWAY_SECONDS = 30
TERMS = IssuerTerms("main", ISSUER, (AUDIENCE, "other-audience"))
KEY = signing_key("ES256", "key-1")
RSA = signing_key("RS256", "rsa-1")
KEYS = usable_keys([KEY.jwk, RSA.jwk])
_TOKEN = KEY.token()


def claims_in(
    token: str, keys: KeySet = KEYS, terms: IssuerTerms = TERMS, now: float = NOW
) -> Mapping[str, object]:
    """The verified claims. Raises Unauthenticated."""
    parsed = parse(token)
    key = key_of(parsed, keys, terms)
    if key is None:
        raise refusal("unknown_key")
    return verified_claims(parsed, key, terms, now)


def rule_of(token: str, keys: KeySet = KEYS, terms: IssuerTerms = TERMS, now: float = NOW) -> str:
    """The rule that the token breaks; "" if it is accepted."""
    try:
        claims_in(token, keys, terms, now)
    except Unauthenticated as refused:
        return refused.problems[0].rule
    return ""


def test_a_refusal_names_the_rule_and_nothing_of_the_token() -> None:
    """No claim of it is repeated."""
    token = KEY.token(claims_of(aud="secret-audience", sub="secret-subject"))
    with pytest.raises(Unauthenticated) as caught:
        claims_in(token)
    (problem,) = caught.value.problems
    assert (problem.field, problem.rule) == ("Authorization", "audience")
    assert "secret" not in f"{caught.value} {problem.message}"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_of_each_algorithm_is_accepted(algorithm: str) -> None:
    """With all its claims."""
    key = signing_key(algorithm)
    claims = claims_of(groups=["a"], email="user@example.com")
    token = key.token(claims)
    assert claims_in(token, usable_keys([key.jwk])) == claims
    assert rule_of(token, usable_keys([key.jwk | {"alg": algorithm}])) == ""
    assert expires_at(claims, TERMS) == NOW + 600 + 30


# --- The header


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", None])
def test_a_type_of_a_token_is_accepted(typ: str | None) -> None:
    """RFC 9068 §4 has at+jwt; an absent type is usual."""
    assert rule_of(KEY.token(header={"typ": typ})) == ""


@pytest.mark.parametrize(
    ("header", "rule"),
    [
        ({"typ": "logout+jwt"}, "type"),
        ({"typ": "dpop+jwt"}, "type"),
        ({"typ": ["JWT"]}, "type"),
        ({"alg": "none"}, "algorithm"),
        ({"alg": "NONE"}, "algorithm"),
        ({"alg": "ES256K"}, "algorithm"),
        ({"alg": "es256"}, "algorithm"),
        ({"alg": ["ES256"]}, "malformed"),
        ({"alg": None}, "malformed"),
        ({"kid": 3}, "malformed"),
        ({"kid": ["key-1"]}, "malformed"),
        ({"alg": "RS256", "kid": "rsa-1"}, "signature"),
    ],
)
def test_a_header_is_refused(header: dict[str, object], rule: str) -> None:
    """Whatever its signature says: it is that of the key, except in the last case."""
    assert rule_of(KEY.token(header=header)) == rule


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["b64"], "b64": False},
        {"crit": ["b64"], "b64": True},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": True},
    ],
)
def test_an_extension_in_the_header_is_refused(header: dict[str, object]) -> None:
    """By PyJWT or by us, whichever knows it: releases differ."""
    assert rule_of(KEY.token(header=header)) in {"malformed", "critical_header"}


@pytest.mark.parametrize(
    "kid", ["", "KEY-1", "key-1\x00", "../../dev/null", "' OR 1=1 --", "k" * 999]
)
def test_a_kid_is_only_compared(kid: str) -> None:
    """It is no path and no query. One that is unknown fits no key."""
    assert key_of(parse(KEY.token(header={"kid": kid})), KEYS, TERMS) is None


def test_keys_and_addresses_in_the_header_are_not_used() -> None:
    """RFC 8725 §3.10: they are the client's. Only the signature of the issuer's key counts."""
    other = signing_key("ES256", "other")
    header = {
        "kid": "key-1",
        "jwk": other.jwk,
        "jku": "http://127.0.0.1:1/jwks",
        "x5u": "http://127.0.0.1:1/cert",
        "x5c": ["AAAA"],
    }
    assert rule_of(other.token(header=header)) == "signature"
    assert rule_of(KEY.token(header=header)) == ""


# --- The key


def test_a_public_key_is_not_taken_for_a_secret() -> None:
    """HS256 with the text of the public key, in each of its forms, as CVE-2015-9235 had it."""
    public_key = rsa_private_key().public_key()
    texts = [
        public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public_key.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(RSA.jwk).encode(),
        b"",
    ]
    for text in texts:
        header = {"alg": "HS256", "kid": "rsa-1"}
        assert rule_of(signed(header, claims_of(), with_hmac(text))) == "algorithm"


def test_an_unsigned_token_is_refused() -> None:
    """With `none`, and with an allowed algorithm and no signature."""
    for algorithm, rule in (("none", "algorithm"), ("ES256", "signature")):
        token = signed({"alg": algorithm, "kid": "key-1"}, claims_of(), lambda _: b"")
        assert rule_of(token) == rule


def test_a_key_is_used_only_with_its_own_algorithms() -> None:
    """RSA with PSS is another algorithm than without; the settings and `alg` restrict it."""
    pss = signing_key("PS256", "rsa-1").token()
    assert rule_of(pss) == ""
    only_rs = dataclasses.replace(TERMS, algorithms=("RS256",))
    assert rule_of(pss, terms=only_rs) == "algorithm"
    assert rule_of(KEY.token(), terms=only_rs) == "algorithm"
    keys = usable_keys([RSA.jwk | {"alg": "RS256"}])
    assert key_of(parse(pss), keys, TERMS) is None


def test_without_a_kid_exactly_one_key_must_fit() -> None:
    """The algorithm may decide."""
    token = KEY.token(header={"kid": None})
    assert rule_of(token) == ""
    second = signing_key("ES256", "key-2")
    assert rule_of(token, usable_keys([KEY.jwk, second.jwk])) == "ambiguous_key"
    assert key_of(parse(token), usable_keys([RSA.jwk]), TERMS) is None


def test_of_two_keys_with_one_kid_none_is_used() -> None:
    """RFC 7517 §4.5 wants them distinct. The token of the right key is refused too."""
    second = signing_key("ES256", "key-2")
    keys = usable_keys([second.jwk | {"kid": "key-1"}, KEY.jwk])
    assert rule_of(KEY.token(), keys) == "ambiguous_key"


def test_a_key_without_a_kid_fits_only_a_token_without_one() -> None:
    """A token that names a key means that key."""
    keys = usable_keys([without_none(KEY.jwk | {"kid": None})])
    assert rule_of(KEY.token(header={"kid": None}), keys) == ""
    assert key_of(parse(KEY.token()), keys, TERMS) is None


# --- The form


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d.e",
        "é.é.é",
        "e30.e30.",
        "eyJhbGciOiJFUzI1NiJ9..",
        "\x00.\x00.\x00",
    ],
)
def test_what_is_no_token_is_malformed(text: str) -> None:
    """A JWE has five parts."""
    assert rule_of(text) == "malformed"


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b"3",
        b"null",
        b"{",
        b"\xff",
        b'{"iss": "%s", "exp": NaN}' % ISSUER.encode(),
        b'{"iss": "%s", "iss": "https://other.example.com"}' % ISSUER.encode(),
        b'{"iss": "%s", "sub": "\\ud800"}' % ISSUER.encode(),
        b'{"iss": "%s", "exp": %s}' % (ISSUER.encode(), b"9" * 5_000),
        b"[" * 4_000,
    ],
)
def test_a_payload_that_two_parsers_may_read_differently_is_malformed(payload: bytes) -> None:
    """Also when the issuer has signed it."""
    header = {"alg": "ES256", "kid": "key-1"}
    assert rule_of(signed(header, payload, KEY.sign)) == "malformed"


def test_a_token_of_8192_characters_is_parsed() -> None:
    """One with more is not."""
    token = KEY.token(claims_of(pad=""))
    pad = "x" * ((8_192 - len(token)) * 3 // 4)
    token = KEY.token(claims_of(pad=pad))
    assert 8_190 <= len(token) <= 8_192
    assert rule_of(token) == ""
    assert rule_of(KEY.token(claims_of(pad=f"{pad}xxx"))) == "too_long"
    assert rule_of("x" * 8_193) == "too_long"


def test_a_changed_token_is_refused() -> None:
    """In its claims or its signature."""
    header, payload, signature = KEY.token().split(".")
    other_claims = encoded(json.dumps(claims_of(sub="admin")).encode())
    first = "B" if signature[0] == "A" else "A"
    assert rule_of(f"{header}.{payload}.{first}{signature[1:]}") == "signature"
    assert rule_of(f"{header}.{other_claims}.{signature}") == "signature"
    assert rule_of(f"{header}.{payload}.{signature}AA") in {"signature", "malformed"}
    assert rule_of(f"{header}.{payload}.{signature[:-4]}") in {"signature", "malformed"}
    assert rule_of(f"{header}.{payload}.") == "signature"


@pytest.mark.parametrize("padding", ["=", "==", 4 * "=", 400 * "="])
def test_padding_is_refused(padding: str) -> None:
    """With it one token would have many texts, and each would be verified and remembered."""
    header, payload, signature = KEY.token().split(".")
    assert rule_of(f"{header}.{payload}.{signature}{padding}") == "malformed"


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from("AZaz09-_.=+ \n\x00é"))
def test_a_token_with_any_other_character_is_refused(position: int, character: str) -> None:
    """Except the last one of a part, whose last bits may have no meaning."""
    token = _TOKEN
    index = position % len(token)
    last = {place - 1 for place, each in enumerate(token) if each == "."} | {len(token) - 1}
    assume(token[index] != character and index not in last)
    assert rule_of(token[:index] + character + token[index + 1 :]) != ""


# --- The claims


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"iss": None}, "unknown_issuer"),
        ({"iss": [ISSUER]}, "unknown_issuer"),
        ({"iss": f"{ISSUER}/"}, "malformed"),  # Compared by `OidcCallers` before this.
        ({"aud": None}, "audience"),
        ({"aud": ""}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": "another-service"}, "audience"),
        ({"aud": ["another-service"]}, "audience"),
        ({"aud": [AUDIENCE, 3]}, "audience"),
        ({"aud": {AUDIENCE: 1}}, "audience"),
        ({"aud": f"{AUDIENCE}2"}, "audience"),
        ({"aud": None, "client_id": AUDIENCE}, "audience"),
        ({"sub": None}, "subject"),
        ({"sub": ""}, "subject"),
        ({"sub": 3}, "subject"),
        ({"sub": "a\nb"}, "subject"),
        ({"sub": 513 * "s"}, "subject"),
        ({"exp": None}, "time_claims"),
        ({"exp": str(int(NOW) + 600)}, "time_claims"),
        ({"exp": True}, "time_claims"),
        ({"exp": [NOW + 600]}, "time_claims"),
        ({"exp": 1e300}, "time_claims"),
        ({"exp": -1}, "time_claims"),
        ({"exp": 253_402_300_800}, "time_claims"),
        ({"nbf": "0"}, "time_claims"),
        ({"iat": "0"}, "time_claims"),
        ({"iat": {}}, "time_claims"),
    ],
)
def test_a_claim_is_refused(changes: dict[str, object], rule: str) -> None:
    """In a token with a valid signature."""
    assert rule_of(KEY.token(claims_of(**changes))) == rule


def test_a_time_that_is_infinite_as_a_number_is_refused() -> None:
    """1e999 is valid JSON."""
    payload = json.dumps(claims_of()).replace(str(int(NOW) + 600), "1e999").encode()
    assert math.isinf(json.loads(payload)["exp"])
    assert rule_of(signed({"alg": "ES256", "kid": "key-1"}, payload, KEY.sign)) == "time_claims"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [AUDIENCE, "another-service"]},
        {"aud": "other-audience"},
        {"iat": None},
        {"exp": NOW + 0.5},
        {"sub": 512 * "s"},
        {"sub": "日本 user"},
        {"jti": 3},
        {"azp": "any"},
    ],
)
def test_a_claim_is_accepted(changes: dict[str, object]) -> None:
    """Several audiences, an absent `iat`, a fraction of a second, a subject in any script."""
    assert rule_of(KEY.token(claims_of(**changes))) == ""


@pytest.mark.parametrize(
    ("claim", "offset_seconds", "rule"),
    [
        ("exp", -LEEWAY_SECONDS, "expired"),
        ("exp", -LEEWAY_SECONDS + 0.001, ""),
        ("nbf", LEEWAY_SECONDS, ""),
        ("nbf", LEEWAY_SECONDS + 0.001, "not_yet_valid"),
        ("iat", LEEWAY_SECONDS, ""),
        ("iat", LEEWAY_SECONDS + 0.001, "not_yet_valid"),
    ],
)
def test_times_at_the_edge_of_the_leeway(claim: str, offset_seconds: float, rule: str) -> None:
    """`exp` is the first time at which a token is not accepted (RFC 7519 §4.1.4)."""
    token = KEY.token(claims_of(**{claim: NOW + offset_seconds}))
    assert rule_of(token) == rule


def test_cognitos_access_token_has_a_client_id_instead_of_an_audience() -> None:
    """It is compared only if the settings say so, and only where `aud` is absent."""
    terms = dataclasses.replace(TERMS, client_id_as_audience=True)
    accepted = [
        claims_of(aud=None, client_id=AUDIENCE, token_use="access"),
        claims_of(aud=AUDIENCE, client_id="another-client"),
    ]
    refused = [
        claims_of(aud=None, client_id="another-client"),
        claims_of(aud=None, client_id=[AUDIENCE]),
        claims_of(aud=None),
        claims_of(aud="another-service", client_id=AUDIENCE),
        claims_of(aud=[], client_id=AUDIENCE),
        {**claims_of(client_id=AUDIENCE), "aud": None},
    ]
    assert [rule_of(KEY.token(claims), terms=terms) for claims in accepted] == ["", ""]
    assert {rule_of(KEY.token(claims), terms=terms) for claims in refused} == {"audience"}


def test_a_token_must_be_of_an_authorized_party_if_the_settings_name_some() -> None:
    """An absent `azp` is none of them."""
    terms = dataclasses.replace(TERMS, authorized_parties=("web", "app"))
    rules = {azp: rule_of(KEY.token(claims_of(azp=azp)), terms=terms) for azp in ("app", "x", None)}
    assert rules == {"app": "", "x": "authorized_party", None: "authorized_party"}
    assert rule_of(KEY.token(claims_of(azp=["app"])), terms=terms) == "authorized_party"
