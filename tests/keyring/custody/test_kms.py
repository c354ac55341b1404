"""What is special about KMS: keys without an alias, states, and DER signatures."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from tests.keyring.custody.aws_custodies import REGION, Place, place_of
from tests.support.moto import Moto
from tokensvc.errors import (
    CustodyDamaged,
    CustodyDenied,
    CustodyUnavailable,
    CustodyUnusable,
    InvalidRequest,
)
from tokensvc.keyring.custody.kms import KmsCustody
from tokensvc.keyring.signers import StoredKey
from tokensvc.waiting import MustWait, no_waiting

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_kms.literals import KeySpecType

MESSAGE = b"header.payload"
TAGS = {"tokensvc:deployment": "0123456789abcdef", "tokensvc:key": "k-1"}


@pytest.fixture
def place(moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A process with a custody in an empty moto."""
    moto.set_environment(monkeypatch, tmp_path)
    with place_of("kms") as place:
        yield place


@pytest.fixture
def kms(place: Place) -> KMSClient:
    """A client of an operator."""
    return boto3.client("kms", region_name=REGION)


def custody_of(place: Place) -> KmsCustody:
    """The custody, with the methods that only this kind has."""
    assert isinstance(place.custody, KmsCustody)
    return place.custody


def test_a_key_has_a_description_tags_and_its_arn_as_handle(place: Place, kms: KMSClient) -> None:
    """It signs only, is on P-384, and its alias ends with the key ID."""
    key = place.custody.create("k-1", tags=TAGS)
    described = kms.describe_key(KeyId="alias/tokensvc/k-1")["KeyMetadata"]
    assert described["Arn"] == key.handle
    assert (described["KeySpec"], described["KeyUsage"]) == ("ECC_NIST_P384", "SIGN_VERIFY")
    assert described["Description"].endswith(": k-1")
    tags = kms.list_resource_tags(KeyId=described["KeyId"])["Tags"]
    assert {tag["TagKey"]: tag["TagValue"] for tag in tags} == TAGS


def test_of_two_processes_that_create_a_key_the_first_one_wins(
    place: Place, kms: KMSClient
) -> None:
    """The key of the other is deleted: it has no alias, and nothing has signed with it."""
    place.faults.before("CreateAlias", lambda: place.other.create("k-1"))
    mine = place.custody.create("k-1")
    assert place.other.create("k-1") == mine
    keys = [kms.describe_key(KeyId=one["KeyId"])["KeyMetadata"] for one in kms.list_keys()["Keys"]]
    states = {one["Arn"]: one.get("KeyState") for one in keys}
    assert mine.handle is not None
    assert states.pop(mine.handle) == "Enabled"
    assert list(states.values()) == ["PendingDeletion"]
    assert custody_of(place).unnamed_keys() == []


def test_a_key_whose_alias_exists_already_because_boto3_tried_again_stays(
    place: Place, kms: KMSClient
) -> None:
    """The answer to the first attempt was lost, and the second one is refused."""

    def first_attempt() -> None:
        (made,) = kms.list_keys()["Keys"]
        kms.create_alias(AliasName="alias/tokensvc/k-1", TargetKeyId=made["KeyId"])

    place.faults.before("CreateAlias", first_attempt)
    key = place.custody.create("k-1")
    key.public_key.verify(place.custody.signer(key).sign(MESSAGE), MESSAGE)


def test_a_key_is_discarded_when_it_may_not_get_an_alias(
    place: Place, kms: KMSClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise each attempt would leave one. One that can't be discarded is named in the log."""
    place.faults.answer("CreateAlias", 400, "AccessDeniedException")
    with pytest.raises(CustodyDenied):
        place.custody.create("k-1")
    assert custody_of(place).unnamed_keys() == []
    place.faults.answer("ScheduleKeyDeletion", 503, "ServiceUnavailable")
    with caplog.at_level(logging.WARNING), pytest.raises(CustodyDenied):
        place.custody.create("k-1")
    (unnamed,) = custody_of(place).unnamed_keys()
    assert unnamed in caplog.text


def test_a_key_whose_answer_was_lost_is_found(place: Place) -> None:
    """It has no alias, so the next attempt makes another one. Keys of others are not listed."""
    boto3.client("kms", region_name=REGION).create_key(Description="of another program")
    place.faults.lose_answer("CreateKey")
    with pytest.raises(CustodyUnavailable):
        place.custody.create("k-1")
    key = place.custody.create("k-1")
    (unnamed,) = custody_of(place).unnamed_keys()
    assert unnamed != key.handle


def test_a_key_that_an_operator_disabled_is_unusable_until_it_is_enabled(
    place: Place, kms: KMSClient
) -> None:
    """The error says so, and is not one that a client should wait for."""
    key = place.custody.create("k-1")
    kms_id = kms.describe_key(KeyId="alias/tokensvc/k-1")["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=kms_id)
    with pytest.raises(CustodyUnusable, match="Disabled") as unusable:
        place.custody.signer(key)
    assert unusable.value.code == "custody_unusable"
    assert unusable.value.retry_after_seconds is None
    kms.enable_key(KeyId=kms_id)
    assert place.custody.signer(key).public_key == key.public_key


@pytest.mark.parametrize("code", ["DisabledException", "KMSInvalidStateException"])
def test_a_key_that_is_disabled_while_it_signs_is_unusable(place: Place, code: str) -> None:
    """The answer is planned, because moto signs with such a key: KMS_SIGNS_WHILE_DISABLED."""
    signer = place.custody.signer(place.custody.create("k-1"))
    place.faults.answer("Sign", 400, code)
    with pytest.raises(CustodyUnusable):
        signer.sign(MESSAGE)
    place.faults.answer("Sign", 400, "NotFoundException")
    with pytest.raises(CustodyDamaged):
        signer.sign(MESSAGE)


@pytest.mark.parametrize(
    ("der", "raw"),
    [
        ("3006020101020102", "00" * 47 + "01" + "00" * 47 + "02"),
        ("3066" + ("023100" + "ff" * 48) * 2, "ff" * 96),
        # r has 47 bytes, and s has 46 and a zero that only says that it is not negative.
        ("3062022f" + "7f" * 47 + "022f00" + "80" * 46, "00" + "7f" * 47 + "0000" + "80" * 46),
    ],
    ids=["short", "high bit", "leading zeros"],
)
def test_a_der_signature_becomes_r_and_s_of_48_bytes_each(place: Place, der: str, raw: str) -> None:
    """RFC 7518 §3.4: zeros that DER leaves out come back, and the one that it adds goes."""
    signer = place.custody.signer(place.custody.create("k-1"))
    signature = base64.b64encode(bytes.fromhex(der)).decode()
    place.faults.answer_with("Sign", Signature=signature)
    assert signer.sign(MESSAGE).hex() == raw


def test_an_answer_without_a_signature_is_refused(place: Place) -> None:
    """As a proxy may answer."""
    signer = place.custody.signer(place.custody.create("k-1"))
    place.faults.answer_with("Sign", Signature=base64.b64encode(b"no signature").decode())
    with pytest.raises(CustodyDamaged):
        signer.sign(MESSAGE)
    place.faults.answer_with("Sign", Other="x")
    with pytest.raises(CustodyUnavailable):
        signer.sign(MESSAGE)


def test_kms_signs_up_to_4096_bytes(place: Place) -> None:
    """A longer message is refused before the call: IVS takes no such token either."""
    key = place.custody.create("k-1")
    signer = place.custody.signer(key)
    key.public_key.verify(signer.sign(b"x" * 4_096), b"x" * 4_096)
    calls = len(place.faults.calls)
    with pytest.raises(InvalidRequest, match="4097"):
        signer.sign(b"x" * 4_097)
    assert len(place.faults.calls) == calls


def test_a_signature_is_never_waited_for_on_the_event_loop(place: Place) -> None:
    """The request runs again in a thread."""
    signer = place.custody.signer(place.custody.create("k-1"))
    with no_waiting(), pytest.raises(MustWait):
        signer.sign(MESSAGE)


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "RSA_2048"])
def test_a_key_of_another_kind_signs_no_token(
    place: Place, kms: KMSClient, spec: KeySpecType
) -> None:
    """Someone may have moved the alias, or the handle may be of such a key."""
    good = place.custody.create("k-1")
    other = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")
    kms.create_alias(AliasName="alias/tokensvc/k-2", TargetKeyId=other["KeyMetadata"]["KeyId"])
    with pytest.raises(CustodyDamaged, match="ECC_NIST_P384"):
        place.custody.create("k-2")
    with pytest.raises(CustodyDamaged, match="ECC_NIST_P384"):
        place.custody.signer(StoredKey("k-2", good.public_key, other["KeyMetadata"]["Arn"]))


@pytest.mark.parametrize("handle", [None, "arn:aws:secretsmanager:eu-west-1:1:secret:a#b"])
def test_a_key_pair_of_another_custody_is_not_called_lost(place: Place, handle: str | None) -> None:
    """The setting custody.url was changed: the private key is good, and elsewhere."""
    key = place.custody.create("k-1")
    with pytest.raises(CustodyDenied, match="k-1") as denied:
        place.custody.signer(StoredKey("k-1", key.public_key, handle))
    assert "custody.url" in denied.value.hint
