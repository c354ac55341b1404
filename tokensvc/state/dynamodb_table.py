"""The table of the state in DynamoDB: whether it may be used, and how it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokensvc.errors import StateRefused, StateUnavailable
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.state.dynamodb_items import PARTITION_KEY, SORT_KEY

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef

KEY_SCHEMA: Final = {PARTITION_KEY: "HASH", SORT_KEY: "RANGE"}
_USABLE: Final = frozenset({"ACTIVE", "UPDATING"})


def require_usable(
    description: TableDescriptionTypeDef, address: TableAddress, account_id: str | None
) -> None:
    """Return if a state may be in the table with that description.

    Args:
        description: the answer of DescribeTable.
        address: the table that was described.
        account_id: the account that the table must be in; None for any.

    Raises:
        StateUnavailable: when the table is being created or deleted, or can't be used now.
        StateRefused: when it is of another account or region, has other keys, or has replicas that
            accept saves apart from each other.
    """
    status = description.get("TableStatus", "ACTIVE")
    if status not in _USABLE:
        raise StateUnavailable(
            f"Nothing can be read from the {address}: its status is {status}.",
            hint=_hint_for_status(status),
        )
    _require_place(description.get("TableArn", ""), address, account_id)
    keys = {one["AttributeName"]: one["KeyType"] for one in description.get("KeySchema", [])}
    types = {
        one["AttributeName"]: one["AttributeType"]
        for one in description.get("AttributeDefinitions", [])
    }
    if keys != KEY_SCHEMA or any(types.get(name) != "S" for name in KEY_SCHEMA):
        raise StateRefused(
            f"The {address} has other keys than a state: it is the table of another program.",
            hint="Set state.url to another table, which `tokensvc init --aws` makes.",
        )
    _require_one_winner(description, address)


def _hint_for_status(status: str) -> str:
    match status:
        case "CREATING":
            return "Wait until it has been created."
        case "DELETING":
            return (
                "It is being deleted. Restore it from a backup, as docs/state-dynamodb.md describes"
                "."
            )
        case "INACCESSIBLE_ENCRYPTION_CREDENTIALS":
            return "Let DynamoDB use the KMS key of the table again."
        case _:
            return "Check the table in the AWS console."


def _require_place(arn: str, address: TableAddress, account_id: str | None) -> None:
    if account_id is None:
        return
    _, _, _, region, account, *_ = (*arn.split(":"), *[""] * 6)
    if (region, account) != (address.region, account_id):
        raise StateRefused(
            f"The DynamoDB table {address.table} is of account {account or 'unknown'} in"
            f" {region or 'an unknown region'}, but ivs.account_id is {account_id} and state.url"
            f" names the region {address.region}.",
            hint="Use AWS credentials of that account, or correct ivs.account_id and state.url."
            " Check AWS_ENDPOINT_URL_DYNAMODB too.",
        )


def _require_one_winner(description: TableDescriptionTypeDef, address: TableAddress) -> None:
    """Refuse replicas that each accept a save of the same version (rule 7)."""
    replicas = [str(one.get("RegionName", "?")) for one in description.get("Replicas", [])]
    consistency = str(description.get("MultiRegionConsistency", "EVENTUAL"))
    if replicas and consistency != "STRONG":
        raise StateRefused(
            f"The {address} has replicas in {', '.join(replicas)}, and MultiRegionConsistency is"
            f" {consistency} there. Two regions would both accept a save of the same version, so"
            " that a fleet could have two active keys.",
            hint="Remove the replicas, or make a table that is STRONG.",
        )
