"""Private keys as people keep them: read, or named for what they are."""

from __future__ import annotations

import base64
import codecs
import json
import textwrap

import jwt.algorithms
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from tests.token.p384.openssl import openssl
from tokensvc.errors import InvalidKeyMaterial
from tokensvc.token.private_keys import load_private_key

KEY = ec.generate_private_key(ec.SECP384R1())
OTHER_KEY = ec.generate_private_key(ec.SECP384R1())
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PLAIN = serialization.NoEncryption()
SEC1 = KEY.private_bytes(PEM, serialization.PrivateFormat.TraditionalOpenSSL, PLAIN)
PKCS8 = KEY.private_bytes(PEM, serialization.PrivateFormat.PKCS8, PLAIN)
SEC1_DER = KEY.private_bytes(DER, serialization.PrivateFormat.TraditionalOpenSSL, PLAIN)
PKCS8_DER = KEY.private_bytes(DER, serialization.PrivateFormat.PKCS8, PLAIN)
OPENSSH = KEY.private_bytes(PEM, serialization.PrivateFormat.OpenSSH, PLAIN)
OTHER = OTHER_KEY.private_bytes(PEM, serialization.PrivateFormat.PKCS8, PLAIN)
PUBLIC = KEY.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
PUBLIC_DER = KEY.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
PUBLIC_SSH = KEY.public_key().public_bytes(
    serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
)
JWK = jwt.algorithms.ECAlgorithm.to_jwk(KEY)
PUBLIC_JWK = jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key())


@pytest.mark.parametrize(
    "content",
    [
        PKCS8.replace(b"\n", b"\\n"),
        SEC1.replace(b"\n", b"\\r\\n"),
        PKCS8.replace(b"\n", b" "),
        textwrap.indent(SEC1.decode(), "    ").encode(),
        codecs.BOM_UTF8 + SEC1.replace(b"\n", b"\r\n"),
        codecs.BOM_UTF16_LE + SEC1.decode().encode("utf-16-le"),
        b"Bag Attributes\n    friendlyName: signer\n" + PKCS8 + PUBLIC,
        OPENSSH,
        base64.b64encode(PKCS8),
        base64.encodebytes(SEC1),
        base64.b64encode(SEC1_DER),
        SEC1_DER,
        PKCS8_DER,
        JWK.encode(),
        json.dumps(PKCS8.decode()).encode(),
        json.dumps({"arn": "x", "private": {"pem": SEC1.decode()}}).replace("/", "\\/").encode(),
        base64.b64encode(json.dumps({"privateKey": PKCS8.decode()}).encode()),
    ],
    ids=[
        "escaped newlines",
        "escaped CRLF",
        "lost newlines",
        "indented",
        "BOM and CRLF",
        "UTF-16",
        "beside its public key",
        "OpenSSH",
        "base64 of PEM",
        "base64 in lines",
        "base64 of DER",
        "DER SEC1",
        "DER PKCS#8",
        "JWK",
        "JSON text",
        "JSON object",
        "base64 of JSON",
    ],
)
def test_a_form_with_one_meaning_is_read(content: bytes) -> None:
    """It is the same private key in all of them."""
    assert load_private_key(content).private_numbers() == KEY.private_numbers()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (PUBLIC, "a public key"),
        (PUBLIC_DER, "a public key"),
        (base64.b64encode(PUBLIC_DER), "a public key"),
        (base64.b64encode(PUBLIC), "a public key"),
        (PUBLIC_SSH, "an SSH public key"),
        (PUBLIC_JWK.encode(), "the JWK of a public key"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "a certificate"),
        (PKCS8 + OTHER, "2 private keys"),
        (json.dumps([PKCS8.decode(), OTHER.decode()]).encode(), "2 PEM private keys"),
        (b'{"a": 1}', "0 PEM private keys"),
    ],
)
def test_anything_else_is_named_for_what_it_is(content: bytes, what: str) -> None:
    """With what to use instead."""
    with pytest.raises(InvalidKeyMaterial, match=what) as refusal:
        load_private_key(content)
    assert refusal.value.hint


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b"\x30\x00",
        b"[" * 100_000,
        b'{"kty": "EC", "crv": "P-384", "d": "x"}',
        b'{"kty": "oct", "d": "x"}',
        base64.b64encode(b"no key at all"),
        PKCS8[:100],
        b"-----BEGIN PRIVATE KEY-----",
    ],
    ids=[
        "bytes",
        "empty-der",
        "nested-json",
        "jwk-without-number",
        "jwk-of-a-secret",
        "base64-of-text",
        "cut-off-pem",
        "first-line-of-a-pem",
    ],
)
def test_what_is_no_key_is_refused_without_its_content(content: bytes) -> None:
    """Damaged, cut off, or something else."""
    with pytest.raises(InvalidKeyMaterial, match=r"P-384.*openssl ecparam") as refusal:
        load_private_key(content)
    assert content.decode("latin-1") not in str(refusal.value)


def test_encrypted_keys_in_every_form_are_recognized() -> None:
    """The command decrypts them."""
    secret = serialization.BestAvailableEncryption(b"secret")
    pem = KEY.private_bytes(PEM, serialization.PrivateFormat.PKCS8, secret)
    der = KEY.private_bytes(DER, serialization.PrivateFormat.PKCS8, secret)
    for content in (pem, der, base64.b64encode(pem), pem.replace(b"\n", b"\\n")):
        with pytest.raises(InvalidKeyMaterial, match="openssl pkey -in"):
            load_private_key(content)


def test_a_jwk_of_another_curve_is_refused() -> None:
    """As a PEM of another curve is."""
    p256 = jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()))
    for content in (p256.encode(), openssl("genrsa", "2048")):
        with pytest.raises(InvalidKeyMaterial, match="not on the curve P-384"):
            load_private_key(content)


@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode), st.integers(0, 700))
def test_no_content_ends_in_another_error(content: bytes, place: int) -> None:
    """Whatever is in the file, and wherever a good one is damaged."""
    for damaged in (content, PKCS8[:place] + content + PKCS8[place:], PKCS8_DER[:place] + content):
        try:
            key = load_private_key(damaged)
        except InvalidKeyMaterial:
            continue
        assert key.curve.name == "secp384r1"
