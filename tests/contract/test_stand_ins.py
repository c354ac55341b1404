"""The stand-ins for AWS: they begin empty, and their gaps are still there."""

from __future__ import annotations

from hashlib import sha384
from pathlib import Path

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.support.aws import EXAMPLE_ACCOUNT
from tests.support.moto import Moto

REGION = "eu-west-1"


@pytest.fixture(autouse=True)
def _environment(moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moto.set_environment(monkeypatch, tmp_path)


def test_moto_is_the_account_of_the_examples() -> None:
    """So that moto and Local IVS are the same account."""
    assert boto3.client("sts", region_name=REGION).get_caller_identity()["Account"] == (
        EXAMPLE_ACCOUNT
    )


def test_moto_begins_empty(moto: Moto) -> None:
    """One process serves all tests, but what one made is not in the next."""
    client = boto3.client("secretsmanager", region_name=REGION)
    client.create_secret(Name="one", SecretString="{}")
    moto.reset()
    assert client.list_secrets()["SecretList"] == []


def test_the_gap_that_moto_hashes_a_digest() -> None:
    """On AWS this signature would not be one of the digest's digest."""
    client = boto3.client("kms", region_name=REGION)
    key_id = client.create_key(KeySpec="ECC_NIST_P384", KeyUsage="SIGN_VERIFY")["KeyMetadata"][
        "KeyId"
    ]
    digest = sha384(b"message").digest()
    signature = client.sign(
        KeyId=key_id, Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_384"
    )["Signature"]
    public_key = load_der_public_key(client.get_public_key(KeyId=key_id)["PublicKey"])
    assert isinstance(public_key, EllipticCurvePublicKey)
    public_key.verify(signature, digest, ECDSA(SHA384()))  # KMS_HASHES_A_DIGEST
