"""Make the table of a state in DynamoDB: for `tokensvc init --aws`.

Each step can be run again, so that a table which was made in part is completed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from tokensvc.aws import AwsClients
from tokensvc.clock import Clock
from tokensvc.errors import StateMissing, StateUnavailable
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.state.dynamodb_errors import NOT_SUPPORTED, code_of, translated
from tokensvc.state.dynamodb_items import DELETE_AT, PARTITION_KEY, SORT_KEY

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TAGS: Final[Mapping[str, str]] = {"tokensvc:purpose": "state"}
CREATION_SECONDS: Final = 180.0
"""How long a new table is waited for. AWS usually takes about 10 s (believed)."""

POLL_SECONDS: Final = 2.0
_EXISTS: Final = "ResourceInUseException"
# Backups can't be enabled in the first moments of a table.
_TOO_EARLY: Final = "ContinuousBackupsUnavailableException"


@dataclass(frozen=True, slots=True)
class TableMaker:
    """Makes a table.

    Attributes:
        clients: makes the client.
        address: the table.
        clock: measures the waiting, and sleeps.
        report: gets a sentence about each step.
    """

    clients: AwsClients
    address: TableAddress
    clock: Clock
    report: Callable[[str], None]

    def make(self) -> None:
        """Make the table unless it exists, with expiry, backups and deletion protection.

        Whether the table can hold a state is not checked, which opening the state does.

        Raises:
            StateRefused: when the permission for a step is missing.
            StateUnavailable: when DynamoDB can't be called, or the table is not ready in time.
        """
        give_up_at = self.clock.monotonic() + CREATION_SECONDS
        if self._exists():
            self.report(f"The {self.address} exists.")
        else:
            # Another process may have begun to make it.
            self._call("CreateTable", self._create, {_EXISTS})
            self.report(f"The {self.address} is being created.")
        self._wait_until_active(give_up_at)
        self._enable_expiry()
        self._enable_backups(give_up_at)

    def _exists(self) -> bool:
        try:
            self._status()
        except StateMissing:
            return False
        return True

    def _status(self) -> str:
        with translated("DescribeTable", self.address):
            answer = self._client().describe_table(TableName=self.address.table)
            return answer["Table"]["TableStatus"]

    def _create(self, client: DynamoDBClient) -> None:
        client.create_table(
            TableName=self.address.table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": PARTITION_KEY, "KeyType": "HASH"},
                {"AttributeName": SORT_KEY, "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": PARTITION_KEY, "AttributeType": "S"},
                {"AttributeName": SORT_KEY, "AttributeType": "S"},
            ],
            DeletionProtectionEnabled=True,
            Tags=[{"Key": name, "Value": value} for name, value in TAGS.items()],
        )

    def _wait_until_active(self, give_up_at: float) -> None:
        while (status := self._status()) != "ACTIVE":
            if status not in {"CREATING", "UPDATING"} or self.clock.monotonic() > give_up_at:
                raise StateUnavailable(
                    f"The {self.address} can't be used: its status is {status}.",
                    hint="Run `tokensvc init --aws` again when its status is ACTIVE.",
                )
            self.report(f"Its status is {status}. Waiting for ACTIVE.")
            self.clock.sleep(POLL_SECONDS)

    def _enable_expiry(self) -> None:
        with translated("DescribeTimeToLive", self.address):
            answer = self._client().describe_time_to_live(TableName=self.address.table)
            status = answer["TimeToLiveDescription"].get("TimeToLiveStatus")
        if status in {"ENABLED", "ENABLING"}:  # DynamoDB refuses to enable it again.
            return

        def enable(client: DynamoDBClient) -> None:
            client.update_time_to_live(
                TableName=self.address.table,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": DELETE_AT},
            )

        if self._call("UpdateTimeToLive", enable, {NOT_SUPPORTED}):
            self.report("This server has no time to live: expired records stay.")
        else:
            self.report("Time to live is enabled: DynamoDB deletes expired records.")

    def _enable_backups(self, give_up_at: float) -> None:
        def enable(client: DynamoDBClient) -> None:
            client.update_continuous_backups(
                TableName=self.address.table,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )

        expected = {NOT_SUPPORTED, _TOO_EARLY}
        while refused := self._call("UpdateContinuousBackups", enable, expected):
            if refused == NOT_SUPPORTED:
                self.report("This server has no point-in-time recovery: there are no backups.")
                return
            if self.clock.monotonic() > give_up_at:
                raise StateUnavailable(
                    f"Point-in-time recovery of the {self.address} can't be enabled yet.",
                    hint="Run `tokensvc init --aws` again in a minute.",
                )
            self.clock.sleep(POLL_SECONDS)
        self.report("Point-in-time recovery is enabled, for 35 days.")

    def _call(
        self, operation: str, call: Callable[[DynamoDBClient], None], expected: Collection[str]
    ) -> str:
        """Make the call. Returns the code of the refusal if it is an expected one, otherwise ""."""
        with translated(operation, self.address):
            try:
                call(self._client())
            except ClientError as exc:
                if (code := code_of(exc)) not in expected:
                    raise
                return code
        return ""

    def _client(self) -> DynamoDBClient:
        return self.clients.dynamodb(self.address.region)
