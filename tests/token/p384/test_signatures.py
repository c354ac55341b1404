from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.errors import InvalidSignature
from tokensvc.token.p384 import LocalSigner, PublicKey, der_to_raw

PROJECT = Path(__file__).parents[3]
VECTORS = PROJECT.parent / "shared/vectors/ecdsa_secp384r1_sha384_p1363_test.json"

MESSAGE = b"eyJhbGciOiJFUzM4NCJ9.e30"

SIGN_THE_SAME_IN_TWO_CHILDREN = """
import os, sys
from tokensvc.token.p384 import LocalSigner

signer = LocalSigner.generate()
signer.sign(b"before")
for _ in range(2):
    if (child := os.fork()) == 0:
        os.write(1, signer.sign(b"message").hex().encode() + b" ")
        os._exit(0)
    os.waitpid(child, 0)
"""


def verifies(public_key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Whether the key verifies the signature, by both implementations."""
    try:
        public_key.verify(signature, message)
    except InvalidSignature:
        is_verified = False
    else:
        is_verified = True
    assert public_key.has_signed(signature, message) == is_verified
    return is_verified


def vector_groups() -> list[dict[str, Any]]:
    """The groups of Wycheproof's ES384 vectors, each with one key."""
    if not VECTORS.exists() and not os.environ.get("CI"):
        pytest.skip(f"the signature vectors are missing: put them into {VECTORS.parent}")
    groups: list[dict[str, Any]] = json.loads(VECTORS.read_bytes())["testGroups"]
    return groups


def test_all_280_vectors_are_verified_correctly() -> None:
    """Wycheproof: valid signatures verify, hostile ones don't, and none raises another error."""
    results = {
        case["tcId"]: (
            verifies(
                PublicKey.from_pem(group["publicKeyPem"]),
                bytes.fromhex(case["sig"]),
                bytes.fromhex(case["msg"]),
            ),
            case["result"] == "valid",
        )
        for group in vector_groups()
        for case in group["tests"]
    }
    assert len(results) == 280
    assert [case for case, (verified, valid) in results.items() if verified != valid] == []


def test_a_signature_verifies_only_with_its_message_and_its_key() -> None:
    """It has 96 bytes; another message or another key does not verify it."""
    signer = LocalSigner.generate()
    signature = signer.sign(MESSAGE)
    assert len(signature) == 96
    assert verifies(signer.public_key, signature, MESSAGE)
    assert not verifies(signer.public_key, signature, MESSAGE + b"x")
    assert not verifies(LocalSigner.generate().public_key, signature, MESSAGE)


@pytest.mark.parametrize("signature", [b"", bytes(95), bytes(96), bytes(97), b"\xff" * 96])
def test_a_signature_of_the_wrong_form_does_not_verify(signature: bytes) -> None:
    """Wrong lengths, zeros, and numbers above the order of the curve raise no other error."""
    assert not verifies(LocalSigner.generate().public_key, signature, MESSAGE)


def test_a_der_signature_does_not_verify_until_it_is_converted() -> None:
    """DER, as OpenSSL and KMS return it, is not an ES384 signature; r‖s is."""
    signer = LocalSigner.generate()
    raw = signer.sign(MESSAGE)
    der = encode_dss_signature(int.from_bytes(raw[:48]), int.from_bytes(raw[48:]))
    assert not verifies(signer.public_key, der, MESSAGE)
    assert verifies(signer.public_key, der_to_raw(der), MESSAGE)


@pytest.mark.parametrize(
    ("r", "s", "raw"),
    [
        (1, 2, bytes(47) + b"\x01" + bytes(47) + b"\x02"),
        (0x80, 0x7F, bytes(47) + b"\x80" + bytes(47) + b"\x7f"),
        (0xAB << 368, 0xCD << 376, b"\x00\xab" + bytes(46) + b"\xcd" + bytes(47)),
        (2**384 - 1, 1, b"\xff" * 48 + bytes(47) + b"\x01"),
    ],
)
def test_r_and_s_are_padded_with_zeros_to_48_bytes(r: int, s: int, raw: bytes) -> None:
    """Leading zeros that DER omits are added, and the sign byte of DER is removed."""
    assert der_to_raw(encode_dss_signature(r, s)) == raw


@given(r=st.integers(0, 2**384 - 1), s=st.integers(0, 2**384 - 1))
def test_der_to_raw_preserves_both_numbers(r: int, s: int) -> None:
    """Any two numbers can be read back from their 48 bytes."""
    raw = der_to_raw(encode_dss_signature(r, s))
    assert (int.from_bytes(raw[:48]), int.from_bytes(raw[48:]), len(raw)) == (r, s, 96)


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30\x00",
        bytes(96),
        encode_dss_signature(2**384, 1),
        b"\x30\x06\x02\x01\x01\x02\x01\xff",  # s is -1
        encode_dss_signature(1, 1) + b"\x00",
    ],
)
def test_bytes_that_are_not_a_der_signature_of_the_curve_are_refused(der: bytes) -> None:
    """Garbage, numbers that are too long or negative, and trailing bytes are refused."""
    with pytest.raises(InvalidSignature):
        der_to_raw(der)


def test_two_forked_workers_never_use_the_same_nonce() -> None:
    """The number r in the signature of the same message differs in each child of a fork.

    A repeated ECDSA nonce reveals the private key, and gunicorn forks.
    """
    signatures = subprocess.run(
        [sys.executable, "-c", SIGN_THE_SAME_IN_TWO_CHILDREN],
        cwd=PROJECT,
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout.split()
    assert len(signatures) == 2
    assert signatures[0][:96] != signatures[1][:96]
