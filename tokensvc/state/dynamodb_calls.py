"""The calls to the table that one operation of the state makes, within one total time.

Every read is strongly consistent, but for the search for bodies that are no longer used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from tokensvc.aws import AwsClients
from tokensvc.clock import Clock
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.state.dynamodb_errors import CONDITION_FAILED, code_of, too_slow, translated
from tokensvc.state.dynamodb_items import PARTITION_KEY, SORT_KEY, Item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        TableDescriptionTypeDef,
        WriteRequestOutputTypeDef,
        WriteRequestTypeDef,
    )

OPERATION_SECONDS: Final = 15.0
"""No call begins later than this after its operation began. A call ends within 12 s."""

RECORD_SECONDS: Final = 1.0
"""The same for what a request waits for. A call ends within 1 s."""

MAX_BATCH: Final = 25
"""How many items one BatchWriteItem may have (AWS: BatchWriteItem)."""

MAX_BATCH_OF_READS: Final = 100
"""How many items one BatchGetItem may have (AWS: BatchGetItem)."""

_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Condition:
    """What an item must be for a write to be made.

    Attributes:
        expression: the condition in DynamoDB's language.
        names: the attributes that it names as `#name`.
        values: the values that it names as `:name`.
    """

    expression: str
    names: Mapping[str, str]
    values: Mapping[str, AttributeValueTypeDef]


ABSENT: Final = Condition("attribute_not_exists(#key)", {"#key": PARTITION_KEY}, {})
"""The condition that there is no item with that key."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one operation. Each raises the errors of `translated`.

    Attributes:
        clients: makes the client.
        address: the table.
        clock: measures the total time.
        random: spreads the pauses between two attempts.
        began_monotonic: when the operation began, by the monotonic clock.
        total_seconds: no call begins later than this after the operation began.
    """

    clients: AwsClients
    address: TableAddress
    clock: Clock
    random: Random
    began_monotonic: float
    total_seconds: float

    def describe(self) -> TableDescriptionTypeDef:
        """The table's description."""
        with self._client("DescribeTable") as client:
            return client.describe_table(TableName=self.address.table)["Table"]

    def get(self, key: Mapping[str, AttributeValueTypeDef]) -> Item | None:
        """The item with that key; None when there is none."""
        with self._client("GetItem") as client:
            answer = client.get_item(TableName=self.address.table, Key=key, ConsistentRead=True)
            _require_dynamodb(answer)
            return answer.get("Item")

    def get_many(self, keys: Sequence[Mapping[str, AttributeValueTypeDef]]) -> Iterator[Item]:
        """Those of the items that there are, in any order. The keys must differ."""
        for start in range(0, len(keys), MAX_BATCH_OF_READS):
            yield from self._get_batch(keys[start : start + MAX_BATCH_OF_READS])

    def put(
        self, item: Mapping[str, AttributeValueTypeDef], condition: Condition | None = None
    ) -> bool:
        """Store the item in place of the one with its key. False if the condition doesn't hold."""
        arguments: dict[str, Any] = {"TableName": self.address.table, "Item": item}
        if condition is not None:
            arguments["ConditionExpression"] = condition.expression
            arguments |= {"ExpressionAttributeNames": condition.names} if condition.names else {}
            arguments |= {"ExpressionAttributeValues": condition.values} if condition.values else {}
        with self._client("PutItem") as client:
            try:
                _require_dynamodb(client.put_item(**arguments))
            except ClientError as exc:
                if code_of(exc) != CONDITION_FAILED:
                    raise
                return False
        return True

    def items(self, partition: str, *, prefix: str = "") -> Iterator[Item]:
        """The items of the partition whose sort keys begin with that, by sort key."""
        arguments: dict[str, Any] = {
            "KeyConditionExpression": "#pk = :pk AND begins_with(#sk, :prefix)",
            "ExpressionAttributeNames": {"#pk": PARTITION_KEY, "#sk": SORT_KEY},
            "ExpressionAttributeValues": {":pk": {"S": partition}, ":prefix": {"S": prefix}},
            "ConsistentRead": True,
        }
        if not prefix:
            arguments["KeyConditionExpression"] = "#pk = :pk"
            del arguments["ExpressionAttributeNames"]["#sk"]
            del arguments["ExpressionAttributeValues"][":prefix"]
        return self._query(arguments)

    def keys_before(self, partition: str, sort_key: str) -> Iterator[Item]:
        """The keys of the items of the partition that come before that sort key."""
        return self._query(
            {
                "KeyConditionExpression": "#pk = :pk AND #sk < :end",
                "ExpressionAttributeNames": {"#pk": PARTITION_KEY, "#sk": SORT_KEY},
                "ExpressionAttributeValues": {":pk": {"S": partition}, ":end": {"S": sort_key}},
                "ProjectionExpression": "#pk, #sk",
            }
        )

    def write(self, requests: Sequence[WriteRequestTypeDef]) -> None:
        """Carry out these puts and deletes, each by itself, until none is left.

        Raises:
            StateUnavailable: also when the table accepts only some of them within the total time.
        """
        for start in range(0, len(requests), MAX_BATCH):
            self._write_batch(requests[start : start + MAX_BATCH])

    def _get_batch(self, keys: Sequence[Mapping[str, AttributeValueTypeDef]]) -> Iterator[Item]:
        left: Any = {"Keys": keys, "ConsistentRead": True}
        pauses = self._pauses()
        while True:
            with self._client("BatchGetItem") as client:
                answer = client.batch_get_item(RequestItems={self.address.table: left})
                _require_dynamodb(answer)
                items = answer["Responses"].get(self.address.table, [])
                left = answer.get("UnprocessedKeys", {}).get(self.address.table)
            yield from items
            if not left:
                return
            self.clock.sleep(next(pauses))

    def _pauses(self) -> Iterator[float]:
        """Pauses while DynamoDB accepts a part of a batch: it throttles, and boto3 does not retry.

        In seconds.
        """
        longest = _FIRST_PAUSE_SECONDS
        while True:
            yield self.random.uniform(longest / 2, longest)
            longest = min(2 * longest, _LONGEST_PAUSE_SECONDS)

    def _write_batch(self, requests: Sequence[WriteRequestTypeDef]) -> None:
        left: Sequence[WriteRequestTypeDef | WriteRequestOutputTypeDef] = requests
        pauses = self._pauses()
        while True:
            with self._client("BatchWriteItem") as client:
                answer = client.batch_write_item(RequestItems={self.address.table: left})
                _require_dynamodb(answer)
                left = answer.get("UnprocessedItems", {}).get(self.address.table, [])
            if not left:
                return
            self.clock.sleep(next(pauses))

    def _query(self, arguments: dict[str, Any]) -> Iterator[Item]:
        start: dict[str, Any] = {}
        while True:
            with self._client("Query") as client:
                answer = client.query(TableName=self.address.table, **arguments, **start)
                _require_dynamodb(answer)
                items = answer["Items"]
            yield from items
            if not answer.get("LastEvaluatedKey"):
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    @contextmanager
    def _client(self, operation: str) -> Iterator[DynamoDBClient]:
        if self.clock.monotonic() > self.began_monotonic + self.total_seconds:
            raise too_slow(operation, self.address, self.total_seconds)
        with translated(operation, self.address):
            yield self.clients.dynamodb(self.address.region)


def _require_dynamodb(answer: Mapping[str, Any]) -> None:
    """Refuse the page of another server, which botocore takes for an answer without members.

    It would mean that an item does not exist, or was stored. Answers of DynamoDB have an ID.
    """
    if not answer["ResponseMetadata"].get("RequestId"):
        raise LookupError("The answer has no request ID.")
