"""What is special about Secrets Manager: what a secret holds, and its versions."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.keyring.custody.aws_custodies import REGION, Place, place_of
from tests.support.moto import Moto
from tokensvc.errors import CustodyDamaged, CustodyDenied, CustodyUnusable
from tokensvc.keyring.custody.secrets_manager import SecretsManagerCustody
from tokensvc.keyring.signers import StoredKey
from tokensvc.token.p384 import PublicKey

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

MESSAGE = b"header.payload"
TAGS = {"tokensvc:deployment": "0123456789abcdef", "tokensvc:key": "k-1"}


@pytest.fixture
def place(moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A process with a custody in an empty moto."""
    moto.set_environment(monkeypatch, tmp_path)
    with place_of("secretsmanager") as place:
        yield place


@pytest.fixture
def secrets(place: Place) -> SecretsManagerClient:
    """A client of an operator."""
    return boto3.client("secretsmanager", region_name=REGION)


def text_of(secrets: SecretsManagerClient, key_id: str) -> str:
    """The text of the secret."""
    return secrets.get_secret_value(SecretId=f"tokensvc/{key_id}")["SecretString"]


def test_a_secret_has_the_private_key_its_fingerprint_and_tags(
    place: Place, secrets: SecretsManagerClient
) -> None:
    """OpenSSL can read the PEM, so its owner can use the key without tokensvc."""
    key = place.custody.create("k-1", tags=TAGS)
    secret = json.loads(text_of(secrets, "k-1"))
    private_key = load_pem_private_key(secret["private_key"].encode(), password=None)
    assert PublicKey.of(private_key.public_key()) == key.public_key
    assert secret["public_key_fingerprint"] == key.public_key.fingerprint
    assert secret["key_id"] == "k-1"
    tags = secrets.describe_secret(SecretId="tokensvc/k-1")["Tags"]
    expected = {**TAGS, "tokensvc:region": "eu-west-1"}
    assert {tag["Key"]: tag["Value"] for tag in tags} == expected


def test_secrets_are_encrypted_with_the_kms_key_of_the_settings(
    place: Place, secrets: SecretsManagerClient
) -> None:
    """Without one, AWS uses its own key for Secrets Manager."""
    custody = SecretsManagerCustody(
        partial(place.clients.secrets_manager, REGION),
        REGION,
        "tokensvc/",
        place.clock,
        kms_key="alias/secrets",
    )
    custody.create("k-1")
    place.custody.create("k-2")
    used = [secrets.describe_secret(SecretId=f"tokensvc/k-{n}").get("KmsKeyId") for n in (1, 2)]
    assert used == ["alias/secrets", None]


def test_a_new_version_of_a_secret_changes_nothing_for_a_recorded_key_pair(
    place: Place, secrets: SecretsManagerClient
) -> None:
    """The handle names the version: someone may have put another private key into the secret."""
    key, other = place.custody.create("k-1"), place.custody.create("k-2")
    secrets.put_secret_value(
        SecretId="tokensvc/k-1",
        SecretString=text_of(secrets, "k-2").replace('"k-2"', '"k-1"'),
    )
    key.public_key.verify(place.custody.signer(key).sign(MESSAGE), MESSAGE)
    found = place.custody.create("k-1")
    assert found.public_key == other.public_key
    assert found.handle != key.handle
    with pytest.raises(CustodyDamaged, match=key.public_key.fingerprint):
        place.custody.signer(StoredKey("k-1", key.public_key, found.handle))


@pytest.mark.parametrize(
    "damage",
    [
        lambda _text, _other: "not JSON",
        lambda _text, _other: "{}",
        lambda text, _other: text.replace("BEGIN PRIVATE KEY", "BEGIN KEY"),
        lambda text, _other: text.replace('"k-1"', '"k-3"'),
        lambda text, other: json.dumps(
            json.loads(text) | {"private_key": json.loads(other)["private_key"]}
        ),
    ],
    ids=["text", "empty", "pem", "key id", "fingerprint"],
)
def test_a_secret_that_tokensvc_did_not_write_is_damaged(
    place: Place, secrets: SecretsManagerClient, damage: object
) -> None:
    """The error has nothing of its text, nor has its cause."""
    place.custody.create("k-1")
    place.custody.create("k-2")
    assert callable(damage)
    text = damage(text_of(secrets, "k-1"), text_of(secrets, "k-2"))
    secrets.put_secret_value(SecretId="tokensvc/k-1", SecretString=text)
    with pytest.raises(CustodyDamaged) as damaged:
        place.custody.create("k-1")
    assert damaged.value.__cause__ is None
    assert "BEGIN" not in str(damaged.value)


def test_a_secret_in_its_recovery_window_is_unusable_until_it_is_restored(
    place: Place, secrets: SecretsManagerClient
) -> None:
    """An operator can restore one that was destroyed by mistake, for seven days."""
    key = place.custody.create("k-1")
    place.custody.destroy("k-1", handle=key.handle, compromised=False)
    with pytest.raises(CustodyUnusable) as unusable:
        place.custody.signer(key)
    assert unusable.value.code == "custody_unusable"
    secrets.restore_secret(SecretId="tokensvc/k-1")
    assert place.custody.signer(key).public_key == key.public_key


def test_a_signer_signs_when_secrets_manager_fails(place: Place) -> None:
    """It has fetched the private key once, and keeps it in memory."""
    key = place.custody.create("k-1")
    signer = place.custody.signer(key)
    calls = len(place.faults.calls)
    place.faults.answer("GetSecretValue", 503, "ServiceUnavailable")
    key.public_key.verify(signer.sign(MESSAGE), MESSAGE)
    assert len(place.faults.calls) == calls


def test_no_log_and_no_text_of_an_object_has_a_private_key(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """At every level of our loggers."""
    with caplog.at_level(logging.DEBUG, logger="tokensvc"):
        key = place.custody.create("k-1")
        signer = place.custody.signer(key)
        place.custody.destroy("k-1", compromised=True)
    texts = [repr(place.custody), repr(signer), repr(key), caplog.text]
    assert not any("PRIVATE KEY" in text for text in texts)


@pytest.mark.parametrize("handle", [None, "arn:aws:kms:eu-west-1:123456789012:key/1"])
def test_a_key_pair_of_another_custody_is_not_called_lost(place: Place, handle: str | None) -> None:
    """The setting custody.url was changed: the private key is good, and elsewhere."""
    key = place.custody.create("k-1")
    with pytest.raises(CustodyDenied, match="k-1") as denied:
        place.custody.signer(StoredKey("k-1", key.public_key, handle))
    assert "custody.url" in denied.value.hint
