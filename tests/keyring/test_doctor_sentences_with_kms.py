"""The sentences of `tokensvc keys doctor` about a custody in AWS KMS, and how it finds them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import boto3
import pytest

from tests.keyring.doctor_evidence import HEALTHY_RING, evidence, healthy, in_region
from tests.keyring.rings import REGION
from tests.support.clock import ManualClock
from tests.support.moto import Moto
from tests.support.settings import settings_in
from tokensvc import operations
from tokensvc.errors import CustodyDenied
from tokensvc.keyring.checks.examination import examine
from tokensvc.keyring.checks.finding import Finding, Severity
from tokensvc.keyring.terms import Terms

SERIOUS, WARNING, NOTE = Severity

TABLE: dict[str, tuple[Sequence[Finding], Finding]] = {
    "conditions of KMS hold later than a key signs": (
        examine(healthy(unnamed_kms_keys=())),
        in_region(
            NOTE,
            "kms_publish_delay",
            "",
            "The publish delay of us-west-2 is 60 s. AWS KMS may need 300 s until a permission with"
            " a condition on tags or aliases holds for a new key, so workers may not be allowed to"
            " sign with it when it becomes active.",
            "Set rotation.publish_delay_seconds to 300 or more, unless workers may sign with every"
            " key of the account or by a key policy.",
        ),
    ),
    "KMS signs": (
        examine(healthy(unnamed_kms_keys=())),
        in_region(
            NOTE,
            "kms_signing",
            "",
            "Each token of us-west-2 is a call of AWS KMS. By default an account can sign 1,000"
            " times a second there, with all its ECC keys together; 10,000 signatures are believed"
            " to cost $0.15.",
            "For more tokens, use secretsmanager: as custody, or request a higher quota for"
            " cryptographic operations (ECC) in Service Quotas.",
        ),
    ),
    "a KMS key without an alias": (
        examine(healthy(unnamed_kms_keys=("arn:aws:kms:us-west-2:123456789012:key/1",))),
        in_region(
            WARNING,
            "orphan",
            "arn:aws:kms:us-west-2:123456789012:key/1",
            "AWS KMS has the key arn:aws:kms:us-west-2:123456789012:key/1, which tokensvc made and"
            " gave no alias: a command was stopped in between. No key pair uses it.",
            "Run `aws kms schedule-key-deletion --key-id arn:aws:kms:us-west-2:123456789012:key/1"
            " --pending-window-in-days 7 --region us-west-2`, unless a command is making a key just"
            " now.",
        ),
    ),
}


@pytest.mark.parametrize(("findings", "expected"), TABLE.values(), ids=TABLE.keys())
def test_every_sentence(findings: Sequence[Finding], expected: Finding) -> None:
    """Severity, code, region, subject, reason and hint, all exact."""
    assert [found for found in findings if found.code == expected.code] == [expected]


def test_keys_that_may_not_be_listed_are_a_finding() -> None:
    """So that their absence from the report means something."""
    denied = CustodyDenied("kms:ListKeys denied.", hint="Allow it.")
    expected = in_region(WARNING, "custody_unavailable", "", "kms:ListKeys denied.", "Allow it.")
    assert expected in examine(healthy(unnamed_kms_keys=denied))


def test_a_ring_with_a_longer_publish_delay_is_not_reported() -> None:
    """Nor is one whose private keys are elsewhere."""
    of_ring = dataclasses.replace(HEALTHY_RING, terms=Terms(publish_delay_seconds=300))
    codes = {found.code for found in examine(evidence(of_ring, unnamed_kms_keys=()))}
    assert "kms_publish_delay" not in codes
    assert not {found.code for found in examine(healthy())} & {"kms_publish_delay", "kms_signing"}


def test_a_custody_of_files_that_can_not_be_opened_is_not_called_kms(
    moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key-encryption secret is missing, which is the only finding about the custody."""
    moto.set_environment(monkeypatch, tmp_path, AWS_ENDPOINT_URL_IVS=moto.url)
    settings = settings_in(tmp_path, custody={"key_encryption_secret": None})
    with closing(operations.build(settings, ManualClock(), by="ann@desk")) as opened:
        opened.state.create()
        codes = {one.code for one in opened.doctor((REGION,)).examine()}
    assert "settings_invalid" in codes
    assert not codes & {"kms_publish_delay", "kms_signing"}


def test_the_doctor_finds_keys_without_an_alias_and_keys_of_no_ring(
    moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the region that it examines. A key of a ring, or being deleted, is neither."""
    moto.set_environment(monkeypatch, tmp_path, AWS_ENDPOINT_URL_IVS=moto.url)
    settings = settings_in(tmp_path, custody={"url": "kms:alias/tokensvc/"})
    with closing(operations.build(settings, ManualClock(), by="ann@desk")) as opened:
        opened.state.create()
        made = opened.custody(REGION).create("k9")
        opened.custody(REGION).create("k8")
        opened.custody(REGION).destroy("k8", compromised=False)
        assert made.handle is not None
        boto3.client("kms", region_name=REGION).delete_alias(AliasName="alias/tokensvc/k9")
        opened.custody(REGION).create("k7")
        findings = opened.doctor((REGION,)).examine()
    found = [(one.region, one.subject) for one in findings if one.code == "orphan"]
    assert found == [(REGION, made.handle), (None, "k7")]
