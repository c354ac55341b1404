from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from tests.token.p384.openssl import openssl, private_key_pem, public_key_pem
from tokensvc.errors import InvalidKeyMaterial
from tokensvc.token.p384 import LocalSigner, PublicKey

# RFC 7515 has no P-384 key. This is the first key of the Wycheproof vectors, as printed there.
VECTOR_PEM = """\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAELaV92hCJJ2pUP5/9rAv/DZdsrXHrcoDn
2b/Z/uS9svIPR/+IgnQ4l3LZjMV1ITiqS20FTWnc8+JexJ34cHFeNIg7GDYZfXb4
rZYuePZXG7x0B7DWCR+eTYjwFCdEBhdP
-----END PUBLIC KEY-----
"""
VECTOR_X = "LaV92hCJJ2pUP5_9rAv_DZdsrXHrcoDn2b_Z_uS9svIPR_-IgnQ4l3LZjMV1ITiq"
VECTOR_Y = "S20FTWnc8-JexJ34cHFeNIg7GDYZfXb4rZYuePZXG7x0B7DWCR-eTYjwFCdEBhdP"


def test_a_pem_is_returned_unchanged_and_has_120_bytes_of_der() -> None:
    """The PEM is the same byte for byte as OpenSSL writes it."""
    public_key = PublicKey.from_pem(VECTOR_PEM)
    assert public_key.pem == VECTOR_PEM
    assert len(public_key.spki_der) == 120
    assert PublicKey.from_der(public_key.spki_der) == public_key


def test_the_jwk_has_the_points_coordinates_and_the_thumbprint_as_kid() -> None:
    """The JWK has the values from the vectors, and nothing private."""
    public_key = PublicKey.from_pem(VECTOR_PEM)
    assert public_key.jwk() == {
        "kty": "EC",
        "crv": "P-384",
        "x": VECTOR_X,
        "y": VECTOR_Y,
        "alg": "ES384",
        "use": "sig",
        "kid": public_key.thumbprint,
    }


def test_another_library_computes_the_same_thumbprint() -> None:
    """RFC 7638: joserfc computes the same 43 characters from the same PEM."""
    for pem in (VECTOR_PEM, *(LocalSigner.generate().public_key.pem for _ in range(20))):
        thumbprint = PublicKey.from_pem(pem).thumbprint
        assert thumbprint == ECKey.import_key(pem).thumbprint()
        assert len(thumbprint) == 43


def test_the_fingerprint_is_openssls_md5_of_the_der(tmp_path: Path) -> None:
    """IVS's fingerprint is the output of `openssl pkey -outform DER | openssl md5 -c`."""
    pem_file = tmp_path / "public.pem"
    pem_file.write_text(VECTOR_PEM)
    der = openssl("pkey", "-pubin", "-in", str(pem_file), "-outform", "DER")
    printed = subprocess.run(
        ["openssl", "md5", "-c"],  # noqa: S607 -- the openssl of the machine, wherever it is
        input=der,
        capture_output=True,
        check=True,
    ).stdout.decode()
    fingerprint = PublicKey.from_pem(VECTOR_PEM).fingerprint
    assert printed.split()[-1] == fingerprint
    assert len(fingerprint.split(":")) == 16


def test_a_compressed_point_equals_the_same_point_uncompressed(tmp_path: Path) -> None:
    """The same key is equal in both encodings, so that it can be used as a dictionary key."""
    private = private_key_pem(tmp_path, "secp384r1")
    plain = PublicKey.from_pem(public_key_pem(private))
    compressed = PublicKey.from_pem(public_key_pem(private, "-conv_form", "compressed"))
    assert compressed == plain
    assert {plain: "found"}[compressed] == "found"


@pytest.mark.parametrize("curve", ["prime256v1", "brainpoolP384r1", "secp112r1", "sect283k1"])
def test_a_public_key_of_another_curve_is_refused(tmp_path: Path, curve: str) -> None:
    """P-256, and curves that the library does not know, are refused with a hint."""
    pem = public_key_pem(private_key_pem(tmp_path, curve))
    with pytest.raises(InvalidKeyMaterial, match=r"P-384.*secp384r1"):
        PublicKey.from_pem(pem)


def test_an_rsa_public_key_is_refused(tmp_path: Path) -> None:
    """A key that is not on a curve is refused."""
    private = tmp_path / "rsa.pem"
    private.write_bytes(openssl("genrsa", "2048"))
    with pytest.raises(InvalidKeyMaterial, match="P-384"):
        PublicKey.from_pem(openssl("rsa", "-in", str(private), "-pubout").decode())


@pytest.mark.parametrize(
    "text", ["", "no key", VECTOR_PEM.replace("MHYw", "MHYx"), VECTOR_PEM[:150], "\ud800"]
)
def test_a_text_that_is_not_a_public_key_is_refused(text: str) -> None:
    """Garbage, a damaged PEM and a cut PEM are refused."""
    with pytest.raises(InvalidKeyMaterial):
        PublicKey.from_pem(text)


def test_a_point_off_the_curve_is_refused() -> None:
    """A key with a changed coordinate is refused."""
    der = bytearray(PublicKey.from_pem(VECTOR_PEM).spki_der)
    der[-1] ^= 1
    with pytest.raises(InvalidKeyMaterial):
        PublicKey.from_der(bytes(der))


@pytest.mark.parametrize("der", [b"", b"\x30\x00", bytes(120)])
def test_bytes_that_are_not_a_public_key_are_refused(der: bytes) -> None:
    """Bytes that are not a SubjectPublicKeyInfo are refused."""
    with pytest.raises(InvalidKeyMaterial):
        PublicKey.from_der(der)


def test_a_private_key_is_not_accepted_as_a_public_key(tmp_path: Path) -> None:
    """The error does not repeat the text of the private key."""
    private = private_key_pem(tmp_path, "secp384r1").read_text()
    with pytest.raises(InvalidKeyMaterial) as refusal:
        PublicKey.from_pem(private)
    assert private.splitlines()[1] not in str(refusal.value)
