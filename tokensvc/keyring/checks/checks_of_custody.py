"""The checks of a custody in AWS KMS: its limits, and what a crash has left in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tokensvc.errors import TokensvcError
from tokensvc.keyring.checks.context import Context
from tokensvc.keyring.checks.finding import Finding, FindingCode, Severity

SECONDS_UNTIL_CONDITIONS_HOLD: Final = 300
"""How long a new tag or alias may take to affect permissions (AWS: ABAC for AWS KMS)."""

SIGNATURES_PER_SECOND: Final = 1_000
"""The default quota of an account in a region, for all its ECC keys (AWS: KMS request quotas)."""

PRICE_OF_10_000: Final = "$0.15"
"""Believed: the price of 10,000 signatures with an ECC key in most regions."""


def _publish_delay(context: Context) -> Iterator[Finding]:
    delay = context.ring.terms.publish_delay_seconds
    if context.evidence.unnamed_kms_keys is None or delay >= SECONDS_UNTIL_CONDITIONS_HOLD:
        return
    yield context.finding(
        Severity.NOTE,
        FindingCode.KMS_PUBLISH_DELAY,
        "",
        f"The publish delay of {context.region} is {delay} s. AWS KMS may need"
        f" {SECONDS_UNTIL_CONDITIONS_HOLD} s until a permission with a condition on tags or aliases"
        " holds for a new key, so workers may not be allowed to sign with it when it becomes"
        " active.",
        f"Set rotation.publish_delay_seconds to {SECONDS_UNTIL_CONDITIONS_HOLD} or more, unless"
        " workers may sign with every key of the account or by a key policy.",
    )


def _signing(context: Context) -> Iterator[Finding]:
    if context.evidence.unnamed_kms_keys is None:
        return
    yield context.finding(
        Severity.NOTE,
        FindingCode.KMS_SIGNING,
        "",
        f"Each token of {context.region} is a call of AWS KMS. By default an account can sign"
        f" {SIGNATURES_PER_SECOND:,} times a second there, with all its ECC keys together; 10,000"
        f" signatures are believed to cost {PRICE_OF_10_000}.",
        "For more tokens, use secretsmanager: as custody, or request a higher quota for"
        " cryptographic operations (ECC) in Service Quotas.",
    )


def _unnamed_keys(context: Context) -> Iterator[Finding]:
    unnamed = context.evidence.unnamed_kms_keys
    if unnamed is None:
        return
    if isinstance(unnamed, TokensvcError):
        yield context.finding(Severity.WARNING, unnamed.code, "", unnamed.detail, unnamed.hint)
        return
    for arn in unnamed:
        yield context.finding(
            Severity.WARNING,
            FindingCode.ORPHAN,
            arn,
            f"AWS KMS has the key {arn}, which tokensvc made and gave no alias: a command was"
            " stopped in between. No key pair uses it.",
            f"Run `aws kms schedule-key-deletion --key-id {arn} --pending-window-in-days 7 --region"
            f" {context.region}`, unless a command is making a key just now.",
        )


CHECKS_OF_CUSTODY = (_publish_delay, _signing, _unnamed_keys)
