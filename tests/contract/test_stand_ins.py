"""The stand-ins for AWS: they begin empty, and their gaps are still there."""

from __future__ import annotations

from hashlib import sha384
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.support.aws import EXAMPLE_ACCOUNT
from tests.support.dynalite import Dynalite
from tests.support.moto import Moto
from tests.support.tables import Table
from tokensvc.state.dynamodb_errors import NOT_SUPPORTED, code_of

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


def test_the_gap_that_dynalite_has_no_housekeeping(dynalite: Dynalite) -> None:
    """`tokensvc init --aws` goes on without it, and says so."""
    table = Table(dynalite.url)
    with table.opened:
        client = table.clients().dynamodb(table.address.region)
        table.make()
        with pytest.raises(ClientError) as ttl:  # DYNALITE_HAS_NO_HOUSEKEEPING
            client.update_time_to_live(
                TableName=table.address.table,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": "delete_at"},
            )
        with pytest.raises(ClientError) as backups:
            client.describe_continuous_backups(TableName=table.address.table)
        arn = client.describe_table(TableName=table.address.table)["Table"]["TableArn"]
    assert {code_of(ttl.value), code_of(backups.value)} == {NOT_SUPPORTED}
    assert ":000000000000:" in arn  # DYNALITE_HAS_NO_ACCOUNT


def test_the_gap_that_moto_signs_with_a_disabled_key() -> None:
    """On AWS, both calls would be refused."""
    client = boto3.client("kms", region_name=REGION)
    key_id = client.create_key(KeySpec="ECC_NIST_P384", KeyUsage="SIGN_VERIFY")["KeyMetadata"][
        "KeyId"
    ]
    client.disable_key(KeyId=key_id)
    client.get_public_key(KeyId=key_id)
    client.sign(KeyId=key_id, Message=b"m", SigningAlgorithm="ECDSA_SHA_384")
