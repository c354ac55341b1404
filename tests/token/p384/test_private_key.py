from __future__ import annotations

from pathlib import Path

import pytest

from tests.token.p384.openssl import openssl, private_key_pem, public_key_pem
from tokensvc.errors import InvalidKeyMaterial
from tokensvc.token.p384 import LocalSigner, PublicKey
from tokensvc.token.private_keys import load_private_key


def test_every_unencrypted_form_of_a_private_key_is_read_and_signs(tmp_path: Path) -> None:
    """SEC1 with and without an EC PARAMETERS block, and PKCS#8, give the same key."""
    with_parameters = private_key_pem(tmp_path, "secp384r1")
    public_key = PublicKey.from_pem(public_key_pem(with_parameters))
    sec1 = openssl("ec", "-in", str(with_parameters))
    pkcs8 = openssl("pkcs8", "-topk8", "-nocrypt", "-in", str(with_parameters))
    forms = {
        b"-----BEGIN EC PARAMETERS-----": with_parameters.read_bytes(),
        b"-----BEGIN EC PRIVATE KEY-----": sec1,
        b"-----BEGIN PRIVATE KEY-----": pkcs8,
    }
    for first_line, pem in forms.items():
        assert pem.startswith(first_line)
        signer = LocalSigner(load_private_key(pem))
        assert signer.public_key == public_key
        public_key.verify(signer.sign(b"message"), b"message")


def test_windows_line_endings_and_blank_lines_are_accepted(tmp_path: Path) -> None:
    """A file that was copied between systems is read."""
    pem = private_key_pem(tmp_path, "secp384r1").read_bytes()
    copied = b"\r\n\r\n" + pem.replace(b"\n", b"\r\n") + b"\r\n"
    assert load_private_key(copied).private_numbers() == load_private_key(pem).private_numbers()


@pytest.mark.parametrize("curve", ["prime256v1", "secp112r1"])
def test_a_private_key_of_another_curve_is_refused(tmp_path: Path, curve: str) -> None:
    """P-256, which a guide on the web names, and unknown curves are refused with a hint."""
    with pytest.raises(InvalidKeyMaterial, match=r"P-384.*secp384r1"):
        load_private_key(private_key_pem(tmp_path, curve).read_bytes())


def test_an_rsa_private_key_is_refused() -> None:
    """A key that is not on a curve is refused."""
    with pytest.raises(InvalidKeyMaterial, match="P-384"):
        load_private_key(openssl("genrsa", "2048"))


def test_an_encrypted_private_key_is_refused_with_the_command_that_decrypts_it(
    tmp_path: Path,
) -> None:
    """Both encrypted forms are recognized."""
    private = str(private_key_pem(tmp_path, "secp384r1"))
    sec1 = openssl("ec", "-in", private, "-aes128", "-passout", "pass:secret")
    pkcs8 = openssl("pkcs8", "-topk8", "-in", private, "-passout", "pass:secret")
    for pem in (sec1, pkcs8):
        with pytest.raises(InvalidKeyMaterial, match="openssl pkey -in"):
            load_private_key(pem)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"no key",
        b"-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n",
        b"-----END EC PARAMETERS----------BEGIN EC PARAMETERS-----",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
)
def test_a_text_that_is_not_a_private_key_is_refused(pem: bytes) -> None:
    """Garbage, and parameters without a key, are refused."""
    with pytest.raises(InvalidKeyMaterial, match="openssl ecparam -name secp384r1 -genkey"):
        load_private_key(pem)


def test_a_public_key_is_not_accepted_as_a_private_key(tmp_path: Path) -> None:
    """The hint names the command that creates a private key."""
    pem = public_key_pem(private_key_pem(tmp_path, "secp384r1"))
    with pytest.raises(InvalidKeyMaterial, match="openssl ecparam -name secp384r1 -genkey"):
        load_private_key(pem.encode())
