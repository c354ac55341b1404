"""The state in one DynamoDB table, shared by all processes of a fleet.

`dynamodb_items` has the keys of the items, `dynamodb_documents` how one of several saves wins.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from random import Random

from tokensvc.aws import AwsClients, AwsTerms, endpoint_of
from tokensvc.clock import Clock
from tokensvc.errors import StateConflict, StateUnavailable
from tokensvc.net import is_loopback_url
from tokensvc.state import schema
from tokensvc.state.base import NEW, Document, Record, Version
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.state.dynamodb_calls import (
    ABSENT,
    OPERATION_SECONDS,
    RECORD_SECONDS,
    Calls,
    Condition,
)
from tokensvc.state.dynamodb_documents import (
    load_document,
    save_document,
    version_in,
    versions_in,
)
from tokensvc.state.dynamodb_errors import table_empty, translated
from tokensvc.state.dynamodb_items import key, record_item, record_of, record_partition
from tokensvc.state.dynamodb_table import require_usable

STATE_TERMS = AwsTerms(connect_timeout_seconds=1.0, read_timeout_seconds=2.0, max_attempts=3)
"""A call ends within 12 s."""

RECORD_TERMS = AwsTerms(connect_timeout_seconds=0.3, read_timeout_seconds=0.7, max_attempts=1)
"""A call ends within 1 s: a request may wait for it."""


class DynamoDbState:
    """Implements `State` in one table, which `create_table` or the template has made.

    Everything but `create` raises StateMissing where the table has no state: an empty state would
    hide that the data is lost.

    Args:
        address: the table.
        clients: clients for documents and writes; `close` closes them.
        hasty_clients: clients that give up within about a second, for records that a request
            waits for; `close` closes them.
        clock: measures the total time of an operation, and sleeps between two attempts.
        account_id: the account that the table must be in. It is not checked at a loopback
            endpoint, whose tables are in no account.
        random: spreads the pauses between two attempts.
    """

    def __init__(
        self,
        address: TableAddress,
        clients: AwsClients,
        hasty_clients: AwsClients,
        clock: Clock,
        account_id: str,
        random: Random,
    ) -> None:
        self._address = address
        self._clients = clients
        self._hasty_clients = hasty_clients
        self._clock = clock
        self._account_id = account_id
        self._random = random
        self._inspected = False
        self._closed = False

    def create(self) -> None:
        """Begin a state in the table, unless it has one.

        Raises:
            StateMissing: when there is no such table: only `tokensvc init --aws` makes one.
            StateRefused: when the table must not be used.
            StateUnavailable: when it can't be written now.
        """
        calls = self._calls()
        self._require_usable_table(calls)
        if not _has_state(calls):
            body = schema.schema_document(schema.CURRENT)
            with suppress(StateConflict):  # Another process began it.
                save_document(calls, schema.DOCUMENT_NAME, body, NEW)

    def versions(self) -> Mapping[str, Version]:
        """The version of each document, by name, sorted: one Query reads all heads.

        Raises:
            StateUnavailable: when the table can't be read now.
            StateDamaged: when a head is damaged.
        """
        return versions_in(self._inspected_calls())

    def version(self, name: str) -> Version:
        """The document's version, `NEW` when it was never saved.

        Raises:
            StateUnavailable: when the table can't be read now.
            StateDamaged: when its head is damaged.
        """
        return version_in(self._inspected_calls(), name)

    def load(self, name: str) -> Document | None:
        """The document, or None when it was never saved.

        Raises:
            StateUnavailable: when the table can't be read now.
            StateDamaged: when the document is damaged.
        """
        return load_document(self._inspected_calls(), name)

    def save(self, name: str, body: str, *, replacing: Version) -> Version:
        """Durably replace version `replacing` with `body`, and return the new version.

        Raises:
            StateConflict: when the stored version is another; nothing was written.
            StateUnavailable: when the table can't be written now, or did not answer. Then it may
                have been written all the same.
            StateDamaged: when the document's head is damaged.
        """
        return save_document(self._inspected_calls(), name, body, replacing)

    def put_many(self, kind: str, records: Sequence[Record]) -> None:
        """Store the records durably, each by itself. Each replaces the one with its ID.

        Raises:
            StateUnavailable: when the table can't be written now. Some may be stored.
        """
        if not records:
            return
        # One request can't have two changes of the same item.
        by_id = {record.record_id: record for record in records}
        self._inspected_calls().write(
            [{"PutRequest": {"Item": record_item(kind, record)}} for record in by_id.values()]
        )

    def remove_many(self, kind: str, record_ids: Sequence[str]) -> None:
        """Remove the records, each by itself. An ID without a record is not an error.

        Raises:
            StateUnavailable: when the table can't be written now. Some may be removed.
        """
        if not record_ids:
            return
        partition = record_partition(kind)
        self._inspected_calls().write(
            [
                {"DeleteRequest": {"Key": key(partition, record_id)}}
                for record_id in dict.fromkeys(record_ids)
            ]
        )

    def record(self, kind: str, record_id: str) -> Record | None:
        """The record, or None when there is none. It may have expired.

        A request may wait for this read, for about a second at most.

        Raises:
            StateUnavailable: when the table can't be read now.
            StateDamaged: when the record is damaged.
        """
        item = self._inspected_calls(hasty=True).get(key(record_partition(kind), record_id))
        return None if item is None else record_of(item)

    def read_many(self, kind: str, record_ids: Collection[str]) -> Sequence[Record]:
        """Those of the records that there are. Some may have expired.

        A request may wait for this read, for about a second at most.

        Raises:
            StateUnavailable: when the table can't be read now.
            StateDamaged: when a record is damaged.
        """
        keys = [key(record_partition(kind), record_id) for record_id in dict.fromkeys(record_ids)]
        return [record_of(item) for item in self._inspected_calls(hasty=True).get_many(keys)]

    def put_if(self, kind: str, record: Record, *, replacing: Record | None) -> bool:
        """Store the record if the one with its ID is `replacing`, by its body.

        A request may wait for this write, for about a second at most. It is sent once, so a lost
        answer is never taken for that of another one.

        Raises:
            StateUnavailable: when the table can't be written now. It may have been written.
        """
        condition = (
            ABSENT
            if replacing is None
            else Condition("#body = :body", {"#body": "body"}, {":body": {"S": replacing.body}})
        )
        calls = self._inspected_calls(hasty=True)
        return calls.put(record_item(kind, record), condition)

    def records(self, kind: str) -> Sequence[Record]:
        """Every record of that kind, by ID. Some may have expired.

        Raises:
            StateUnavailable: when the table can't be read now.
            StateDamaged: when a record is damaged.
        """
        return [record_of(item) for item in self._inspected_calls().items(record_partition(kind))]

    def close(self) -> None:
        """Close the connections, and refuse every later operation."""
        self._closed = True
        self._clients.close()
        self._hasty_clients.close()

    def _calls(self, *, hasty: bool = False) -> Calls:
        if self._closed:
            raise StateUnavailable("The state was closed by this process.")
        return Calls(
            self._hasty_clients if hasty else self._clients,
            self._address,
            self._clock,
            self._random,
            began_monotonic=self._clock.monotonic(),
            total_seconds=RECORD_SECONDS if hasty else OPERATION_SECONDS,
        )

    def _inspected_calls(self, *, hasty: bool = False) -> Calls:
        """Calls to the table, once it was found to be a usable table with a state.

        Args:
            hasty: whether a request waits for them.
        """
        calls = self._calls(hasty=hasty)
        if not self._inspected:
            self._require_usable_table(calls)
            if not _has_state(calls):
                raise table_empty(self._address)
            self._inspected = True
        return calls

    def _require_usable_table(self, calls: Calls) -> None:
        with translated("client setup", self._address):
            endpoint = endpoint_of(calls.clients.dynamodb(self._address.region))
        account_id = None if is_loopback_url(endpoint) else self._account_id
        require_usable(calls.describe(), self._address, account_id)


def _has_state(calls: Calls) -> bool:
    """Whether a state was begun in the table: its first document is that of the schema."""
    return version_in(calls, schema.DOCUMENT_NAME) != NEW
