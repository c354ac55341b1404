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
from tokensvc.p384 import LocalSigner, PublicKey, der_to_raw

PROJECT = Path(__file__).parents[2]
VECTORS = PROJECT.parent / "shared/vectors/ecdsa_secp384r1_sha384_p1363_test.json"

MESSAGE = b"eyJhbGciOiJFUzM4NCJ9.e30"

SIGN_THE_SAME_IN_TWO_CHILDREN = """
import os, sys
from tokensvc.p384 import LocalSigner

signer = LocalSigner.generate()
signer.sign(b"before")
for _ in range(2):
    if (child := os.fork()) == 0:
        os.write(1, signer.sign(b"message").hex().encode() + b" ")
        os._exit(0)
    os.waitpid(child, 0)
"""


def holds(public_key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Whether the key says that it made the signature."""
    try:
        public_key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def vector_groups() -> list[dict[str, Any]]:
    """The groups of Wycheproof's ES384 vectors, each with one key."""
    if not VECTORS.exists() and not os.environ.get("CI"):
        pytest.skip(f"the signature vectors are not there: put them into {VECTORS.parent}")
    groups: list[dict[str, Any]] = json.loads(VECTORS.read_bytes())["testGroups"]
    return groups


def test_all_280_hostile_and_valid_signatures_are_judged_right() -> None:
    """Wycheproof: what is valid verifies, what is not does not, none raises anything else."""
    verdicts = {
        case["tcId"]: (
            holds(
                PublicKey.from_pem(group["publicKeyPem"]),
                bytes.fromhex(case["sig"]),
                bytes.fromhex(case["msg"]),
            ),
            case["result"] == "valid",
        )
        for group in vector_groups()
        for case in group["tests"]
    }
    assert len(verdicts) == 280
    assert [case for case, (ours, theirs) in verdicts.items() if ours != theirs] == []


def test_a_signature_holds_for_its_message_and_its_key_alone() -> None:
    """96 bytes, which another message and another key refuse."""
    signer = LocalSigner.generate()
    signature = signer.sign(MESSAGE)
    assert len(signature) == 96
    assert holds(signer.public_key, signature, MESSAGE)
    assert not holds(signer.public_key, signature, MESSAGE + b"x")
    assert not holds(LocalSigner.generate().public_key, signature, MESSAGE)


@pytest.mark.parametrize("signature", [b"", bytes(95), bytes(96), bytes(97), b"\xff" * 96])
def test_a_signature_of_the_wrong_form_is_refused_and_never_an_error(signature: bytes) -> None:
    """Wrong lengths, zeros, and numbers above the curve's order are just not signatures."""
    assert not holds(LocalSigner.generate().public_key, signature, MESSAGE)


def test_a_der_signature_is_refused_until_converted() -> None:
    """DER, as OpenSSL and KMS give it, is no ES384 signature; r‖s is."""
    signer = LocalSigner.generate()
    raw = signer.sign(MESSAGE)
    der = encode_dss_signature(int.from_bytes(raw[:48]), int.from_bytes(raw[48:]))
    assert not holds(signer.public_key, der, MESSAGE)
    assert holds(signer.public_key, der_to_raw(der), MESSAGE)


@pytest.mark.parametrize(
    ("r", "s", "raw"),
    [
        (1, 2, bytes(47) + b"\x01" + bytes(47) + b"\x02"),
        (0x80, 0x7F, bytes(47) + b"\x80" + bytes(47) + b"\x7f"),
        (0xAB << 368, 0xCD << 376, b"\x00\xab" + bytes(46) + b"\xcd" + bytes(47)),
        (2**384 - 1, 1, b"\xff" * 48 + bytes(47) + b"\x01"),
    ],
)
def test_halves_are_padded_with_zeros_to_48_bytes(r: int, s: int, raw: bytes) -> None:
    """Leading zeros that DER drops come back, and DER's own sign byte goes."""
    assert der_to_raw(encode_dss_signature(r, s)) == raw


@given(r=st.integers(0, 2**384 - 1), s=st.integers(0, 2**384 - 1))
def test_der_to_raw_keeps_both_numbers(r: int, s: int) -> None:
    """Whatever the numbers, both come back from their 48 bytes."""
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
def test_what_is_no_der_signature_of_the_curve_is_refused(der: bytes) -> None:
    """Garbage, numbers too long or negative, and trailing bytes are refused."""
    with pytest.raises(InvalidSignature):
        der_to_raw(der)


def test_two_forked_workers_never_use_one_nonce() -> None:
    """The first half of the same message's signature differs in each child of a fork.

    ECDSA with one nonce twice gives the private key away, and gunicorn forks.
    """
    halves = subprocess.run(
        [sys.executable, "-c", SIGN_THE_SAME_IN_TWO_CHILDREN],
        cwd=PROJECT,
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout.split()
    assert len(halves) == 2
    assert halves[0][:96] != halves[1][:96]
