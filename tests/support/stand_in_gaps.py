"""What the stand-ins for AWS in our tests don't do as AWS does.

What no stand-in shows is called believed wherever a person reads it. A test that depends on a gap
names it, so that it can be found when the stand-in no longer has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Gap:
    """One difference between a stand-in and AWS.

    Attributes:
        stand_in: the program, such as moto.
        service: the AWS service.
        difference: what the stand-in does, and what AWS does.
    """

    stand_in: str
    service: str
    difference: str


@dataclass(frozen=True, slots=True)
class LeftOut(Gap):
    """Resources of the template in `deploy/` that the stand-in does not make.

    Attributes:
        resources: their logical names.
    """

    resources: tuple[str, ...] = ()


KMS_HASHES_A_DIGEST: Final = Gap(
    "moto",
    "KMS",
    "Sign and Verify hash the message also when MessageType is DIGEST, so such a signature is one"
    " of a digest's digest. AWS signs the digest as it is. With RAW both do the same.",
)
DYNAMODB_HAS_NO_LOCKS: Final = Gap(
    "moto",
    "DynamoDB",
    "Two conditional writes that come at the same time may both succeed. AWS lets one succeed.",
)
DYNALITE_HAS_NO_HOUSEKEEPING: Final = Gap(
    "dynalite",
    "DynamoDB",
    "UpdateTimeToLive and UpdateContinuousBackups are unknown operations, expired items stay, and a"
    " table has no deletion protection.",
)
DYNALITE_HAS_NO_LIMITS: Final = Gap(
    "dynalite",
    "DynamoDB",
    "Nothing is throttled, and BatchWriteItem leaves no item unprocessed.",
)
DYNAMODB_HAS_ONE_REGION: Final = Gap(
    "dynalite, moto",
    "DynamoDB",
    "There are no tables whose replicas are strongly consistent, and reads that are not strongly"
    " consistent see every write at once.",
)
DYNALITE_HAS_NO_ACCOUNT: Final = Gap(
    "dynalite",
    "DynamoDB",
    "Every table is in the account 000000000000, and any credentials are accepted.",
)
CLOUDFORMATION_LEAVES_OUT: Final = LeftOut(
    "moto",
    "CloudFormation",
    "A stack is complete without these resources, without the expiry and the backups of its table,"
    " and with the EC2 launch type for its service. AWS makes all of it, or nothing.",
    resources=(
        "BalancerErrors",
        "ReconcileOverdue",
        "ReconcileSchedule",
        "ReconcileSuccesses",
        "ServerErrors",
        "UnhealthyReplicas",
    ),
)
IAM_IS_NOT_ENFORCED: Final = Gap(
    "moto",
    "all",
    "Every call is allowed, whatever policies, key policies and conditions on tags say.",
)
NOTHING_PROPAGATES: Final = Gap(
    "moto",
    "all",
    "A change is seen by the next call. AWS says that aliases and tags of KMS may take minutes"
    " until conditions on them hold.",
)
KMS_SIGNS_WHILE_DISABLED: Final = Gap(
    "moto",
    "KMS",
    "Sign and GetPublicKey work with a key that is disabled or whose deletion is scheduled. AWS"
    " answers DisabledException or KMSInvalidStateException.",
)
A_LOCK_IS_MISSING_AT_CREATION: Final = Gap(
    "moto",
    "KMS, Secrets Manager",
    "Two calls that make the same alias or secret at the same time may both succeed. AWS lets one"
    " succeed.",
)
GAPS: Final = (
    A_LOCK_IS_MISSING_AT_CREATION,
    KMS_HASHES_A_DIGEST,
    KMS_SIGNS_WHILE_DISABLED,
    DYNAMODB_HAS_NO_LOCKS,
    DYNALITE_HAS_NO_HOUSEKEEPING,
    DYNALITE_HAS_NO_LIMITS,
    DYNAMODB_HAS_ONE_REGION,
    DYNALITE_HAS_NO_ACCOUNT,
    CLOUDFORMATION_LEAVES_OUT,
    IAM_IS_NOT_ENFORCED,
    NOTHING_PROPAGATES,
)
