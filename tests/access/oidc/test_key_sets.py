"""Which keys of a JWK Set are used: hostile and useless ones are left out one by one."""

from __future__ import annotations

import json
import operator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.oidc_tokens import rsa_jwk, rsa_private_key, signing_key
from tokensvc.access.oidc.key_sets import parse_key_set, usable_keys

GOOD = signing_key("ES256", "good").jwk
EC = signing_key("ES384", "ec").jwk
RSA = signing_key("RS256", "rsa").jwk
ED = signing_key("EdDSA", "ed").jwk
RSA_ALGORITHMS = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}


@pytest.mark.parametrize(
    ("jwk", "algorithms"),
    [
        (GOOD, {"ES256"}),
        (EC, {"ES384"}),
        (signing_key("ES512", "x").jwk, {"ES512"}),
        (ED, {"EdDSA"}),
        (RSA, RSA_ALGORITHMS),
        (RSA | {"alg": "PS384"}, {"PS384"}),
        (EC | {"use": "sig", "key_ops": ["verify", "sign"], "x5c": ["…"]}, {"ES384"}),
    ],
)
def test_a_key_is_used_with_the_algorithms_that_it_fits(
    jwk: dict[str, Any], algorithms: set[str]
) -> None:
    """By its type and curve, and by its `alg` if it has one."""
    (key,) = usable_keys([jwk]).keys
    assert key.algorithms == algorithms
    assert key.key_id == jwk["kid"]


@pytest.mark.parametrize(
    ("jwk", "fault"),
    [
        (3, "not_a_key"),
        ({}, "key_type"),
        (GOOD | {"kid": 3}, "key_id"),
        (GOOD | {"kid": ""}, "key_id"),
        (GOOD | {"kid": 257 * "k"}, "key_id"),
        ({"kty": "oct", "kid": "a", "k": "c2VjcmV0"}, "private_members"),
        ({"kty": "oct", "kid": "a"}, "key_type"),
        (GOOD | {"d": "AAAA"}, "private_members"),
        (RSA | {"p": "AAAA"}, "private_members"),
        (GOOD | {"use": "enc"}, "not_for_signatures"),
        (GOOD | {"use": None}, "not_for_signatures"),
        (GOOD | {"key_ops": ["encrypt"]}, "not_for_signatures"),
        (GOOD | {"key_ops": "verify"}, "not_for_signatures"),
        (GOOD | {"crv": "secp256k1"}, "key_type"),
        (GOOD | {"crv": "P-384"}, "size"),
        (GOOD | {"crv": ["P-256"]}, "key_type"),
        (ED | {"crv": "Ed448"}, "key_type"),
        (ED | {"crv": "X25519"}, "key_type"),
        (ED | {"x": "AAAA"}, "values"),
        (GOOD | {"alg": "ES384"}, "algorithm"),
        (GOOD | {"alg": "HS256"}, "algorithm"),
        (RSA | {"alg": "RSA-OAEP"}, "algorithm"),
        (RSA | {"alg": None}, "algorithm"),
        (GOOD | {"x": GOOD["y"]}, "values"),  # Not a point of the curve.
        (GOOD | {"x": None}, "values"),
        (GOOD | {"x": GOOD["x"] + "="}, "values"),
        (GOOD | {"x": "+" + GOOD["x"][1:]}, "values"),
        (rsa_jwk(2**2046 + 1), "size"),
        (rsa_jwk(2**8192 + 1), "size"),
        (rsa_jwk(rsa_private_key().public_key().public_numbers().n, 2**32 + 1), "size"),
        (rsa_jwk(rsa_private_key().public_key().public_numbers().n, 1), "values"),
        (rsa_jwk(rsa_private_key().public_key().public_numbers().n, 4), "values"),
    ],
)
def test_a_hostile_key_is_left_out_and_the_others_are_used(jwk: object, fault: str) -> None:
    """Before, between and after usable keys."""
    found = usable_keys([jwk, GOOD, jwk, EC, jwk])
    assert [key.key_id for key in found.keys] == ["good", "ec"]
    assert found.left_out == {fault: 3}


def test_at_most_100_keys_are_used() -> None:
    """The first ones. A key that is repeated counts once."""
    jwks = [GOOD | {"kid": str(number)} for number in range(5_000)]
    found = usable_keys([jwks[0], *jwks])
    assert [key.key_id for key in found.keys] == [str(number) for number in range(100)]
    assert found.left_out == {"too_many": 4_900}


def test_different_keys_with_one_kid_both_fit() -> None:
    """So that a token with that `kid` is refused, unless its algorithm decides."""
    other = signing_key("ES256", "other").jwk | {"kid": "good"}
    found = usable_keys([GOOD, other, GOOD, RSA | {"kid": "good"}])
    assert len(found.that_fit("ES256", "good")) == 2
    assert len(found.that_fit("RS256", "good")) == 1
    assert found.that_fit("ES256", "unknown") == []


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    """§3.1 has this key and its thumbprint."""
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"
        "BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0"
        "_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWh"
        "AI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    jwk = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    (key,) = usable_keys([jwk]).keys
    assert key.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert key.jwk == jwk


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": {}}', b"\xff", b"<html>"])
def test_what_is_no_jwk_set_is_refused(document: bytes) -> None:
    """Not taken for a set without keys."""
    with pytest.raises(ValueError, match=r"."):
        parse_key_set(document)


_VALUES = st.sampled_from([None, True, 3, 1e300, "", "AAAA", "é", [], ["verify"], {}, {"a": 1}])
_CHANGES = st.dictionaries(st.sampled_from(sorted({*RSA, *GOOD, "use", "key_ops", "d"})), _VALUES)


@settings(max_examples=50)
@given(st.lists(st.builds(operator.or_, st.sampled_from([GOOD, RSA, ED, {}]), _CHANGES)))
def test_any_object_is_a_key_or_is_left_out(jwks: list[dict[str, Any]]) -> None:
    """Nothing else is raised. What is used can be kept as JSON and read again."""
    found = usable_keys(jwks)
    kept = json.loads(json.dumps([dict(key.jwk) for key in found.keys]))
    assert usable_keys(kept).thumbprints == found.thumbprints
    assert len(found.keys) + sum(found.left_out.values()) <= len(jwks)
