"""Which tables may hold a state, by the answer of DescribeTable.

No stand-in has replicas, other accounts or tables that stay in a status: here the answers are
written by hand, as the service model of DynamoDB has them.
"""

from __future__ import annotations

from typing import Any

import pytest

from tokensvc.arns import Region
from tokensvc.errors import StateRefused, StateUnavailable
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.state.dynamodb_table import require_usable

ADDRESS = TableAddress(Region("us-west-2"), "tokensvc")
ACCOUNT = "123456789012"
ARN = f"arn:aws:dynamodb:us-west-2:{ACCOUNT}:table/tokensvc"
GOOD: Any = {
    "TableName": "tokensvc",
    "TableArn": ARN,
    "TableStatus": "ACTIVE",
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
}


def described(more: dict[str, Any]) -> Any:
    """The description of a usable table with these changes."""
    return {**GOOD, **more}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"TableStatus": "UPDATING"},
        {"Replicas": []},
        {"Replicas": [{"RegionName": "us-east-1"}], "MultiRegionConsistency": "STRONG"},
        {"TableArn": f"arn:aws-us-gov:dynamodb:us-west-2:{ACCOUNT}:table/tokensvc"},
    ],
)
def test_a_table_that_can_be_used(more: dict[str, Any]) -> None:
    """Replicas are allowed if they agree on each save."""
    require_usable(described(more), ADDRESS, ACCOUNT)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"Replicas": [{"RegionName": "us-east-1"}]}, "us-east-1"),
        (
            {"Replicas": [{"RegionName": "eu-west-1"}], "MultiRegionConsistency": "EVENTUAL"},
            "eu-west-1",
        ),
        ({"TableArn": ARN.replace(ACCOUNT, "210987654321")}, "210987654321"),
        ({"TableArn": ARN.replace("us-west-2", "us-east-1")}, "us-east-1"),
        ({"TableArn": ""}, "unknown"),
        ({"KeySchema": GOOD["KeySchema"][:1]}, "tokensvc"),
        ({"KeySchema": [*GOOD["KeySchema"][::-1], {"AttributeName": "x", "KeyType": "HASH"}]}, ""),
        ({"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "N"}]}, "tokensvc"),
    ],
)
def test_a_table_that_must_not_be_used_is_refused(more: dict[str, Any], named: str) -> None:
    """The hint says what to change: two winners of one save would break rule 7."""
    with pytest.raises(StateRefused) as refusal:
        require_usable(described(more), ADDRESS, ACCOUNT)
    assert named in refusal.value.detail
    assert refusal.value.hint


@pytest.mark.parametrize(
    "status", ["CREATING", "DELETING", "INACCESSIBLE_ENCRYPTION_CREDENTIALS", "ARCHIVED"]
)
def test_a_table_that_can_t_be_used_now_is_unavailable(status: str) -> None:
    """It is not refused for good: the status may change."""
    with pytest.raises(StateUnavailable, match=status) as failure:
        require_usable(described({"TableStatus": status}), ADDRESS, ACCOUNT)
    assert not isinstance(failure.value, StateRefused)
    assert failure.value.hint


def test_a_stand_in_may_have_any_account() -> None:
    """Its tables are in no account."""
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/tokensvc"
    require_usable(described({"TableArn": arn}), ADDRESS, None)
